"""Turns of the processes that share the tests: what measures processor time has the machine to itself.

Where a core has two threads, and caches are shared, a busy neighbour adds to the processor time of a run.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Names the run of pytest-xdist that a process belongs to; not set where one process runs all tests.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")

_held: int | None = None


@contextmanager
def beside_others() -> Iterator[None]:
    """Run a test beside those of other processes, once none of them measures."""
    global _held
    if RUN is None:
        yield
        return
    _held = os.open(Path(tempfile.gettempdir(), f"tests-{RUN}.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(_held, fcntl.LOCK_SH)
        yield
    finally:
        os.close(_held)
        _held = None


@contextmanager
def alone() -> Iterator[None]:
    """Measure within a test, once no other process is at one."""
    if _held is None:
        yield
        return
    fcntl.flock(_held, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(_held, fcntl.LOCK_SH)
