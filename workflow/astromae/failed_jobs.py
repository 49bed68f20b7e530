"""The jobs that failed in a run of Snakemake, and the last lines of their logs."""

import atexit
import re
import sys
from pathlib import Path

#: Lines of a job's log that are shown.
LINES = 15


def failed_logs(snakemake_log: str) -> list[tuple[str, Path]]:
    """Return the rule and the log of each job that failed, the last attempt's where there were several.

    Parameters
    ----------
    snakemake_log
        What Snakemake wrote of a run.
    """
    failed = {}
    for block in re.split(r"^Error in rule ", snakemake_log, flags=re.M)[1:]:
        rule = block.partition(":")[0]
        if log := re.search(r"^    log: ([^\s,]+)", block, flags=re.M):
            failed[Path(log[1])] = rule
    return [(rule, path) for path, rule in failed.items()]


def describe_failed_jobs(snakemake_log: str) -> str:
    """Return the last lines of each failed job's log, under the job's rule and the log's name."""
    parts = []
    for rule, path in failed_logs(snakemake_log):
        lines = path.read_text(errors="replace").splitlines()[-LINES:] if path.is_file() else ["(no log was written)"]
        lines = lines or ["(nothing: it was stopped before it wrote a line)"]
        parts.append("\n".join([f"{rule} failed; {path} ends:", *(f"    {line}" for line in lines)]))
    return "\n".join(parts)


def print_at_exit(text: str) -> None:
    """Print to the standard error after all that this process prints, Snakemake's own summary of a run included."""
    atexit.register(lambda: print(f"\n{text}", file=sys.stderr, flush=True))
