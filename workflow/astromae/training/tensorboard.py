"""Scalars of a training for TensorBoard: loss, learning rate, speed and time while it runs."""

import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary


class TensorBoard:
    """Writes event files. They hold times, so they lie outside the workflow's outputs.

    The step of every scalar is the number of batches seen. A training that continues adds a file that takes
    back what was written after the state from which it continues. Points are written at once, since those
    before that state would be missing if they waited in a process that is killed.

    Parameters
    ----------
    folder
        Folder of one training's event files, or None to write nothing.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.writer: EventsWriter | None = None

    def start(self, step: int, attempt: int) -> None:
        """Begin, or continue after `step` batches in the given attempt, counted from 1."""
        if self.folder is None:
            return
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        if step == 0:
            for path in folder.glob("events.out.tfevents.*"):
                path.unlink()
        # Attempts within one second would else share a name, and the second overwrite the first.
        self.writer = EventsWriter(str(folder / "events"), f".attempt{attempt}")
        # TensorBoard forgets the steps from a session's start on.
        self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add a value to each named scalar."""
        if self.writer is not None:
            points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            self._write(Event(step=step, summary=Summary(value=points)))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self.writer.write_event(event)
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()
