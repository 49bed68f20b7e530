"""What a run would take, from what Snakemake prints in a dry run, before any data exist.

What it says of each job is added up: how many there are, what each asks for, how long its rule expects it to take,
and the longest chain of jobs that wait for one another.
"""

import math
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from astromae.cluster.site_file import read_site
from astromae.errors import InputError

#: Seconds of a job that its rule says nothing about: the small ones of the default run took 1 to 25.
SMALL_JOB_S = 25

#: Rules whose jobs go on where the one before them stopped.
CONTINUED = ("pretrain", "features", "train", "label_curve")


@dataclass(frozen=True)
class Job:
    """A planned job.

    Attributes
    ----------
    rule, inputs, outputs
        Its rule and files.
    of
        What of its rule it makes: its wildcards but for the seed.
    threads, gpus, memory_mb, minutes
        What it asks for: threads and GPUs over all its nodes, memory on each, the time limit of its first attempt.
    expected_s
        How long it is expected to take, over all attempts.
    kept_mb
        What it leaves on the disk, where its rule says.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    threads: int
    gpus: int
    memory_mb: int
    minutes: int
    expected_s: float
    kept_mb: float = 0
    of: str = ""


def dry_run(arguments: Sequence[str], folder: Path | None = None) -> list[Job]:
    """Return the jobs that Snakemake would run, without those that only collect files.

    Parameters
    ----------
    arguments
        Of Snakemake's command line: target, configuration, profile, cores.
    folder
        Where Snakemake starts; the current folder if None.

    Raises
    ------
    InputError
        If Snakemake makes no plan, with what it says.
    """
    command = [sys.executable, "-m", "snakemake", *arguments, "--dry-run"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
    if ran.returncode:
        text = ran.stdout.strip()
        # Of a traceback, as of a configuration file that is missing, the last line says what is wrong.
        reason = text.splitlines()[-1] if "Traceback" in text else text[max(0, text.find("Error")) :]
        raise InputError(f"Snakemake makes no plan\n{reason}")
    rules = re.split(r"^(?:local)?rule (\w+):$", ran.stdout, flags=re.M)[1:]
    described = [
        (rule, dict(re.findall(r"^    (\w+): (.*)$", text, flags=re.M)))
        for rule, text in zip(rules[::2], rules[1::2], strict=True)
    ]
    return [_job(rule, text) for rule, text in described if "output" in text]


def _job(rule: str, text: Mapping[str, str]) -> Job:
    """Return a job as Snakemake describes it."""
    asked = dict(re.findall(r"(\w+)=([\w.:]+)", text["resources"]))
    nodes = int(asked.get("nodes", 1))
    # Of several nodes each has as many GPUs as `gres` says.
    gpus = nodes * int(asked["gres"].rpartition(":")[2]) if "gres" in asked else int(asked.get("gpu", 0))
    return Job(
        rule,
        tuple(text["input"].split(", ")) if "input" in text else (),
        tuple(text["output"].split(", ")),
        int(text.get("threads", 1)) * nodes,
        gpus,
        int(asked.get("mem_mb", 0)),
        int(asked.get("runtime", 0)),
        float(asked.get("expected_s", SMALL_JOB_S)),
        float(asked.get("kept_mb", 0)),
        " ".join(value for name, value in re.findall(r"(\w+)=([^,]*)", text.get("wildcards", "")) if name != "seed"),
    )


def planned_jobs(arguments: Sequence[str]) -> list[Job]:
    """Return the jobs of a run as if nothing were made yet; arguments and errors as of `dry_run`."""
    # No job asks for as many cores as Snakemake may use, or it would plan with fewer.
    return dry_run([*arguments, "--forceall", "--cores", "10000"])


def longest_chain(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs that wait for one another and take longest together, in their order."""
    made_by = {file: job for job in jobs for file in job.outputs}
    best: dict[Job, tuple[float, Job | None]] = {}

    def lasting(job: Job) -> tuple[float, Sequence[str]]:
        # Of chains that take equally long always the same one, by the names of its files.
        return best[job][0], job.outputs

    pending = list(made_by.values())
    while pending:
        job = pending[-1]
        before = {made_by[file] for file in job.inputs if file in made_by}
        if unknown := before - best.keys():
            pending += unknown
            continue
        pending.pop()
        last = max(before, key=lasting, default=None)
        best[job] = (job.expected_s + (best[last][0] if last else 0), last)
    job = max(best, key=lasting, default=None)
    chain = []
    while job:
        chain.append(job)
        job = best[job][1]
    return chain[::-1]


def time_left_s(
    jobs: Sequence[Job], cores: int | None, took_s: Mapping[str, float], runs_s: Mapping[str, float]
) -> float:
    """Return how long a run will go on, by what its jobs are expected to take and those that ended took.

    The cores are taken to be always busy, unless jobs that wait for one another take longer.

    Parameters
    ----------
    jobs
        Jobs of the run.
    cores
        Cores that jobs share; None where it is not known how many run at once, as on a cluster.
    took_s, runs_s
        How long the jobs that ended took, and how long those that run have run, by their first output, seconds.
    """
    ended = [job for job in jobs if job.outputs[0] in took_s]
    ratios = {}
    for rule in {job.rule for job in ended}:
        alike = [job for job in ended if job.rule == rule]
        ratios[rule] = sum(took_s[job.outputs[0]] for job in alike) / max(1, sum(job.expected_s for job in alike))
    left = []
    for job in jobs:
        if job.outputs[0] not in took_s:
            expected_s = job.expected_s * ratios.get(job.rule, 1) - runs_s.get(job.outputs[0], 0)
            left.append(replace(job, expected_s=max(0, expected_s)))
    work_s = sum(min(job.threads, cores) * job.expected_s for job in left) / cores if cores else 0
    return max(work_s, sum(job.expected_s for job in longest_chain(left)))


def describe(jobs: Sequence[Job]) -> str:
    """Lay a plan out for a terminal: jobs by rule, hours of cores and GPUs, the longest chain."""
    rules: dict[str, list[Job]] = {}
    for job in jobs:
        rules.setdefault(job.rule, []).append(job)
    lines = [
        f"{'':<24}{'':>6}   each job asks for{'':>29}   expected",
        f"{'rule':<24}{'jobs':>6}{'threads':>9}{'GPUs':>6}{'GB':>8}{'limit':>10}"
        f"{'longest':>12}{'core-hours':>12}{'GPU-hours':>11}",
    ]
    for rule, alike in rules.items():
        most = {name: max(getattr(job, name) for job in alike) for name in ("threads", "gpus", "memory_mb", "minutes")}
        lines.append(
            f"{rule:<24}{len(alike):>6}{most['threads']:>9}{most['gpus'] or '':>6}{most['memory_mb'] / 1000:>8.1f}"
            f"{most['minutes'] / 60:>8.1f} h{max(job.expected_s for job in alike) / 3600:>10.2f} h"
            f"{_hours(alike, 'threads'):>12,.1f}{_hours(alike, 'gpus') or '':>11{',.1f' if most['gpus'] else ''}}"
        )
    chain = longest_chain(jobs)
    total_h = {of: sum(getattr(job, of) * job.minutes for job in jobs) / 60 for of in ("threads", "gpus")}
    lines += [
        f"{'all':<24}{len(jobs):>6}{'':>45}{_hours(jobs, 'threads'):>12,.1f}{_hours(jobs, 'gpus'):>11,.1f}",
        *_trainings(jobs),
        "",
        f"Time limits of all jobs: {total_h['threads']:,.0f} core-hours and {total_h['gpus']:,.0f} GPU-hours.",
        f"Longest chain: {' > '.join(job.rule for job in chain)}, "
        f"{sum(job.expected_s for job in chain) / 3600:,.1f} hours without waiting in the queue.",
    ]
    if kept_gb := sum(job.kept_mb for job in jobs) * 2**20 / 1e9:
        lines.append(f"Disk for the features of frozen encoders: {kept_gb:,.1f} GB.")
    for rule in (name for name in CONTINUED if name in rules):
        limits = max((math.ceil(job.expected_s / 60 / job.minutes) for job in rules[rule] if job.minutes), default=1)
        if limits > 1:
            lines.append(
                f"{rule}: the longest takes {limits} time limits, one job after another: --retries {limits - 1}."
            )
    if any(job.gpus for job in jobs):
        site = read_site()
        lines.append(
            f"A GPU is taken to pretrain {site.gpu_stamps_per_s:,g} stamps a second: gpu_stamps_per_s of {site.path}."
        )
    return "\n".join(lines)


def _trainings(jobs: Iterable[Job]) -> list[str]:
    """Return what each training is expected to take over all seeds, the longest first."""
    trainings: dict[str, list[Job]] = {}
    for job in jobs:
        if job.rule in CONTINUED:
            trainings.setdefault(f"{job.rule} {job.of}", []).append(job)
    lines = ["", f"{'each training, over all its seeds':<69}{'jobs':>6}{'core-hours':>12}{'GPU-hours':>11}"]
    for name, alike in sorted(trainings.items(), key=lambda training: -_hours(training[1], "threads")):
        gpus = f"{_hours(alike, 'gpus'):,.2f}" if any(job.gpus for job in alike) else ""
        lines.append(f"{name:<69}{len(alike):>6}{_hours(alike, 'threads'):>12,.2f}{gpus:>11}".rstrip())
    return lines if trainings else []


def _hours(jobs: Iterable[Job], of: str) -> float:
    """Return the hours of cores (`threads`) or GPUs (`gpus`) that jobs are expected to take."""
    return sum(getattr(job, of) * job.expected_s for job in jobs) / 3600
