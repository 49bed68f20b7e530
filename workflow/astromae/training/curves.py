"""Curves of a training for TensorBoard: loss, learning rate, speed and time while it runs."""

from pathlib import Path

from tensorboardX import SummaryWriter

#: Events wait no longer than this to be written, seconds.
FLUSH_S = 10


class Curves:
    """Writes event files. They hold times, so they lie outside the workflow's outputs.

    The step of every curve is the number of batches seen. A training that continues adds a file that takes
    back what was written after the state from which it continues.

    Parameters
    ----------
    folder
        Folder of one training's event files, or None to write nothing.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.writer: SummaryWriter | None = None

    def start(self, step: int, attempt: int) -> None:
        """Begin, or continue after `step` batches in the given attempt, counted from 1."""
        if self.folder is None:
            return
        if step == 0:
            for path in Path(self.folder).glob("events.out.tfevents.*"):
                path.unlink()
        # Attempts within one second would else share a name, and the second overwrite the first.
        suffix = f".attempt{attempt}"
        self.writer = SummaryWriter(str(self.folder), purge_step=step, flush_secs=FLUSH_S, filename_suffix=suffix)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add a point to each named curve."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what waits."""
        if self.writer is not None:
            self.writer.close()
