"""How the tests ask the Slurm of slurm.sh, and how they run the workflow through it."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from project import Project

SCRIPT = Path(__file__).with_name("slurm.sh")
PRESET = ("--configfile", "workflow/presets/test.yaml", "tests/cluster/small.yaml")
#: Partitions as slurm.sh makes them.
SITE = "partitions:\n  cpu: {max_threads: 8}\n  gpu: {max_threads: 8, max_gpu: 2}\n"
#: Trainings ask for a GPU as they do where training.gpus is 1. There are none behind the pretended ones, so
#: the steps themselves are told what they are told locally, and train on the CPU.
GPU_JOBS = ("--set-resources", "pretrain:gpu=1", "features:gpu=1", "train:gpu=1")
#: This Slurm keeps no accounts, and its jobs take seconds.
QUICK = (
    *("--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2"),
)


@dataclass(frozen=True)
class Slurm:
    """The running Slurm: its folder, and the environment of its clients."""

    folder: Path
    env: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a command of Slurm and return what it printed."""
        return subprocess.run(command, env=self.env, check=True, timeout=30, stdout=subprocess.PIPE, text=True).stdout

    def job(self, job_id: str) -> dict[str, str]:
        """Return Slurm's record of a job."""
        record = self.run("scontrol", "--oneliner", "show", "job", job_id)
        return dict(entry.partition("=")[::2] for entry in record.split())

    def jobs(self, folder: Path) -> list[dict[str, str]]:
        """Return Slurm's records of all jobs that were submitted in a folder, each with its `Rule`."""
        records = [
            dict(entry.partition("=")[::2] for entry in line.split())
            for line in self.run("scontrol", "--oneliner", "show", "jobs").splitlines()
        ]
        return [
            record | {"Rule": rule_of(record["Comment"])} for record in records if record.get("WorkDir") == str(folder)
        ]

    def submissions(self, folder: Path) -> list[tuple[str, list[str]]]:
        """Return rule and options of every sbatch in a folder, without names of files and jobs."""
        calls = [call.split("\0") for call in (self.folder / "sbatch").read_text().split("\0\n") if call]
        found = []
        # The check of the cluster submits trial jobs of its own, without a name.
        for words in (call for call in calls if "--job-name" in call):
            named = {name: words.index(name) for name in ("--job-name", "--output", "--comment", "-D")}
            if words[named["-D"] + 1] == str(folder):
                dropped = {place for first in named.values() for place in (first, first + 1)}
                options = [word for place, word in enumerate(words) if place not in dropped]
                kept = [word for word in options if not word.startswith("--wrap=")]
                found.append((rule_of(words[named["--comment"] + 1]), kept))
        return found

    def start_slurmd(self) -> None:
        """Start slurmd after it was killed."""
        subprocess.run([SCRIPT, "slurmd", self.folder], check=True)


def wait_for(condition, seconds: float, what: str):
    """Return the first true value of a condition, or fail after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.5)
    pytest.fail(f"waited {seconds:.0f} s in vain for {what}")


def rule_of(comment: str) -> str:
    """Return the rule that Snakemake names in a job's comment."""
    return comment.removeprefix("rule_").partition("_wildcards_")[0]


def results(project: Project) -> dict[str, bytes]:
    """Return the tables of a project, but for the one of what trainings cost, and all predictions."""
    folder = project.folder / "results"
    files = [*folder.glob("tables/table*"), *folder.glob("models/*/*/*/predictions.parquet")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
