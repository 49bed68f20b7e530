"""Checkpoints: a step that was killed continues where it stood, and only if nothing has changed."""

import hashlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astromae.files import atomic_path
from astromae.progress import log

#: Packages whose source decides what a training step computes.
CODE = ("astromae.models", "astromae.training", "astromae.stamps")


def fingerprint(recipe: dict[str, Any], seed: int, *data: np.ndarray) -> str:
    """Return a hash of recipe, seed, data, code and the version of torch.

    Parameters
    ----------
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
    for name, module in sorted(sys.modules.items()):
        if name.startswith(CODE):
            digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


class Checkpoint:
    """The latest state of one training step, in a folder outside the workflow's outputs.

    Parameters
    ----------
    folder
        Folder of all checkpoints.
    key
        `fingerprint` of the step; a state with another key is another file and is never read.
    """

    def __init__(self, folder: Path, key: str):
        self.path = Path(folder) / f"{key}.pt"

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None where there is none."""
        if not self.path.exists():
            return None
        state = torch.load(self.path, weights_only=True)
        log(f"continuing after epoch {state['epoch']} from {self.path}")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state."""
        with atomic_path(self.path) as temporary:
            torch.save(state, temporary)

    def remove(self) -> None:
        """Forget the state once the step's outputs are written."""
        self.path.unlink(missing_ok=True)
