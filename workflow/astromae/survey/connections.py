"""A limit on open connections that all running jobs keep together, through locks on files that they share."""

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from astromae.survey.locks import lock_file

#: Seconds between two looks for a free place: short against the second that a frame's connection is open.
_LOOK_S = 0.05


class ConnectionLimit:
    """At most so many connections at once, over every thread of every process that names the same folder.

    A place is a locked file. The lock goes with the process that holds it, so a killed one leaves its place free.

    Parameters
    ----------
    folder
        Where the files of the places lie; made if it does not exist.
    connections
        Number of places.
    """

    def __init__(self, folder: str | os.PathLike, connections: int):
        self.folder, self.connections = Path(folder), connections

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Wait for a place and hold it inside the block.

        Raises
        ------
        InputError
            If the folder's file system has no locks.
        """
        with contextlib.ExitStack() as held:
            while not self._take(held):
                time.sleep(_LOOK_S * random.uniform(0.5, 1.5))
            yield

    def _take(self, held: contextlib.ExitStack) -> bool:
        """Lock a place that is free and leave its file to `held`; return whether there was one."""
        first = random.randrange(self.connections)
        for turn in range(self.connections):
            if file := lock_file(self.folder / f"{(first + turn) % self.connections}.lock", wait=False):
                held.enter_context(file)
                return True
        return False
