"""How `make paper` shows a run: what is done, what runs and how far it is, what is to come, and when it will end.

On a terminal these are a few lines that stay in place. Elsewhere, as in a file, each job is a line when it starts and
one when it ends, and every minute a line says how far the running ones are. What the jobs themselves print is in
their logs, and all that Snakemake says in the file that it names at the end.

Snakemake finds this package by its name, with workflow/ on Python's path, and uses it with ``--logger astromae``.
"""

import contextlib
import datetime
import logging
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

#: Seconds between two lines about the running jobs where there is no terminal.
INTERVAL_S = 60

#: Seconds between two estimates of when the run will end.
RECKON_S = 5

#: Beginnings of Snakemake's routine messages, which its log file keeps.
CHATTER = (
    "Assuming unrestricted",
    "Building DAG",
    "Conda environments: ignored",
    "Config file ",
    "Execute ",
    "RuleException:\nCalledProcessError",
    "Select jobs to execute",
    "Singularity containers: ignored",
    "Using shell",
    "Using workflow specific profile",
    "Waiting at most",
    "host: ",
)


@dataclass
class RunningJob:
    """A job that runs: its rule, its wildcards as text, first output and log, and when it started."""

    rule: str
    wildcards: str
    output: str | None
    log: Path | None
    started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """Rule and wildcards."""
        return f"{self.rule} {self.wildcards}".strip()

    @property
    def runs_s(self) -> float:
        """Seconds since it started."""
        return time.monotonic() - self.started

    def last_line(self) -> str:
        """Return what its log says last."""
        with contextlib.suppress(OSError), open(self.log or os.devnull, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 1000))
            lines = file.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


class Run:
    """The state of a run.

    Attributes
    ----------
    jobs, done
        Number of jobs by rule, all of them and those that have ended.
    running
        Those that run, by Snakemake's number.
    """

    def __init__(self):
        self.jobs: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.running: dict[int, RunningJob] = {}
        self.started = time.monotonic()
        # Snakemake may go to another folder before it runs jobs.
        self._folder = Path.cwd()
        self._cores: int | None = None
        self._planned = []
        self._took: dict[str | None, float] = {}
        self._end: datetime.datetime | None = None
        self._reckoned = -math.inf

    def plan(self, cores: int | None) -> None:
        """Learn in the background how long the jobs are expected to take."""
        self._cores = cores
        threading.Thread(target=self._plan, daemon=True).start()

    def _plan(self) -> None:
        from astromae.errors import InputError
        from astromae.plan import dry_run

        # Without a plan there is no time to tell, and nothing else is lost.
        with contextlib.suppress(InputError, OSError, ValueError, KeyError):
            self._planned = dry_run([*sys.argv[1:], "--ignore-incomplete"], self._folder)

    def end(self, number: int) -> RunningJob | None:
        """Count a job as done and return it."""
        job = self.running.pop(number, None)
        if job is not None:
            self.done[job.rule] += 1
            self._took[job.output] = job.runs_s
        return job

    def _expected_end(self) -> datetime.datetime | None:
        """Return when the last job is expected to end; None before there is a plan."""
        # Thousands of jobs take a second to reckon with.
        if self._planned and time.monotonic() - self._reckoned > RECKON_S:
            from astromae.plan import time_left_s

            runs = {job.output: job.runs_s for job in list(self.running.values())}
            left_s = time_left_s(self._planned, self._cores, self._took, runs)
            self._end = datetime.datetime.now() + datetime.timedelta(seconds=left_s)
            self._reckoned = time.monotonic()
        return self._end

    def summary(self) -> str:
        """Say how many jobs are done, and when the last will be."""
        parts = [f"{self.done.total()} of {self.jobs.total()} jobs", f"{_duration(time.monotonic() - self.started)}"]
        if end := self._expected_end():
            left_s = max(60, (end - datetime.datetime.now()).total_seconds())
            day = "" if end.date() == datetime.date.today() else f"{end:%a %d %b }"
            parts.append(f"about {_duration(left_s)} left, until {day}{end:%H:%M}")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _counts(jobs: Mapping[str, int]) -> str:
    # A no-break space, so that a number stays with its rule.
    return ", ".join(f"{rule}\N{NO-BREAK SPACE}{count}" if count > 1 else rule for rule, count in jobs.items())


class LogHandler(LogHandlerBase):
    """What Snakemake logs, as lines for a person."""

    writes_to_stream, writes_to_file, needs_rulegraph = True, False, False
    # Snakemake's own filter and words, for all that is not shown in another way.
    has_filter, has_formatter = False, False

    def __post_init__(self) -> None:
        """Find out where lines go."""
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.on_terminal = self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.run, self.live, self.cores, self.ended = Run(), None, None, threading.Event()
        # Not at the top: Snakemake imports this package before it knows in which clone the rules' own one lies.
        from astromae.step_shell import SILENT

        os.environ[SILENT] = "yes"

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        shown = {
            LogEvent.RUN_INFO: self._begin,
            LogEvent.RESOURCES_INFO: self._resources,
            LogEvent.JOB_INFO: self._start,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.JOB_ERROR: self._fail,
        }
        hidden = (
            LogEvent.WORKFLOW_STARTED,
            LogEvent.JOB_STARTED,
            LogEvent.PROGRESS,
            LogEvent.SHELLCMD,
            LogEvent.GROUP_INFO,
        )
        event = getattr(record, "event", None)
        try:
            if not self.common_settings.dryrun and event in shown:
                shown[event](record)
            elif self.common_settings.dryrun or event not in hidden:
                text = self.format(record)
                if text and text != "None" and (self.common_settings.dryrun or not text.startswith(CHATTER)):
                    self._say(text)
        except Exception:
            self.handleError(record)

    def _say(self, text: str, time_of_day: bool = False) -> None:
        """Print text, above what stays in place."""
        if time_of_day:
            text = f"{datetime.datetime.now():%H:%M:%S}  {text}"
        if self.live:
            from rich.text import Text

            self.live.console.print(Text(text), soft_wrap=True)
        else:
            print(text, file=self.stream, flush=True)

    def _resources(self, record: logging.LogRecord) -> None:
        self.cores = getattr(record, "cores", self.cores)

    def _begin(self, record: logging.LogRecord) -> None:
        self.run.jobs = Counter({rule: count for rule, count in record.stats.items() if rule != "total"})
        self.run.plan(self.cores)
        if self.on_terminal:
            from rich.console import Console
            from rich.live import Live

            self.live = Live(
                get_renderable=self._table,
                console=Console(file=self.stream),
                refresh_per_second=2,
                vertical_overflow="visible",
            )
            self.live.start()
        else:
            total = self.run.jobs.total()
            self._say(f"{total} job{'s' * (total != 1)}: {_counts(self.run.jobs)}", time_of_day=True)
            threading.Thread(target=self._report, daemon=True).start()

    def _start(self, record: logging.LogRecord) -> None:
        output, log = ([str(path) for path in getattr(record, kind) or ()] for kind in ("output", "log"))
        wildcards = ", ".join(f"{name} {value}" for name, value in record.wildcards.items())
        job = RunningJob(
            record.rule_name, wildcards, output[0] if output else None, Path(log[0]).absolute() if log else None
        )
        self.run.running[record.jobid] = job
        if not self.live:
            self._say(f"{job.name} starts", time_of_day=True)

    def _finish(self, record: logging.LogRecord) -> None:
        job = self.run.end(record.job_id)
        if job and not self.live:
            self._say(f"{job.name} is done, {_duration(job.runs_s)}; {self.run.summary()}", time_of_day=True)

    def _fail(self, record: logging.LogRecord) -> None:
        job = self.run.running.pop(record.jobid, None)
        name = job.name if job else record.rule_name
        self._say(f"{name} failed" + (f"; its log is {', '.join(map(str, record.log))}" if record.log else ""), True)

    def _report(self) -> None:
        """Say every minute how far the running jobs are."""
        while not self.ended.wait(INTERVAL_S):
            for job in list(self.run.running.values()):
                self._say(f"{job.name} runs, {_duration(job.runs_s)}: {job.last_line()}", time_of_day=True)

    def _table(self):
        """Return what stays in place on a terminal."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        run = self.run
        running = list(run.running.values())
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")

        def row(title: str, style: str, text: str, wrap: bool = False) -> None:
            table.add_row(Text(title, style), Text(text, no_wrap=not wrap, overflow="fold" if wrap else "ellipsis"))

        under_way = {job.rule for job in running}
        done = [rule for rule, count in run.jobs.items() if run.done[rule] >= count]
        to_come = [rule for rule in run.jobs if rule not in under_way and rule not in done]
        if done:
            row("done", "green", _counts({rule: run.jobs[rule] for rule in done}), wrap=True)
        for job in running:
            row("running", "bold", f"{job.name} ({run.done[job.rule]} of {run.jobs[job.rule]} done)")
            row("", "", f"{_duration(job.runs_s)}  {job.last_line()}")
        if to_come:
            row("to come", "dim", _counts({rule: run.jobs[rule] - run.done[rule] for rule in to_come}), wrap=True)
        bar = ProgressBar(total=max(1, run.jobs.total()), completed=run.done.total())
        return Group(table, Text(run.summary(), overflow="ellipsis", no_wrap=True), bar)

    def close(self) -> None:
        """Leave the last state on the terminal."""
        self.ended.set()
        if self.live:
            self.live.stop()
            self.live = None
        super().close()
