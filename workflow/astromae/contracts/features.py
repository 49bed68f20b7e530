"""Shared features: the file of a frozen encoder's features of every training view, and of the evaluated stamps.

HDF5: `train` (epochs, n, width) and `val`, `test` (n, width), float16, each beside its `{subset}_objid`. It grows epoch
by epoch beside its place, with a note of the epochs that are on the disk, so that a step that was killed goes on after
the last of them.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from astromae.errors import InputError
from astromae.files import sha256, write_json, write_text
from astromae.progress import log
from astromae.training.fingerprint import refuse

#: Type of a stored feature (`astromae.encoders.frozen`).
FEATURE_TYPE = np.dtype("<f2")


class FeatureFile:
    """A file of features that is written epoch by epoch, and continued after its process was killed.

    The HDF5 library lays the file out; the features of an epoch are then written to their place in it like those of
    any other file, and counted in a note beside it once they are on the disk.

    Parameters
    ----------
    output
        The finished file.
    fingerprint
        That of the step; a file with another is begun anew.

    Attributes
    ----------
    epochs
        Epochs that are written.
    """

    def __init__(self, output: Path, fingerprint: dict[str, str]):
        self.output, self.fingerprint, self.epochs = output, fingerprint, 0
        self.path, self.note = (output.with_name(f".{output.name}.{part}") for part in ("partial", "epochs.json"))
        for unfinished in output.parent.glob(f".{self.note.name}.*"):
            # A process was killed while it wrote this.
            unfinished.unlink()
        if self.path.exists() and self.note.exists():
            noted = json.loads(self.note.read_text())
            if noted["fingerprint"] != fingerprint:
                refuse(self.path, fingerprint, noted["fingerprint"])
            else:
                self.epochs = noted["epochs"]
                log(f"continuing after epoch {self.epochs} in {self.path}")

    def lay_out(self, arrays: dict[str, np.ndarray], shape: tuple[int, int, int]) -> None:
        """Write everything but the training features, which have this shape."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.note.unlink(missing_ok=True)
        with h5py.File(self.path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
            train = file.create_dataset("train", shape, FEATURE_TYPE, fill_time="never")
            train[-1, -1, -1] = 0  # Gives all of it its place.

    def append(self, rows: np.ndarray) -> None:
        """Write the features (n, width) of the next epoch."""
        with h5py.File(self.path) as file:
            start = file["train"].id.get_offset()
        try:
            with open(self.path, "r+b") as file:
                file.seek(start + self.epochs * rows.nbytes)
                file.write(rows.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; the same command continues from there") from error
        self.epochs += 1
        write_json(self.note, {"fingerprint": self.fingerprint, "epochs": self.epochs})

    def finish(self) -> None:
        """Put the file in its place. Its checksum comes first: reading it all takes long, and may be repeated."""
        write_text(self.output.with_name(f"{self.output.name}.sha256"), f"{sha256(self.path)}\n")
        os.replace(self.path, self.output)
        # With what attempts left that were killed while they wrote it.
        for note in [self.note, *self.note.parent.glob(f".{self.note.name}.*")]:
            note.unlink()


@dataclass
class FeatureBank:
    """Features read back from a file of `write_features`.

    Attributes
    ----------
    path
        The file.
    """

    path: Path

    def identity(self) -> dict[str, str]:
        """Return the SHA-256 of the file, as the step that made it has written it down."""
        return {"features": self.path.with_name(f"{self.path.name}.sha256").read_text().strip()}

    def _read(self, subset: str, objid: np.ndarray, index: Any) -> Tensor:
        with h5py.File(self.path) as file:
            if not np.array_equal(file[f"{subset}_objid"][:], objid):
                raise InputError(
                    f"{self.path}: its {subset} galaxies are not those of the split; remove the file and rerun"
                )
            return torch.from_numpy(file[subset][index])

    def epoch(self, objid: np.ndarray, epoch: int) -> Tensor:
        """Return the training features of an epoch's views, (n, width), float16, in `objid`'s order."""
        return self._read("train", objid, epoch)

    def subset(self, subset: str, objid: np.ndarray) -> Tensor:
        """Return the features of the plain stamps of `val` or `test`, (n, width), float16."""
        return self._read(subset, objid, slice(None))
