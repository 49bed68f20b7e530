"""What clusters do to jobs: each fault strikes a training, and each run ends in the tables of a calm one."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import GPU_JOBS, PRESET, QUICK, SITE, results, wait_for
from project import Project

# A fixture of the first test runs the workflow, twice as long where the machine is busy.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

PROFILE = ("tables", "--profile", "slurm", *PRESET, *QUICK)
TRAINING = "experiment2-scratch-plain-vit-magnitude-seed42"


class Run:
    """A run through Slurm in which one training is still to be done."""

    def __init__(self, slurm, folder: Path, *arguments: str):
        self.slurm, self.folder, self.printed = slurm, folder, folder / "printed"
        with open(self.printed, "w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *PROFILE, *arguments],
                cwd=folder,
                env=slurm.env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def trainings(self) -> list[str]:
        """Return Slurm's ids of the trainings that were submitted."""
        return self.jobs("train")

    def jobs(self, rule: str) -> list[str]:
        """Return Slurm's ids of a rule's jobs, in the order of submission."""
        return [job["JobId"] for job in self.slurm.jobs(self.folder) if job["Rule"] == rule]

    def hold_training(self) -> tuple[int, str]:
        """Stop the training once it listens to signals, so that it lasts; return its process and its job."""

        def process():
            if self.process.poll() is not None:
                pytest.fail(f"the run ended before its training began:\n{self.printed.read_text()[-5000:]}")
            for entry in Path("/proc").iterdir():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if words[1:4] == [b"-m", b"astromae", b"train"] and (entry / "cwd").resolve() == self.folder:
                        caught = re.search(r"^SigCgt:\s*(\w+)", (entry / "status").read_text(), re.M)[1]
                        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
                            return int(entry.name)
                except (OSError, ValueError):
                    continue
            return None

        pid = wait_for(process, 300, "the training")
        os.kill(pid, signal.SIGSTOP)
        return pid, self.trainings()[-1]

    def state(self, job_id: str) -> str:
        return self.slurm.job(job_id)["JobState"]

    def finish(self) -> str:
        """Wait for the end of the run and return what it printed."""
        returncode = self.process.wait(timeout=600)
        assert returncode == 0, self.printed.read_text()[-5000:]
        return self.printed.read_text()

    def log(self) -> str:
        """Return what the training's last attempt said."""
        return (self.folder / f"results/logs/train/{TRAINING}.log").read_text()


@pytest.fixture
def start(slurm, local, tmp_path):
    """Return a function that starts a run from finished results without one training and its table."""
    shutil.copytree(local.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "slurm/site.yaml").write_text(SITE)
    shutil.rmtree(tmp_path / "results/models/experiment2")
    for table in (tmp_path / "results/tables").glob("table5.*"):
        table.unlink()
    runs = []

    def begin(*arguments: str) -> Run:
        runs.append(Run(slurm, tmp_path, *(arguments or GPU_JOBS)))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(timeout=60)
    assert results(Project(tmp_path)) == results(local)


def test_the_time_limit_passes_in_a_training(start):
    run = start(*GPU_JOBS, "train:runtime=1")
    _, job_id = run.hold_training()
    wait_for(lambda: run.state(job_id) == "TIMEOUT", 180, "the time limit")
    run.finish()
    # More than two where this machine is so slow that a minute does not do for the second.
    assert len(run.trainings()) >= 2
    assert "continuing in epoch" in run.log()


def test_a_training_is_requeued(start, slurm):
    run = start()
    _, job_id = run.hold_training()
    slurm.run("scontrol", "requeue", job_id)
    run.finish()
    assert run.trainings() == [job_id]
    assert slurm.job(job_id)["Restarts"] == "1"
    assert "continuing in epoch" in run.log()


def test_a_training_is_cancelled(start, slurm):
    run = start()
    _, job_id = run.hold_training()
    slurm.run("scancel", job_id)
    run.finish()
    assert run.state(job_id) == "CANCELLED"
    assert len(run.trainings()) == 2


def test_the_node_fails(start, slurm):
    """As after a loss of power: slurmd and all that ran under it are gone, and slurmd comes back."""
    run = start()
    training, job_id = run.hold_training()
    steps = subprocess.run(["pgrep", "-f", rf"^slurmstepd: \[{job_id}\."], stdout=subprocess.PIPE, text=True)
    slurmd = int((slurm.folder / "slurmd.pid").read_text())
    for pid in [slurmd, *map(int, steps.stdout.split()), training]:
        os.kill(pid, signal.SIGKILL)
    slurm.start_slurmd()
    run.finish()
    assert run.trainings() == [job_id]
    assert slurm.job(job_id)["Restarts"] == "1"


def test_the_node_is_drained(start, slurm):
    run = start()
    training, job_id = run.hold_training()
    slurm.run("scontrol", "update", "nodename=node", "state=drain", "reason=test")
    try:
        os.kill(training, signal.SIGCONT)
        wait_for(lambda: run.state(job_id) == "COMPLETED", 300, "the training's end on a draining node")
        table = wait_for(lambda: run.jobs("table"), 300, "the next job")[0]
        assert run.state(table) == "PENDING"
    finally:
        slurm.run("scontrol", "update", "nodename=node", "state=resume")
    run.finish()


def test_submission_fails(start, slurm):
    slurm.run("scontrol", "update", "partitionname=gpu", "state=drain")
    try:
        failed = start("--retries", "0", *GPU_JOBS)
        assert failed.process.wait(timeout=300) != 0
    finally:
        slurm.run("scontrol", "update", "partitionname=gpu", "state=up")
    assert "sbatch failed" in failed.printed.read_text()
    start().finish()
