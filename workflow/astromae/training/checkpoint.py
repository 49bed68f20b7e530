"""Checkpoints: a step that was killed continues where it stood, and only if nothing has changed."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astromae.files import atomic_path
from astromae.progress import log
from astromae.sources import command_sources

#: Bytes of a SHA-256.
DIGEST_SIZE = 32


def fingerprint(command: str, recipe: dict[str, Any], seed: int, *data: np.ndarray) -> str:
    """Return a hash of recipe, seed, data, code and the version of torch.

    Parameters
    ----------
    command
        Subcommand of the step, whose source files are its code.
    recipe
        Everything configured about the step.
    seed
        Its seed.
    *data
        The arrays that it learns from.
    """
    digest = hashlib.sha256(json.dumps([recipe, seed, torch.__version__], sort_keys=True).encode())
    for array in data:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for source in command_sources(command):
        digest.update(source.read_bytes())
    return digest.hexdigest()


class Checkpoint:
    """The latest two states of one training step, in a folder outside the workflow's outputs.

    A file holds the SHA-256 of the state before the state itself, so that a torn file is recognised;
    the state before it is kept until the next one is whole.

    Parameters
    ----------
    folder
        Folder of all checkpoints.
    key
        `fingerprint` of the step; a state with another key is another file and is never read.
    """

    def __init__(self, folder: Path, key: str):
        self.path = Path(folder) / f"{key}.checkpoint"
        self.previous = self.path.with_suffix(".previous")

    def load(self) -> dict[str, Any] | None:
        """Return the latest whole state, or None where there is none."""
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            content = path.read_bytes()
            digest, payload = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
            if hashlib.sha256(payload).digest() != digest:
                log(f"{path} is torn: its checksum does not fit; looking for the state before it")
                continue
            state = torch.load(io.BytesIO(payload), weights_only=True)
            log(f"continuing in epoch {state['epoch'] + 1} after batch {state['batch']} from {path}")
            return state
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Write a state, keeping the one before it."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
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
