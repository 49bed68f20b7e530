"""Processor time of what tests start, which depends little on what else the machine does."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from turns import alone


@contextmanager
def processor_seconds() -> Iterator[Callable[[], float]]:
    """Measure what child processes take, from the start of the block to the call of what it is given.

    No other process of pytest is at a test meanwhile.
    """

    def now() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    with alone():
        before = now()
        yield lambda: now() - before
