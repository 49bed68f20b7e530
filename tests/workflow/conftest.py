"""A copy of the repository to run the workflow in."""

import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from preset import PRESET

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    """A clone of the repository; nothing outside its folder is written."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the clone and return what it printed, errors included."""
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def plan(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a run would have."""
        ran = self.snakemake(*arguments, "--dry-run", "--quiet", "reason")
        assert ran.returncode == 0, ran.stdout
        stats = ran.stdout.rpartition("Job stats:")[2]
        counts = re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M)
        return {rule: int(count) for rule, count in counts if rule != "total"}


@dataclass(frozen=True)
class Finished(Project):
    """A clone in which the test preset has run from nothing to the paper, and the processor time that took."""

    processor_s: float


def clone(folder: Path) -> Project:
    """Copy what git tracks or would track, as it stands in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return Project(folder)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """Clone the repository once for all tests that leave its results alone."""
    return clone(tmp_path_factory.mktemp("project"))


@pytest.fixture
def fresh_project(tmp_path) -> Project:
    """Clone the repository for one test."""
    return clone(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(project) -> Finished:
    """Run the test preset, once for all tests."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = project.snakemake("--cores", "2", *PRESET)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return Finished(project.folder, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
