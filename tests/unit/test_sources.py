"""The files that a command runs are found by reading imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from astromae.encoders import ENCODERS
from astromae.objectives import OBJECTIVES
from astromae.sources import PACKAGE, command_sources, sources_of


def names(command: str) -> set[str]:
    return {str(path.relative_to(PACKAGE)) for path in command_sources(command)}


def test_pretraining_knows_its_networks_and_no_survey():
    files = names("pretrain")
    assert {"training/pretrain.py", "contracts/shards.py", "errors.py"} <= files
    assert not {"encoders/transformer.py", "encoders/inception_network.py", "objectives/masked_autoencoder.py"} & files
    entries = sources_of(ENCODERS.source("vit"), OBJECTIVES.source("mae"))
    files |= {str(path.relative_to(PACKAGE)) for path in entries}
    assert {"encoders/transformer.py", "objectives/masked_autoencoder.py", "objectives/learner.py"} <= files
    assert "encoders/inception_network.py" not in files
    assert not any(file.startswith(("survey/", "evaluation/")) for file in files)


def test_a_figure_knows_no_training():
    files = names("figure") | {str(path.relative_to(PACKAGE)) for path in sources_of("astromae.figures.density")}
    assert "figures/density.py" in files
    assert not any(file.startswith(("training/", "encoders/", "objectives/", "survey/")) for file in files)


def test_data_beside_a_module_counts_as_its_source():
    files = {str(path.relative_to(PACKAGE)) for path in sources_of("astromae.tables.metrics")}
    assert {"tables/published.py", "tables/published.csv"} <= files


def test_the_command_line_is_not_a_source():
    assert "cli.py" not in names("pretrain")


@pytest.mark.parametrize("command", ["cut", "pretrain", "train", "table", "figure", "paper", "results-page"])
def test_nothing_that_python_imports_is_missing(command):
    """Import a command's modules in a fresh interpreter and compare with what reading them found."""
    modules = [
        ".".join(("astromae", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in command_sources(command)
        if path.suffix == ".py"
    ]
    program = (
        f"import importlib, sys; [importlib.import_module(m) for m in {modules!r}]; "
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'astromae'))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {Path(line) for line in ran.stdout.split()} <= {*command_sources(command), PACKAGE / "entries.py"}


def test_only_what_people_ask_imports_the_asking_of_models():
    """Trainings and `predict.py` stand below it, so that no circle closes."""
    doors = {PACKAGE / "steps.py", PACKAGE / "commands/asking.py", PACKAGE / "commands/bench.py"}
    doors |= {*(PACKAGE / "asking").glob("*.py")}
    for path in set(PACKAGE.rglob("*.py")) - doors:
        assert "from astromae.asking" not in path.read_text(encoding="utf-8"), path
    for command in ("train", "scaling", "classical", "pretrain", "table"):
        assert not any(file.startswith("asking/") for file in names(command))


def test_fits_without_a_network_know_none():
    for command in ("scaling", "classical", "classical-curve"):
        networks = ("encoders/vit", "encoders/transformer", "tasks/model", "predict.py", "model_archive.py")
        assert not any(file.startswith(networks) for file in names(command)), command
    assert "evaluation/calibration.py" not in names("train")


def test_a_new_line_in_a_list_of_entries_is_no_change_of_any_step():
    for command in ("pretrain", "train", "figure", "cut"):
        assert "entries.py" not in names(command)


def test_an_unknown_command_is_named():
    with pytest.raises(ValueError, match=r"no command 'pretain'"):
        command_sources("pretain")
