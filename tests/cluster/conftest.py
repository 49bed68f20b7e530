"""A real Slurm on this machine, and the workflow's results without it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import PRESET, SCRIPT, Slurm
from project import Project, clone


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no Slurm here: {', '.join(missing)} missing (Debian packages slurm-wlm and munge)")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of one's own can be started by root only")
    # Not in pytest's folder: munge wants its socket where every user may look.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    env = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    try:
        subprocess.run([SCRIPT, "start", folder, str(os.getpid())], check=True, timeout=60)
        yield Slurm(folder, env)
    finally:
        subprocess.run([SCRIPT, "stop", folder], timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def local(tmp_path_factory) -> Project:
    """The tables, made on this machine without Slurm."""
    project = clone(tmp_path_factory.mktemp("local"))
    ran = project.snakemake("tables", "--cores", "2", *PRESET)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return project
