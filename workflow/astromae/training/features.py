"""Features of a frozen encoder, computed once for all the models that read them.

A frozen encoder maps a view to the same features whichever model asks, and views depend on seed,
epoch and batch alone (`astromae.training.views`). So one pass over every epoch's views serves all
models of an experiment with that encoder, which then train without running it.

The file grows epoch by epoch beside its place, with a note of the epochs that are on the disk, so that a step that was
killed goes on after the last of them.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from astromae.encoders import build_encoder, load_pretrained
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.files import sha256, write_json, write_text
from astromae.progress import Ticker, log
from astromae.settings.entries import Backbone
from astromae.training.attention import choose_attention
from astromae.training.checkpoint import refuse
from astromae.training.collapse import require_no_collapse
from astromae.training.folders import read_weights
from astromae.training.recipes import FeaturesRecipe
from astromae.training.scaling import read_scaling
from astromae.training.session import Session
from astromae.training.subsets import EVALUATED

#: Type of a stored feature (`astromae.encoders.frozen`).
FEATURE_TYPE = np.dtype("<f2")


def pretrained_encoder(folder: Path, backbone: Backbone, bands: int, side: int) -> nn.Module:
    """Return the encoder of a pretraining's folder, ready for fine-tuning.

    Parameters
    ----------
    folder
        Folder with weights.safetensors of the encoder and of what its objective added.
    backbone
        The encoder's entry of the configuration's `backbones`.
    bands
        Number of bands.
    side
        Pixels on a side of the stamps.
    """
    weights, prefix = read_weights(folder), "encoder."
    encoder = build_encoder(backbone, bands, side, "finetune")
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    load_pretrained(backbone, encoder, own)
    return encoder


@torch.no_grad()
def write_features(
    weights: Path,
    stamps: Sequence[Path],
    split: Path,
    scaling: Path,
    recipe: FeaturesRecipe,
    seed: int,
    features: Path,
) -> None:
    """Compute a frozen encoder's features of every training view and of the evaluated stamps.

    Parameters
    ----------
    weights
        Weights in the folder of a pretrained encoder.
    stamps, split, scaling
        Shards, split and scaling of the experiment.
    recipe
        Which encoder, and which views.
    seed
        Seed of order and augmentation, the same as the models'.
    features
        HDF5 file to write: `train` (epochs, n, width) and `val`, `test` (n, width), float16, each
        beside its `{subset}_objid`.

    Raises
    ------
    InputError
        If the encoder has collapsed: its features do not differ between stamps; or if they are no finite float16.
    """
    session, passes, folder = (
        Session("features", recipe, seed, read_scaling(scaling)),
        recipe.finetuning,
        weights.parent,
    )
    model = pretrained_encoder(folder, recipe.backbone, len(session.scaling.bands), recipe.crop)
    model = model.to(session.device).eval()
    choose_attention(model, session.device)
    frozen = FrozenEncoder(model)

    def compute(images: Tensor) -> np.ndarray:
        with session.fabric.autocast():
            computed = frozen.features(images).cpu().numpy()
        if not np.isfinite(computed).all():
            raise InputError(f"{folder}: features that are no finite float16; pretrain with a lower learning rate")
        return computed

    views = {
        subset: session.subset(stamps, split, [subset], passes.batch_size, passes.noise_sigma)
        for subset in ("train", *EVALUATED)
    }
    data = [part for objid, view in views.values() for part in (objid, view.stamps.identity())]
    data += [weight.cpu().numpy() for weight in model.state_dict().values()]
    growing = _GrowingFile(features, session.identify(*data))
    objid, training = views["train"]
    epochs = passes.passes(len(objid))
    if not growing.epochs:
        evaluated = {
            subset: np.concatenate([compute(images) for _, _, images in views[subset][1].plain()])
            for subset in EVALUATED
        }
        for subset, computed in evaluated.items():
            require_no_collapse(torch.from_numpy(computed), f"{folder}, subset {subset}")
        growing.lay_out(
            {f"{subset}_objid": ids for subset, (ids, _) in views.items()} | evaluated,
            (epochs, len(objid), model.width),
        )
    done = growing.epochs * len(training)
    ticker = Ticker(f"features {recipe.name}", epochs * len(training), "batches", done)
    for epoch in range(growing.epochs, epochs):
        rows = np.empty((len(objid), model.width), FEATURE_TYPE)
        for _, positions, images in training.epoch(epoch):
            rows[positions.numpy()] = compute(images)
            ticker.advance()
        growing.append(rows)
    ticker.close()
    growing.finish()


class _GrowingFile:
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
            said = json.loads(self.note.read_text())
            if said["fingerprint"] != fingerprint:
                refuse(self.path, fingerprint, said["fingerprint"])
            else:
                self.epochs = said["epochs"]
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
