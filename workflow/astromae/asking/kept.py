"""Answers that are kept beside the output until all galaxies have one: of one question, and one run at a time."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from astromae.errors import InputError
from astromae.files import write_json
from astromae.progress import log

#: In the folder: the digest of the question, and what the run that works there holds.
QUESTION, LOCK = "question.json", "lock"


def folder_of(output: Path) -> Path:
    """Return the folder in which the answers that an output will hold are kept."""
    return output.with_name(f"{output.name}.parts")


@contextlib.contextmanager
def kept_answers(folder: Path, identity: Sequence[object]) -> Iterator[None]:
    """Keep answers in a folder: those of an earlier run that was killed, if it was asked the same, else none.

    At the end of the block the folder is removed; after an error it stays, for the same call to go on from.

    Parameters
    ----------
    folder
        Folder of the answers; made where it is not there.
    identity
        What is another one for another question, as JSON holds it.

    Raises
    ------
    InputError
        If the folder holds something else, or another run works there.
    """
    _require_ours(folder)
    with _held(folder):
        _begin(folder, hashlib.sha256(json.dumps(identity).encode()).hexdigest())
        yield
        shutil.rmtree(folder)


def _require_ours(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or not ((folder / QUESTION).is_file() or {path.name for path in folder.iterdir()} <= {LOCK}):
        raise InputError(f"{folder}: is not of answers; move it away, or give the answers another name")


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the operating system gives it back when the process ends, however it ends."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # Another run has come to its end meanwhile, and removed the folder.
        try:
            # Some file systems have no locks: there two runs are not told apart.
            with contextlib.suppress(OSError):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise InputError(
                        f"{folder}: another run is answering there; wait for it, or give the answers another name"
                    ) from None
            if not _is_at(folder / LOCK, handle):
                continue
            yield
            return
        finally:
            os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _begin(folder: Path, digest: str) -> None:
    """Empty the folder of the answers to another question."""
    path = folder / QUESTION
    if path.is_file():
        try:
            same = json.loads(path.read_text(encoding="utf-8")) == digest
        except (OSError, ValueError):
            same = False
        if same:
            log(f"{folder}: going on with what was answered before")
            return
        log(f"{folder}: is of another question; beginning anew")
        for other in folder.iterdir():
            if other.name != LOCK:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
    write_json(path, digest)
