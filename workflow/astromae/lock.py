"""Snakemake's lock of a run that was killed, recognised and removed when the next run starts.

Snakemake locks the files of a run by writing down their names, and cannot know later whether the process that
wrote them still lives. An flock can: the operating system gives it back when its process ends, however it ends.
So every run holds one, and a file beside it names the hosts whose runs have not come to their end.
"""

import atexit
import contextlib
import fcntl
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from astromae.errors import InputError
from astromae.progress import log

#: In the working directory of the run, beside Snakemake's own records.
FILE = Path(".snakemake/runs-under-way.json")


def release_killed_lock() -> None:
    """Say that a run is under way here, and remove Snakemake's lock if it is that of a run that was killed.

    To be called by a process of Snakemake before it locks its files, in its working directory. It is taken for
    killed if no run that started here goes on, and the last one did not say that it ended. A lock of another host
    is left alone: where the file system does not show one host the flocks of another, nobody here knows
    whether its process lives.

    Raises
    ------
    InputError
        If Snakemake cannot remove the lock.
    """
    path, host = FILE.absolute(), platform.node()
    try:
        path.parent.mkdir(exist_ok=True)
        # Not inherited by the jobs, which may outlive a run that is killed.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return  # A folder that cannot be written has no lock, and Snakemake says what is wrong.
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # Another run goes on here.
    except OSError:
        os.close(handle)
        return  # No flocks on this file system: a lock that is left over is Snakemake's own --unlock's.
    else:
        hosts = _read(handle)
        if hosts == {host}:
            log("a run here was killed; its lock is removed, and this run continues it")
            _unlock()
            _write(handle, ())
        elif hosts:
            others = ", ".join(sorted(hosts - {host}))
            log(
                f"a run on {others} goes on or was killed; if it was, and the folder is found locked, run with --unlock"
            )
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    _write(handle, _read(handle) | {host})
    atexit.register(_end, handle, host)


def _end(handle: int, host: str) -> None:
    """Say that the last run of this host has come to its end."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write(handle, _read(handle) - {host})
    os.close(handle)


def _read(handle: int) -> set[str]:
    """Return the hosts in the file; none where a killed process left half a line."""
    try:
        return set(json.loads(os.pread(handle, 2**16, 0) or b"[]"))
    except (ValueError, TypeError):
        return set()


def _write(handle: int, hosts: Iterable[str]) -> None:
    """Write the hosts over the file, which must stay the same file for the flocks that are held on it."""
    text = json.dumps(sorted(hosts)).encode()
    if text != os.pread(handle, 2**16, 0):
        os.pwrite(handle, text, 0)
        os.ftruncate(handle, len(text))


def _unlock() -> None:
    """Let Snakemake remove its lock of this folder, whatever workflow holds it."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "Snakefile")
        empty.touch()
        command = ["-m", "snakemake", "--unlock", "--snakefile", str(empty), "--directory", os.getcwd()]
        ran = subprocess.run(
            [sys.executable, *command, "--workflow-profile", "none"], capture_output=True, text=True, cwd=folder
        )
    if ran.returncode:
        output = " ".join((ran.stdout + ran.stderr).split())[-300:]
        raise InputError(f"{os.getcwd()}: a killed run's lock is not to be removed: {output}")
