"""Locks on files, by which running jobs share a limit."""

import errno
import fcntl
from pathlib import Path
from typing import TextIO

from astromae.errors import InputError


def lock_file(path: Path, wait: bool) -> TextIO | None:
    """Open a file and lock it until it is closed or its process ends.

    Returns None if another process holds the lock and one is not to `wait` for it. Raises InputError if the file
    system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        file.close()
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise InputError(
                f"{path.parent}: this file system has no locks ({error.strerror}), which running jobs need to share a "
                "limit; put results on one that has"
            ) from error
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return None
    return file
