"""Features of a frozen encoder, computed once for all the models that read them.

A frozen encoder maps a view to the same features whichever model asks, and views depend on seed,
epoch and batch alone (`astromae.training.views`). So one pass over every epoch's views serves all
models of an experiment with that encoder, which then train without running it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from astromae.errors import InputError
from astromae.files import atomic_path, write_checksum
from astromae.models.frozen import FrozenEncoder
from astromae.models.vit import Encoder, build_encoder, choose_attention, load_pretrained
from astromae.progress import Ticker
from astromae.sizes import source_size
from astromae.training.liveness import require_alive
from astromae.training.parallel import WHOLE, Share
from astromae.training.runtime import make_fabric
from astromae.training.scaling import Scaling
from astromae.training.sources import open_stamps
from astromae.training.subsets import EVALUATED, members
from astromae.training.views import Views


def pretrained_encoder(folder: Path, backbone: dict[str, Any], side: int) -> Encoder:
    """Return the encoder of a pretraining's folder, ready for fine-tuning.

    Parameters
    ----------
    folder
        Folder with weights.safetensors of the whole autoencoder.
    backbone
        The encoder's entry of the configuration's `backbones`.
    side
        Pixels on a side of the stamps.
    """
    weights = load_file(folder / "weights.safetensors")
    encoder = build_encoder(backbone, side, "finetune")
    load_pretrained(encoder, {k.removeprefix("encoder."): v for k, v in weights.items() if k.startswith("encoder.")})
    return encoder


def finetuning_views(
    stamps: Sequence[Path],
    split: Path,
    subset: str,
    scaling: dict[str, Any],
    recipe: dict[str, Any],
    seed: int,
    device: torch.device,
    share: Share = WHOLE,
) -> tuple[np.ndarray, Views]:
    """Return object ids and views of one subset as fine-tuning sees them."""
    objid = members(split, [subset])
    crop = recipe["scaling"]["crop"]
    source = open_stamps(stamps, objid, source_size(crop, recipe["augmentation"]), device)
    settings = recipe["finetuning"]
    return objid, Views(
        source,
        Scaling(**scaling),
        recipe["augmentation"],
        crop,
        settings["noise_sigma"],
        settings["batch_size"],
        seed,
        share,
    )


@torch.no_grad()
def write_features(
    encoder: Path,
    stamps: Sequence[Path],
    split: Path,
    scaling: dict[str, Any],
    recipe: dict[str, Any],
    seed: int,
    output: Path,
) -> None:
    """Compute a frozen encoder's features of every training view and of the evaluated stamps.

    Parameters
    ----------
    encoder
        Folder of a pretrained encoder.
    stamps, split, scaling
        Shards, split and scaling of the experiment.
    recipe
        `name`, `backbone`, `scaling`, `augmentation`, `finetuning` and `runtime`.
    seed
        Seed of order and augmentation, the same as the models'.
    output
        HDF5 file to write: `train` (epochs, n, width) and `val`, `test` (n, width), float32, each
        beside its `{subset}_objid`.

    Raises
    ------
    InputError
        If the encoder is dead: its features do not differ between stamps.
    """
    fabric = make_fabric(recipe["runtime"])
    model = pretrained_encoder(encoder, recipe["backbone"], recipe["scaling"]["crop"]).to(fabric.device).eval()
    choose_attention(model, fabric.device)
    frozen = FrozenEncoder(model)
    epochs = recipe["finetuning"]["epochs"]

    def compute(images: Tensor) -> np.ndarray:
        with fabric.autocast():
            return frozen.features(images).cpu().numpy()

    with atomic_path(output) as temporary, h5py.File(temporary, "w") as file:
        for subset in EVALUATED:
            objid, views = finetuning_views(stamps, split, subset, scaling, recipe, seed, fabric.device)
            file[f"{subset}_objid"] = objid
            features = np.concatenate([compute(images) for _, _, images in views.plain()])
            file[subset] = features
            require_alive(torch.from_numpy(features), f"{encoder}, subset {subset}")
        objid, views = finetuning_views(stamps, split, "train", scaling, recipe, seed, fabric.device)
        file["train_objid"] = objid
        train = file.create_dataset("train", (epochs, len(objid), model.width), "f4")
        ticker = Ticker(f"features {recipe['name']}", epochs * len(views), "batches")
        for epoch in range(epochs):
            rows = np.empty(train.shape[1:], "f4")
            for _, positions, images in views.epoch(epoch):
                rows[positions.numpy()] = compute(images)
                ticker.advance()
            train[epoch] = rows
        ticker.close()
    write_checksum(output)


@dataclass
class FeatureBank:
    """Features read back from a file of `write_features`.

    Attributes
    ----------
    path
        The file.
    """

    path: Path

    def _read(self, subset: str, objid: np.ndarray, index: Any) -> Tensor:
        with h5py.File(self.path) as file:
            if not np.array_equal(file[f"{subset}_objid"][:], objid):
                raise InputError(
                    f"{self.path}: its {subset} galaxies are not those of the split; remove the file and rerun"
                )
            return torch.from_numpy(file[subset][index])

    def epoch(self, objid: np.ndarray, epoch: int) -> Tensor:
        """Return the training features of an epoch's views, (n, width), float32, in `objid`'s order."""
        return self._read("train", objid, epoch)

    def subset(self, subset: str, objid: np.ndarray) -> Tensor:
        """Return the features of the plain stamps of `val` or `test`, (n, width), float32."""
        return self._read(subset, objid, slice(None))
