"""What would fail on a cluster is said before the first job, each with its remedy."""

import json
import subprocess
import sys

import pytest
from cluster import SITE
from project import ROOT

pytestmark = pytest.mark.cluster

CALM = {
    "gpus": 0,
    "minutes": 1440,
    "galaxies": 10,
    "stamp_bytes": 40960,
    "features_mb": 1,
    "addresses": [],
    "latency_s": 10,
    "wait_s": 120,
    "status_command": "squeue",
}


def preflight(slurm, folder, site, **settings) -> subprocess.CompletedProcess[str]:
    (folder / "slurm").mkdir(exist_ok=True)
    (folder / "slurm/site.yaml").write_text(site)
    (folder / "results").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "astromae", "preflight", "--params", json.dumps({"demands": CALM | settings})],
        cwd=folder,
        env=slurm.env | {"PYTHONPATH": str(ROOT / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_nothing_stands_in_the_way(slurm, tmp_path):
    ran = preflight(slurm, tmp_path, "partitions: {cpu: {}}")
    assert ran.returncode == 0, ran.stdout
    assert "nothing stands in the way" in ran.stdout


def test_each_problem_has_its_remedy(slurm, tmp_path):
    ran = preflight(
        slurm,
        tmp_path,
        SITE.replace("max_gpu: 2", "max_gpu: 2, max_runtime: 8h") + "  fast: {}\n",
        gpus=1,
        galaxies=10**9,
        addresses=[str(tmp_path / "sdss.npz")],
        status_command="sacct",
    )
    assert ran.returncode == 2
    problems = [line for line in ran.stdout.splitlines() if line.startswith("problem: ")]
    for words in (
        ("GB free", "larger file system"),
        ("sdss.npz is not to be seen from here", "file system that the nodes share"),
        ("sdss.npz is not to be seen from a node", "file system that the nodes share"),
        ("keeps no accounting", "--slurm-status-command squeue"),
        ("partition fast is unknown", "cpu, gpu"),
        ("trainings ask for 1440 minutes", "gpu_resources: {runtime: 480}"),
        ("sees 0 of 1 GPU(s) in gpu", "training.gpus: 0"),
    ):
        assert any(all(word in problem for word in words) for problem in problems), (words, ran.stdout)


def test_no_partition_with_gpus_is_named(slurm, tmp_path):
    ran = preflight(slurm, tmp_path, "partitions: {cpu: {}}", gpus=1)
    assert ran.returncode == 2
    assert "no partition of slurm/site.yaml has 1 GPU(s)" in ran.stdout
