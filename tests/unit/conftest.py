"""What several unit tests share."""

import sys

import pytest
from strip import Strip, draw_strip


@pytest.fixture(scope="module", autouse=True)
def forget_entries():
    """Take entries that a module's tests added out of the tables."""
    from astromae.classical import METHODS
    from astromae.encoders import ENCODERS
    from astromae.figures import FIGURES, SAMPLES
    from astromae.objectives import OBJECTIVES
    from astromae.steps import STEPS
    from astromae.survey import SURVEYS
    from astromae.tables import TABLES
    from astromae.tasks import TASKS

    tables = (ENCODERS, FIGURES, METHODS, OBJECTIVES, SAMPLES, STEPS, SURVEYS, TABLES, TASKS)
    before, modules = [set(table) for table in tables], set(sys.modules)
    yield
    for table, names in zip(tables, before, strict=True):
        for name in set(table) - names:
            table.unregister(name)
    for module in set(sys.modules) - modules:
        if module.startswith("astromae_plugin_"):
            del sys.modules[module]


@pytest.fixture(scope="session")
def strip(tmp_path_factory) -> Strip:
    return draw_strip(tmp_path_factory.mktemp("strip"))


# torch is imported by the fixtures that need it, not for every test.


@pytest.fixture
def one_thread():
    """Sums over threads depend on their number; a run is the same only on the same one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def galaxies(tmp_path_factory):
    """Folder of a small catalogue with its shard, split and scaling."""
    from training_inputs import write_galaxies

    return write_galaxies(tmp_path_factory.mktemp("galaxies"))


@pytest.fixture(scope="session")
def encoder(galaxies):
    """Folder of an encoder pretrained on them."""
    from training_inputs import pretraining_recipe, run_pretrain

    run_pretrain(galaxies, galaxies / "encoder", pretraining_recipe())
    return galaxies / "encoder"


@pytest.fixture(scope="session")
def features(galaxies, encoder):
    """File of its features."""
    from training_inputs import run_features

    run_features(galaxies, encoder, galaxies / "features.h5")
    return galaxies / "features.h5"


@pytest.fixture(scope="session")
def trained(galaxies, encoder, features, tmp_path_factory):
    """Folder of a model with a frozen encoder, Inception and magnitudes."""
    from training_inputs import model_recipe, run_train

    folder = tmp_path_factory.mktemp("trained")
    run_train(galaxies, folder, model_recipe(), encoder, features)
    return folder


@pytest.fixture(scope="session")
def of_images(galaxies, tmp_path_factory):
    """Folder of a model that sees nothing but stamps."""
    from training_inputs import model_recipe, run_train

    folder = tmp_path_factory.mktemp("images")
    branches = {"encoder": None, "pretrained": False, "frozen": False, "inception": True, "magnitude": False}
    run_train(galaxies, folder, model_recipe(**branches))
    return folder


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Values and some figures of a synthetic run of both experiments."""
    from evaluation_run import write_run

    return write_run(tmp_path_factory.mktemp("results"))
