"""When a training must stop to save its state."""

import math
import signal
import time

#: Longest time before its limit at which a step stops to save its state, seconds.
MARGIN_S = 120.0


class Deadline:
    """Knows when a step must stop: after SIGTERM, or shortly before its time limit.

    SIGTERM is caught inside its ``with`` block, which is around `fit`. Before and after that there is no state to
    save, and SIGTERM does what it did before.

    Parameters
    ----------
    minutes
        Time limit of the step from now, or None. A twentieth of it, at most `MARGIN_S`, is kept for
        saving the state.
    """

    def __init__(self, minutes: float | None):
        self.end = math.inf
        if minutes is not None:
            self.end = time.monotonic() + 60 * minutes - min(3 * minutes, MARGIN_S)
        self.terminated = False

    def __enter__(self) -> "Deadline":
        """Catch SIGTERM from now on."""
        self.former = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handler back."""
        # None stands for a handler that Python did not install and cannot put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if self.former is None else self.former)

    def _terminate(self, number: int, frame: object) -> None:
        self.terminated = True

    def passed(self) -> bool:
        """Return whether to stop now."""
        return self.terminated or time.monotonic() > self.end
