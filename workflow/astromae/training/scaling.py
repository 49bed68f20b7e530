"""Scaling of pixels and magnitudes, fitted on training galaxies and stored beside the split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from astromae.constants import BANDS
from astromae.files import write_json
from astromae.photometry_checks import border_noise, check_magnitudes, check_pixels
from astromae.stamps.shards import StampSet
from astromae.training.subsets import MAGNITUDES

#: Scaled magnitudes are clipped here: a u magnitude without signal must not dwarf everything else.
MAGNITUDE_LIMIT = 5.0

#: Stamps that the pixel scaling is fitted on; five times as many change the result by less than 1 %.
FIT_STAMPS = 4096


@dataclass(frozen=True)
class Scaling:
    """How pixels and magnitudes become the numbers that networks see.

    Attributes
    ----------
    softening
        Flux at which arcsinh turns from linear to logarithmic, for each band, nanomaggies a pixel.
    pixel_mean, pixel_std
        Mean and standard deviation of arcsinh(flux / softening) for each band.
    magnitude_mean
        Mean magnitude for each band.
    magnitude_components
        Matrix (5, 5) that maps centred magnitudes to uncorrelated components of unit variance.
    redshift_mean
        Mean redshift of the labelled training galaxies, where the networks' output starts.
    """

    softening: list[float]
    pixel_mean: list[float]
    pixel_std: list[float]
    magnitude_mean: list[float]
    magnitude_components: list[list[float]]
    redshift_mean: float

    def pixels(self, images: Tensor) -> Tensor:
        """Scale fluxes (n, 5, h, w) in nanomaggies a pixel."""
        shape = (1, -1, 1, 1)
        softening, mean, std = (
            torch.tensor(v, device=images.device).view(shape) for v in (self.softening, self.pixel_mean, self.pixel_std)
        )
        fluxes = images.float() / softening
        # On a CPU numpy's takes a ninth of the time of torch's.
        scaled = torch.from_numpy(np.arcsinh(fluxes.numpy())) if fluxes.device.type == "cpu" else fluxes.arcsinh()
        return scaled.sub_(mean).div_(std)

    def unscale_pixels(self, scaled: Tensor) -> Tensor:
        """Turn scaled pixels (n, 5, h, w) back into nanomaggies."""
        shape = (1, -1, 1, 1)
        softening, mean, std = (
            torch.tensor(v, device=scaled.device).view(shape) for v in (self.softening, self.pixel_mean, self.pixel_std)
        )
        return (scaled * std + mean).sinh() * softening

    def magnitudes(self, magnitudes: np.ndarray) -> np.ndarray:
        """Scale magnitudes (n, 5)."""
        components = np.asarray(self.magnitude_components)
        scaled = (magnitudes - np.asarray(self.magnitude_mean)) @ components.T
        return scaled.clip(-MAGNITUDE_LIMIT, MAGNITUDE_LIMIT).astype(np.float32)


def fit_pixels(images: np.ndarray, softening_sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit softening, mean and standard deviation of each band.

    Parameters
    ----------
    images
        Stamps (n, 5, h, w), nanomaggies a pixel.
    softening_sigma
        Softening in units of the sky noise, `border_noise`.
    """
    x = images.astype(np.float32)
    softening = softening_sigma * border_noise(x)
    scaled = np.arcsinh(x / softening[None, :, None, None], dtype=np.float64)
    return softening, scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))


def fit_magnitudes(magnitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the mean and the principal components of magnitudes (n, 5), each row scaled to unit variance.

    Galaxies without magnitudes are left out.
    """
    magnitudes = magnitudes[np.isfinite(magnitudes).all(axis=1)]
    if len(magnitudes) <= len(BANDS):
        # Too few for five components. Encoders need none, and models that read magnitudes stop without them.
        return np.zeros(len(BANDS)), np.eye(len(BANDS))
    mean = magnitudes.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov(magnitudes, rowvar=False))
    # The sign of an eigenvector is the library's choice; this makes it ours.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return mean, (vectors / np.sqrt(variances)).T[::-1]


def write_scaling(
    stamps: Sequence[Path],
    catalog: Path,
    split: Path,
    pretrain_on: Sequence[str],
    settings: dict[str, Any],
    output: Path,
) -> None:
    """Fit both scalings on training galaxies and write them as JSON.

    Parameters
    ----------
    stamps, catalog, split
        Shards, catalogue and split of the experiment.
    pretrain_on
        Subsets whose images the autoencoder sees; pixels are fitted on them and on `train`.
    settings
        The configuration's section `scaling`.
    output
        File to write.

    Raises
    ------
    InputError
        If a band of the stamps is empty or in another unit, or the magnitudes of one band tell nothing.
    """
    subsets = pd.read_parquet(split)
    galaxies = pd.read_parquet(catalog).set_index("objid")
    fitted_on = subsets.objid[subsets.subset.isin({*pretrain_on, "train"})].to_numpy()
    step = -(-len(fitted_on) // FIT_STAMPS)
    images = StampSet(stamps).read(fitted_on[::step], settings["crop"])
    check_pixels(images, Path(stamps[0]).parent)
    softening, pixel_mean, pixel_std = fit_pixels(images, settings["softening_sigma"])

    train = galaxies.loc[subsets.objid[subsets.subset == "train"]]
    magnitudes = train[MAGNITUDES].to_numpy(np.float64)
    check_magnitudes(magnitudes, catalog)
    magnitude_mean, components = fit_magnitudes(magnitudes)
    scaling = Scaling(
        softening=softening.tolist(),
        pixel_mean=pixel_mean.tolist(),
        pixel_std=pixel_std.tolist(),
        magnitude_mean=magnitude_mean.tolist(),
        magnitude_components=components.tolist(),
        # Encoders need no redshifts either.
        redshift_mean=float(np.nan_to_num(train.z.mean())),
    )
    write_json(output, asdict(scaling))
