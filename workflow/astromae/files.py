"""Writing files so that a reader never sees half of one."""

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from astromae.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it when the block ends without an error.

    Parameters
    ----------
    path
        Final place of the file. Missing parent folders are made.

    Yields
    ------
    Path
        Where to write. It has the suffix of `path`, so that libraries that look at it are content.

    Raises
    ------
    InputError
        If the disk is full; `path` keeps what it held before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    # mkstemp makes files that only the owner reads; results are shared like any other file.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{path}: the disk is full ({error.strerror}). Nothing was overwritten; "
                f"free some space on {path.parent} and run the same command again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` atomically, as indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksum(path: str | Path) -> None:
    """Write the SHA-256 of a file's or a folder's content beside it, as ``<path>.sha256``.

    The workflow compares these instead of files that are too large to be read for every plan. A folder's
    is that of its files' paths and checksums.
    """
    path = Path(path)
    digest = sha256(path) if path.is_file() else _folder_sha256(path)
    write_text(path.with_name(f"{path.name}.sha256"), f"{digest}\n")


def _folder_sha256(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    listed = [[file.relative_to(folder).as_posix(), sha256(file)] for file in files]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
