"""Checkpoints: a step that was killed continues where it stood, and only if nothing has changed."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch

from astromae.files import atomic_path
from astromae.progress import log
from astromae.training.fingerprint import refuse

#: Bytes of a SHA-256.
DIGEST_SIZE = 32


class Checkpoint:
    """The latest two states of one training step, in a folder outside the workflow's outputs.

    A file holds the SHA-256 of the state before the state itself, so that a torn file is recognised;
    the state before it is kept until the next one is whole.

    Parameters
    ----------
    folder
        Folder of all checkpoints.
    step
        Name of the step, for example ``pretrain-experiment1-pcm-seed42``.
    fingerprint
        That of the step. It is part of the file's name: a state with another is another file, which is never
        continued, nor overwritten or removed, since its run may be taken up again.
    """

    def __init__(self, folder: Path, step: str, fingerprint: dict[str, str]):
        self.folder, self.step, self.fingerprint = Path(folder), step, fingerprint
        key = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
        self.path = self.folder / f"{step}.{key}.checkpoint"
        self.previous = self.path.with_suffix(".previous")

    def load(self) -> dict[str, Any] | None:
        """Return the latest whole state, or None where there is none."""
        for unfinished in self.folder.glob(f".{self.path.name}.*"):
            # A process was killed while it wrote this.
            unfinished.unlink(missing_ok=True)
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            state = _read(path)
            if state is None:
                log(f"{path} is torn: its checksum does not fit; looking for the state before it")
                continue
            where = f"in epoch {state['epoch'] + 1} after batch {state['batch']} " if "epoch" in state else ""
            log(f"continuing {where}from {path}")
            return state
        self._name_others()
        return None

    def _name_others(self) -> None:
        """Say which states of the same step are not continued, and why."""
        for path in sorted(self.folder.glob(f"{self.step}.*.checkpoint")):
            state = None if path == self.path else _read(path)
            if state is not None:
                refuse(path, self.fingerprint, state.get("fingerprint", {}))

    def save(self, state: dict[str, Any]) -> None:
        """Write a state, keeping the one before it."""
        buffer = io.BytesIO()
        torch.save(state | {"fingerprint": self.fingerprint}, buffer)
        payload = buffer.getbuffer()
        with atomic_path(self.path) as temporary:
            with open(temporary, "wb") as file:
                file.write(hashlib.sha256(payload).digest())
                file.write(payload)
            if self.path.exists():
                os.replace(self.path, self.previous)

    def remove(self) -> None:
        """Forget the states once the step's outputs are written."""
        self.path.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return a state, or None where the file is torn."""
    content = path.read_bytes()
    digest, payload = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
