"""Reconstructions: what a pretrained autoencoder makes of stamps that it has never seen (figure 2)."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from astromae.contracts.shards import StampSet
from astromae.contracts.stamp_format import join_bands
from astromae.files import atomic_path
from astromae.training.folders import read_recipe
from astromae.training.recipes import EncoderRecipe
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator
from astromae.training.subsets import members
from astromae.training.weights import load_weights

#: Brightest of this many galaxies are shown, so that there is structure to reconstruct.
CANDIDATES, SHOWN = 200, 8


@torch.no_grad()
def reconstruct(
    weights: Path, stamps: Sequence[Path], split: Path, validate_on: Sequence[str], seed: int, output: Path
) -> None:
    """Hide parts of some validation stamps, reconstruct and store them.

    Parameters
    ----------
    weights
        Weights in the folder of a pretrained encoder, whose objective reconstructs.
    stamps, split
        Shards and split of its experiment.
    validate_on
        Subsets whose stamps are taken.
    seed
        Seed of what is hidden.
    output
        HDF5 file to write: `original` and `reconstructed` (n, bands, side, side) in nanomaggies a pixel,
        `masked` (n, patches) and `objid`. Visible patches of a reconstruction are the original's.
    """
    about = read_recipe(weights.parent)
    recipe, scaling = EncoderRecipe.model_validate(about["recipe"]), Scaling.from_json(about["scaling"])
    learner = recipe.build(len(scaling.bands)).eval()
    load_weights(weights.parent, learner, recipe.name)
    objid = members(split, validate_on)[:CANDIDATES]
    images = torch.from_numpy(StampSet(stamps).read(objid, recipe.crop))
    brightest = np.sort(images.float().sum(dim=(1, 2, 3)).argsort(descending=True, stable=True)[:SHOWN].numpy())
    objid, images = objid[brightest], images[brightest]

    filled, hidden = learner.reconstruct(scaling.pixels(images), generator(seed, "reconstruct"))
    with atomic_path(output) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["bands"] = join_bands(scaling.bands)
        file["objid"] = objid
        file["original"] = images.float().numpy()
        file["masked"] = hidden.numpy()
        file["reconstructed"] = scaling.unscale_pixels(filled).numpy()
