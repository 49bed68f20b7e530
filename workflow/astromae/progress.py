"""Progress that a person can follow: a bar on a terminal, sparse lines in a log."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

#: Longest silence of a long step, seconds.
INTERVAL_S = 8.0


#: Whether this process speaks: of those that torchrun starts for one step only the first does.
SPEAKS = os.environ.get("RANK", "0") == "0"


def log(message: str) -> None:
    """Print one line to standard error at once."""
    if SPEAKS:
        print(message, file=sys.stderr, flush=True)


class Ticker:
    """Say where a loop stands, at most every `INTERVAL_S` seconds.

    Parameters
    ----------
    label
        What is being done, for example ``pretrain pcm``.
    total
        Number of steps, or None when it is not known.
    unit
        What a step is, in the plural.
    """

    def __init__(self, label: str, total: int | None, unit: str = "steps"):
        self.label, self.total, self.unit = label, total, unit
        self.count = 0
        self.started = self.spoken = time.monotonic()
        self.bar = tqdm(total=total, desc=label, unit=f" {unit}") if SPEAKS and sys.stderr.isatty() else None

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more, with an optional `note` such as the current loss."""
        self.count += steps
        if self.bar is not None:
            if note:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(steps)
            return
        now = time.monotonic()
        if now - self.spoken >= INTERVAL_S or self.count == self.total:
            self.spoken = now
            of_total = f"/{self.total}" if self.total else ""
            elapsed_s = now - self.started
            log(f"[{self.label}] {self.count}{of_total} {self.unit}, {elapsed_s:.0f} s{', ' + note if note else ''}")

    def close(self) -> None:
        """Finish the bar, if there is one."""
        if self.bar is not None:
            self.bar.close()


def track(items: Iterable[Item], label: str, total: int | None = None, unit: str = "steps") -> Iterator[Item]:
    """Yield `items`, saying where the loop stands."""
    ticker = Ticker(label, total if total is not None else (len(items) if hasattr(items, "__len__") else None), unit)
    try:
        for item in items:
            yield item
            ticker.advance()
    finally:
        ticker.close()
