"""Processor time of what tests start, which does not depend on what else the machine does."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def processor_seconds() -> Iterator[Callable[[], float]]:
    """Measure what child processes take, from the start of the block to the call of what it is given."""

    def now() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = now()
    yield lambda: now() - before
