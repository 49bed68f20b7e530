"""The workflow on a real Slurm: same tables as without it, each job in its partition, as Slurm records it."""

import math
import re

import pytest
from cluster import GPU_JOBS, PRESET, QUICK, SITE, results
from project import clone

# A fixture of the first test runs the workflow, twice as long where the machine is busy.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

#: Rules of the run that use a GPU.
ON_GPU = {"pretrain", "features", "train"}

#: Time limit in minutes and memory in MB of each rule's jobs. Trainings get the size of their stamps besides.
LIMITS = {
    "catalog": (10, 2000),
    "frames": (60, 2000),
    "cut": (20, 1500),
    "split": (20, 2000),
    "sample": (20, 2000),
    "scaling": (30, 2000),
    "pretrain": (1440, 3000),
    "features": (720, 3000),
    "train": (720, 3000),
    "classical": (30, 2000),
    "networks": (20, 2000),
    "table": (30, 2000),
}
#: The same of rules that come after the tables: of these, and of figures and their samples.
LATER = {
    "reconstruct": (30, 3000),
    "values_survey": (20, 2000),
    "values_experiment": (30, 2000),
    "paper": (10, 2000),
    "results_page": (10, 1000),
}
FIGURE = (20, 2000)
#: Those that run where Snakemake does.
HERE = {"all": (60, 2000), "stamps_checksum": (60, 2000)}


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory):
    """The tables through the profile, from nothing."""
    project = clone(tmp_path_factory.mktemp("cluster"))
    (project.folder / "slurm/site.yaml").write_text(SITE)
    ran = project.snakemake("tables", "--profile", "slurm", *PRESET, *GPU_JOBS, *QUICK, env=slurm.env)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return project


def test_the_same_tables_as_without_slurm(run, local):
    assert results(run) == results(local)


def test_gpu_jobs_ran_in_the_gpu_partition_and_no_others_did(run, slurm):
    jobs = slurm.jobs(run.folder)
    assert {job["Rule"] for job in jobs} == set(LIMITS)
    for job in jobs:
        on_gpu = job["Rule"] in ON_GPU
        assert job["JobState"] == "COMPLETED"
        assert job["Partition"] == ("gpu" if on_gpu else "cpu"), job["Rule"]
        assert job.get("TresPerJob") == ("gres:gpu:1" if on_gpu else None), job["Rule"]


def test_two_gpu_jobs_ran_at_once_and_a_third_waited(run, slurm):
    jobs = [job for job in slurm.jobs(run.folder) if job["Rule"] in ON_GPU]
    # Moments in ISO form sort as text.
    running = [sum(other["StartTime"] <= job["StartTime"] < other["EndTime"] for other in jobs) for job in jobs]
    assert max(running) == 2

    assert any(
        sum(job["SubmitTime"] < other["EndTime"] and other["StartTime"] < job["StartTime"] for other in jobs) >= 2
        and job["SubmitTime"] < job["StartTime"]
        for job in jobs
    )


def test_what_every_rule_of_the_default_plan_asks_for(run):
    ran = run.snakemake("--profile", "slurm", "--dry-run", "--forceall", *GPU_JOBS)
    assert ran.returncode == 0, ran.stdout[-5000:]
    jobs = re.findall(r"^rule (\w+):\n.*?^    resources: ([^\n]*)", ran.stdout, flags=re.M | re.S)
    assert {rule for rule, _ in jobs} >= {*LIMITS, *LATER}
    for rule, resources in jobs:
        asked = dict(re.findall(r"(\w+)=(\d+)(?:,|$)", resources))
        minutes, memory_mb = (LIMITS | LATER | HERE).get(rule, FIGURE)
        assert int(asked["runtime"]) == minutes, rule
        assert int(asked["mem_mb"]) >= memory_mb if rule in ON_GPU else int(asked["mem_mb"]) == memory_mb, rule
        assert asked.get("gpu", "0") == ("1" if rule in ON_GPU else "0"), rule


def test_the_options_of_every_submission(run, slurm):
    stamps_mb = sum(path.stat().st_size for path in run.folder.glob("results/stamps/*.h5")) / 2**20
    submissions = slurm.submissions(run.folder)
    assert {rule for rule, _ in submissions} == set(LIMITS)
    for rule, options in submissions:
        on_gpu, in_array = rule in ON_GPU, rule == "frames"
        minutes, memory_mb = LIMITS[rule]
        # A training holds its stamps, but for models that read the features of a frozen encoder alone; an array holds
        # its tasks' commands.
        held_mb = {"train": (0, 1.2 * stamps_mb)}.get(rule, (on_gpu * 1.2 * stamps_mb,))
        given_mb = int(options[options.index("--mem") + 1])
        assert given_mb in [math.ceil(memory_mb + held) + in_array for held in held_mb], rule
        assert options == [
            *("--parsable", "--export=ALL", "-p", "gpu" if on_gpu else "cpu", "-t", str(minutes)),
            *("--mem", str(given_mb), "--requeue"),
            *(["--cpus-per-task=1", "--gpus=1"] if on_gpu else ["--ntasks=1", "--cpus-per-task=1"]),
            *(["--array=1-2"] if in_array else []),
        ], rule


def test_each_log_names_its_slurm_job(run, slurm):
    submitted = {job["JobId"] for job in slurm.jobs(run.folder)}
    folder = run.folder / "results/logs"
    logs = {path for path in folder.rglob("*.log") if "slurm" not in path.parts} - {folder / "stamps/checksum.log"}
    assert len(logs) == len(submitted)
    named = {re.match(r"Slurm job (\d+) on ", path.read_text())[1] for path in logs}
    assert named == submitted
