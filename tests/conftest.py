"""What all tests share: processes of pytest, and a small survey that is really drawn."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from astromae.survey.archive import strip_folder
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.embedded_catalog import write_embedded_catalog
from astromae.survey.render import render_strip
from astromae.survey.simulation import Simulation
from turns import beside_others

if "PYTEST_XDIST_WORKER" in os.environ:
    # Read when torch is imported. Processes that each compute on every core hold each other up.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from division import Division

    return Division(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    # Outside of pytest-timeout's clock.
    with beside_others():
        return (yield)


def pytest_collection_modifyitems(config, items):
    # Only where several processes share the tests.
    if hasattr(config, "workerinput"):
        from division import rank_of

        items.sort(key=lambda item: rank_of(item.nodeid))


@dataclass(frozen=True)
class SmallSurvey:
    """One field of the embedded survey: `archive` holds ``dr{release}``, `settings` is the section `embedded`."""

    catalog: Path
    archive: Path
    settings: Simulation
    release: int


@pytest.fixture(scope="session")
def small_survey(tmp_path_factory) -> SmallSurvey:
    folder = tmp_path_factory.mktemp("survey")
    settings = EmbeddedSettings(
        galaxies=48,
        seed=7,
        release=17,
        runs=[9001],
        camcols=[3],
        galaxies_per_field=48,
        # Tests measure isolated galaxies in apertures, against the catalogue.
        populated=False,
    ).simulation
    catalog = folder / "galaxies.parquet"
    write_embedded_catalog(settings, catalog)
    for run in settings.runs:
        for camcol in settings.camcols:
            output = folder / strip_folder(settings.release, run, camcol)
            render_strip(catalog, run, camcol, settings, output)
    return SmallSurvey(catalog, folder, settings, settings.release)
