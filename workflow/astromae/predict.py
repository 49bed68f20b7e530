"""Redshifts of galaxies that no split knows: a trained model of a run's results, applied to stamps and magnitudes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file

from astromae.constants import BANDS
from astromae.contracts.stamp_format import PIXEL_TYPE
from astromae.errors import InputError
from astromae.models.redshift import RedshiftModel
from astromae.models.vit import choose_attention
from astromae.training.boosting import fit_boosting
from astromae.training.features import pretrained_encoder
from astromae.training.redshift import Galaxies, predict
from astromae.training.runtime import make_fabric
from astromae.training.scaling import Scaling
from astromae.training.sources import ResidentStamps
from astromae.training.views import Views


@dataclass(frozen=True)
class TrainedModel:
    """A redshift model with its trained weights; `load_model` makes it.

    Attributes
    ----------
    recipe
        The configuration that it was trained with: experiment, model, branches and more.
    seed
        Seed of its training.
    scaling
        How pixels and magnitudes are scaled, fitted on its training galaxies.
    network
        The network, in eval mode.
    fabric
        Device and precision.
    """

    recipe: dict[str, Any]
    seed: int
    scaling: Scaling
    network: RedshiftModel
    fabric: Fabric

    def predict(self, stamps: np.ndarray, magnitudes: np.ndarray | None = None) -> np.ndarray:
        """Predict redshifts.

        Given the test galaxies of its experiment in the order of their objid, it returns the run's own predictions
        to the last bit, on the same machine and in the same precision.

        Parameters
        ----------
        stamps
            Shape (n, 5, size, size), bands u, g, r, i, z, nanomaggies a pixel of 0.396 arcsec, the galaxy in the
            centre, north up and east left; as many pixels as the recipe's crop or more (64 as stored in shards). They
            are rounded to float16, as shards are. Models without an image branch read none of them but their number.
        magnitudes
            Dereddened model magnitudes, shape (n, 5), bands u, g, r, i, z. None for models without magnitudes.

        Returns
        -------
        array
            Redshifts, shape (n,), float64.

        Raises
        ------
        InputError
            If a shape is another one, a value is not finite, or magnitudes are missing.
        """
        crop = self.recipe["scaling"]["crop"]
        stamps = np.asarray(stamps)
        if stamps.ndim != 4 or stamps.shape[1] != len(BANDS) or min(stamps.shape[2:]) < crop or not len(stamps):
            raise InputError(
                f"stamps of shape {stamps.shape}: expected (n, {len(BANDS)}, size, size) with {crop} pixels or more"
            )
        images = stamps.astype(PIXEL_TYPE)
        scaled = torch.zeros(len(stamps), len(BANDS))
        if self.recipe["branches"]["magnitude"]:
            if magnitudes is None:
                raise InputError(f"{self.recipe['model']} reads magnitudes, and none are given")
            scaled = torch.from_numpy(self.scaling.magnitudes(_checked_magnitudes(magnitudes, len(stamps))))
        bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
        if len(bad):
            raise InputError(f"stamps with pixels that are not finite float16, the first is number {bad[0]}")
        device = self.fabric.device
        views = Views(
            ResidentStamps(torch.from_numpy(images).to(device)),
            self.scaling,
            self.recipe["augmentation"],
            crop,
            noise_sigma=0.0,
            batch_size=self.recipe["finetuning"]["batch_size"],
            seed=self.seed,
        )
        numbers = np.arange(len(stamps))
        galaxies = Galaxies(numbers, views, scaled.to(device), torch.full((len(stamps),), torch.nan, device=device))
        with self.fabric.autocast():
            predicted = predict(self.fabric, self.network, galaxies, None)
        return predicted.cpu().numpy().astype(np.float64)


def load_model(
    folder: Path | str, scaling: Path | None = None, encoder: Path | None = None, gpus: int = 0
) -> TrainedModel:
    """Load a trained redshift model from the results of a run.

    Parameters
    ----------
    folder
        ``results/redshifts/{experiment}/{model}/seed{seed}``, with recipe.json and weights.safetensors.
    scaling
        The experiment's scaling (JSON); by default where the run that `folder` belongs to has it.
    encoder
        Folder of the pretrained encoder, of which a model with a frozen one has no copy; by default as `scaling`.
    gpus
        0 to predict on the CPU, 1 on a GPU.

    Raises
    ------
    InputError
        If a file is missing, cannot be read, or does not fit the recipe.
    """
    folder = Path(folder)
    saved = _read_json(folder / "recipe.json")
    recipe, seed = saved["recipe"], saved["seed"]
    if "branches" not in recipe:
        raise InputError(f"{folder}: {recipe['model']} is no network; see `predict_boosted`")
    branches, experiment = recipe["branches"], recipe["experiment"]
    results = folder.resolve().parents[3]
    scaling = scaling or results / "splits" / f"{experiment}.scaling.json"
    encoder = encoder or results / "encoders" / str(branches["encoder"]) / experiment / f"seed{seed}"
    network = RedshiftModel(branches, recipe["backbone"], recipe["scaling"]["crop"])
    weights = folder / "weights.safetensors"
    try:
        own = load_file(weights)
        if network.frozen:
            weights = encoder / "weights.safetensors"
            frozen = pretrained_encoder(encoder, recipe["backbone"], recipe["scaling"]["crop"]).state_dict()
            own |= {f"encoder.{name}": tensor for name, tensor in frozen.items()}
        network.load_state_dict(own)
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise InputError(f"{weights}: not the weights of {recipe['model']} ({str(error).splitlines()[0]})") from error
    fabric = make_fabric({**recipe["runtime"], "gpus": gpus})
    network = network.to(fabric.device).eval()
    choose_attention(network, fabric.device)
    return TrainedModel(recipe, seed, Scaling(**_read_json(scaling)), network, fabric)


def predict_boosted(catalog: Path, split: Path, magnitudes: np.ndarray, seed: int = 42) -> np.ndarray:
    """Predict redshifts with the classical method, fitted anew on an experiment's training galaxies in seconds.

    Parameters
    ----------
    catalog, split
        Catalogue and split of the experiment.
    magnitudes
        Dereddened model magnitudes, shape (n, 5), bands u, g, r, i, z.
    seed
        Seed of the fit.

    Returns
    -------
    array
        Redshifts, shape (n,).

    Raises
    ------
    InputError
        If a magnitude is not finite, or a training galaxy lacks a value.
    """
    return fit_boosting(catalog, split, seed).predict(_checked_magnitudes(magnitudes, len(magnitudes)))


def _checked_magnitudes(magnitudes: np.ndarray, count: int) -> np.ndarray:
    magnitudes = np.asarray(magnitudes, dtype=np.float64)
    if magnitudes.shape != (count, len(BANDS)):
        raise InputError(f"magnitudes of shape {magnitudes.shape}: expected ({count}, {len(BANDS)})")
    bad = np.flatnonzero(~np.isfinite(magnitudes).all(axis=1))
    if len(bad):
        raise InputError(f"magnitudes that are not finite, the first of galaxy number {bad[0]}")
    return magnitudes


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
