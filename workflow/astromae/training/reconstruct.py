"""Reconstructions: what a pretrained autoencoder makes of stamps that it has never seen (figure 2)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import load_file

from astromae.contracts.shards import StampSet
from astromae.files import atomic_path
from astromae.models.vit import patchify, unpatchify
from astromae.training.pretrain import build_autoencoder, masks
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator
from astromae.training.subsets import members

#: Brightest of this many galaxies are shown, so that there is structure to reconstruct.
CANDIDATES, SHOWN = 200, 8


@torch.no_grad()
def reconstruct(
    encoder: Path,
    recorded: dict[str, Any],
    stamps: Sequence[Path],
    split: Path,
    scaling: dict[str, Any],
    seed: int,
    output: Path,
) -> None:
    """Mask, reconstruct and store some validation stamps.

    Parameters
    ----------
    encoder
        Folder of a pretrained encoder.
    recorded
        Content of its recipe.json.
    stamps, split, scaling
        Shards, split and scaling of its experiment.
    seed
        Seed of the masks.
    output
        HDF5 file to write: `original` and `reconstructed` (n, 5, side, side) in nanomaggies a pixel,
        `masked` (n, patches) and `objid`. Visible patches of a reconstruction are the original's.
    """
    recipe = recorded["recipe"]
    model = build_autoencoder(recipe).eval()
    model.load_state_dict(load_file(encoder / "weights.safetensors"))
    scale = Scaling(**scaling)
    objid = members(split, recipe["validate_on"])[:CANDIDATES]
    crop = recipe["scaling"]["crop"]
    images = torch.from_numpy(StampSet(stamps).read(objid, crop))
    brightest = np.sort(images.float().sum(dim=(1, 2, 3)).argsort(descending=True, stable=True)[:SHOWN].numpy())
    objid, images = objid[brightest], images[brightest]

    patch = model.encoder.patch
    patches = patchify(scale.pixels(images), patch)
    visible, masked = masks(model, len(images), recipe["pretraining"]["mask_ratio"], generator(seed, "reconstruct"))
    predicted = model.predict(patches, visible, masked)
    index = masked[:, :, None].expand(-1, -1, patches.shape[-1])
    if model.normalise_targets:
        variance, mean = torch.var_mean(patches.gather(1, index), dim=-1, keepdim=True)
        predicted = predicted * (variance + 1e-6).sqrt() + mean
    filled = patches.scatter(1, index, predicted)
    hidden = torch.zeros(patches.shape[:2], dtype=torch.bool).scatter(1, masked, True)
    with h5py.File(stamps[0]) as shard:
        bands = shard.attrs["bands"]
    with atomic_path(output) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["bands"] = bands
        file["objid"] = objid
        file["original"] = images.float().numpy()
        file["masked"] = hidden.numpy()
        file["reconstructed"] = scale.unscale_pixels(unpatchify(filled, patch)).numpy()
