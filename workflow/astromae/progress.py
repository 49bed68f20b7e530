"""Progress that a person can follow: a bar on a terminal, sparse lines in a log."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

#: Longest silence of a long step, seconds.
INTERVAL_S = 8.0

#: Whether this process speaks: of those that torchrun starts for one step only the first does.
SPEAKS = os.environ.get("RANK", "0") == "0"


def log(message: str) -> None:
    """Print one line to standard error at once."""
    if SPEAKS:
        print(message, file=sys.stderr, flush=True)


class _Lines:
    """Where tqdm writes if there is no terminal: each state of the bar becomes a line, once."""

    last = ""

    def write(self, text: str) -> None:
        if (line := text.strip()) and line != self.last:
            log(line)
            self.last = line

    def flush(self) -> None: ...


class Ticker(tqdm):
    """Show where a loop stands: a bar on a terminal, else a line at most every `INTERVAL_S` seconds and at the end.

    Parameters
    ----------
    label
        What is being done, for example ``pretrain pcm``.
    total
        Number of steps, or None when it is not known.
    unit
        What a step is, in the plural.
    done
        Steps that were done before.
    items
        What to iterate over, if the loop is not counted by `advance`.
    """

    # No thread that watches the bar.
    monitor_interval = 0

    def __init__(
        self, label: str, total: int | None, unit: str = "steps", done: int = 0, items: Iterable[Any] | None = None
    ):
        lines = {
            "file": _Lines(),
            "mininterval": INTERVAL_S,
            "miniters": 1,
            "bar_format": "[{desc}] {n_fmt}/{total_fmt} {unit}, {elapsed} elapsed, {remaining} left{postfix}",
            # Nothing before the first step.
            "delay": sys.float_info.min,
        }
        layout = {"unit": f" {unit}"} if sys.stderr.isatty() else {"unit": unit, **lines}
        super().__init__(items, desc=label, total=total, initial=done, disable=not SPEAKS, **layout)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more, with an optional `note` such as the current loss."""
        if note:
            self.set_postfix_str(note, refresh=False)
        self.update(steps)


def track(items: Iterable[Any], label: str, unit: str = "steps") -> Ticker:
    """Return `items` to iterate over, which shows where the loop stands."""
    return Ticker(label, None, unit, items=items)
