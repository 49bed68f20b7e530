"""What a run would take, from Snakemake's own plan, before any data exist.

Snakemake plans the run and does nothing; what it says of each job is added up: how many there are, what each
asks for, how long its rule expects it to take, and the longest chain of jobs that wait for one another.
"""

import logging
import math
import warnings
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

from snakemake import cli
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from astromae.cluster.site_file import read_site
from astromae.errors import InputError

#: Seconds of a job that its rule says nothing about: the small ones of the default run took 1 to 25.
SMALL_JOB_S = 25

#: Rules whose jobs go on where the one before them stopped.
CONTINUED = ("pretrain", "features", "train")


@dataclass(frozen=True)
class Job:
    """A planned job.

    Attributes
    ----------
    rule, inputs, outputs
        Its rule and files.
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


class _Listener(logging.Filter):
    """Keeps what Snakemake says of each job, and silences all but its errors.

    A filter, since Snakemake removes the handlers that it finds.
    """

    def __init__(self):
        super().__init__()
        self.jobs: list[Job] = []

    def filter(self, record: logging.LogRecord) -> bool:
        # A job without a command only collects files.
        if getattr(record, "event", None) == LogEvent.JOB_INFO and record.shellcmd:
            self.jobs.append(_job(record))
        return record.levelno >= logging.ERROR


def _job(said: logging.LogRecord) -> Job:
    """Return a job as Snakemake describes it."""
    asked = said.resources
    return Job(
        said.rule_name,
        tuple(map(str, said.input)),
        tuple(map(str, said.output)),
        said.threads * asked.get("nodes", 1),
        asked["nodes"] * int(asked["gres"].rpartition(":")[2]) if "nodes" in asked else asked.get("gpu", 0),
        asked.get("mem_mb", 0),
        asked.get("runtime", 0),
        asked.get("expected_s", SMALL_JOB_S),
        asked.get("kept_mb", 0),
    )


def planned_jobs(arguments: Sequence[str]) -> list[Job]:
    """Return the jobs that Snakemake plans in the current folder, as if nothing were made yet.

    Parameters
    ----------
    arguments
        Of Snakemake's command line: target, configuration, profile.

    Raises
    ------
    InputError
        If Snakemake makes no plan, with what it says.
    """
    listener = _Listener()
    logger.addFilter(listener)
    said = StringIO()
    try:
        with redirect_stdout(said), warnings.catch_warnings():
            # Of its own default for disks, which it cannot work out before there are files.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            # No job asks for as many cores as Snakemake may use, or it would plan with fewer.
            cli.main([*arguments, "--dry-run", "--forceall", "--cores", "10000"])
    except SystemExit as end:
        if end.code:
            words = said.getvalue().strip()
            # Of a traceback, as of a configuration file that is missing, the last line says what is wrong.
            reason = words.splitlines()[-1] if words.startswith("Traceback") else words
            raise InputError(f"Snakemake makes no plan\n{reason}") from None
    finally:
        logger.removeFilter(listener)
    return listener.jobs


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


def _hours(jobs: Iterable[Job], of: str) -> float:
    """Return the hours of cores (`threads`) or GPUs (`gpus`) that jobs are expected to take."""
    return sum(getattr(job, of) * job.expected_s for job in jobs) / 3600
