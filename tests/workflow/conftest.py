"""Copies of the repository, one of them with finished results."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from preset import PRESET
from processor_time import processor_seconds
from project import Project, clone


@dataclass(frozen=True)
class Finished(Project):
    """A clone in which the test preset has run from nothing to the paper, and the processor time that took."""

    processor_s: float


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """Clone the repository once for all tests that run nothing in it, or leave nothing behind."""
    return clone(tmp_path_factory.mktemp("project"))


@pytest.fixture
def fresh_project(tmp_path) -> Project:
    """Clone the repository for one test."""
    return clone(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    """Run the test preset, once for all tests."""
    project = clone(tmp_path_factory.mktemp("finished"))
    with processor_seconds() as spent:
        ran = project.snakemake("--cores", "2", *PRESET)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return Finished(project.folder, spent())


@pytest.fixture
def environment(tmp_path):
    """A folder that make takes for the environment: the one that runs this test."""
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".installed").touch()
    return folder
