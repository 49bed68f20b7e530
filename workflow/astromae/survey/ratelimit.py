"""A rate limit that all running jobs keep together, through a file that they share."""

import json
import os
import time
from pathlib import Path

from astromae.survey.locks import lock_file

#: Seconds of the window. One more than the minute that is promised: a request that was held up on its way
#: may arrive late beside one that was not.
WINDOW_S = 61.0


class RateLimit:
    """At most so many requests in any window of time, over every process that names the same file.

    A process that may go on learns when: it reserves the earliest moment at which the window has room, and
    sleeps until then. The file is replaced as a whole and its lock belongs to the process, so killing a
    process at any moment leaves a sound file, no lock, and at worst one reserved moment unused.

    Parameters
    ----------
    path
        The shared file. A second one with the suffix ``.lock`` lies beside it.
    requests
        Requests that are allowed in a window.
    window_s
        Length of the window, seconds.

    Raises
    ------
    InputError
        If the folder's file system has no locks.
    """

    def __init__(self, path: str | os.PathLike, requests: int, window_s: float = WINDOW_S):
        self.path, self.requests, self.window_s = Path(path), requests, window_s

    def wait(self) -> None:
        """Sleep until one more request is allowed, and count it."""
        time.sleep(max(0.0, self._reserve() - time.time()))

    def _reserve(self) -> float:
        """Return the moment (seconds since the epoch) at which the next request may start."""
        with lock_file(Path(f"{self.path}.lock"), wait=True):
            now = time.time()
            moments = self._moments(now)
            start = now
            if len(moments) >= self.requests:
                start = max(now, moments[-self.requests] + self.window_s)
            self._store([*moments, start])
        return start

    def _moments(self, now: float) -> list[float]:
        """Return the requests that still count, in order of time."""
        try:
            moments = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return []
        # If the clock was set back, requests must not be held up for longer than the queue can be.
        longest = now + self.window_s * (1 + len(moments) // self.requests)
        return sorted(moment for moment in moments if now - self.window_s < moment <= longest)

    def _store(self, moments: list[float]) -> None:
        # One name is enough, since the lock is held; the next process overwrites what a killed one left.
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.write_text(json.dumps(moments))
        os.replace(temporary, self.path)
