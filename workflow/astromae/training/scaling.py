"""Scaling of pixels and magnitudes, fitted on training galaxies and stored beside the split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from astromae.contracts.catalog import magnitude_columns, read_catalog
from astromae.contracts.shards import StampSet
from astromae.contracts.splits import read_split
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.files import write_json
from astromae.photometry_checks import border_noise, check_magnitudes, check_pixels
from astromae.settings.training import Scaling as Settings

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
        Matrix (bands, bands) that maps centred magnitudes to uncorrelated components of unit variance.
    stamps
        Bands, pixel scale and size of the stamps that it was fitted on.
    """

    softening: list[float]
    pixel_mean: list[float]
    pixel_std: list[float]
    magnitude_mean: list[float]
    magnitude_components: list[list[float]]
    stamps: StampFormat

    @property
    def bands(self) -> tuple[str, ...]:
        """Return the names of the bands, in their order."""
        return self.stamps.bands

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Scaling":
        """Return what `asdict` has turned into JSON."""
        stamps = content["stamps"]
        return cls(**{**content, "stamps": StampFormat(**{**stamps, "bands": tuple(stamps["bands"])})})

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    def pixels(self, images: Tensor) -> Tensor:
        """Scale fluxes (n, bands, h, w) in nanomaggies a pixel."""
        shape = (1, -1, 1, 1)
        softening, mean, std = (
            torch.tensor(v, device=images.device).view(shape) for v in (self.softening, self.pixel_mean, self.pixel_std)
        )
        fluxes = images.float() / softening
        # arcsinh. torch's own takes four times as long on a CPU.
        size = fluxes.abs()
        return size.square().add_(1).sqrt_().add_(size).log_().copysign_(fluxes).sub_(mean).div_(std)

    def unscale_pixels(self, scaled: Tensor) -> Tensor:
        """Turn scaled pixels (n, bands, h, w) back into nanomaggies."""
        shape = (1, -1, 1, 1)
        softening, mean, std = (
            torch.tensor(v, device=scaled.device).view(shape) for v in (self.softening, self.pixel_mean, self.pixel_std)
        )
        return (scaled * std + mean).sinh() * softening

    def magnitudes(self, magnitudes: np.ndarray) -> np.ndarray:
        """Scale magnitudes (n, bands)."""
        components = np.asarray(self.magnitude_components)
        scaled = (magnitudes - np.asarray(self.magnitude_mean)) @ components.T
        return scaled.clip(-MAGNITUDE_LIMIT, MAGNITUDE_LIMIT).astype(np.float32)


def fit_pixels(images: np.ndarray, softening_sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit softening, mean and standard deviation of each band.

    Parameters
    ----------
    images
        Stamps (n, bands, h, w), nanomaggies a pixel.
    softening_sigma
        Softening in units of the sky noise, `border_noise`.
    """
    x = images.astype(np.float32)
    softening = softening_sigma * border_noise(x)
    scaled = np.arcsinh(x / softening[None, :, None, None], dtype=np.float64)
    return softening, scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))


def fit_magnitudes(magnitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the mean and the principal components of magnitudes (n, bands), each row scaled to unit variance.

    Galaxies without magnitudes are left out.
    """
    magnitudes = magnitudes[np.isfinite(magnitudes).all(axis=1)]
    bands = magnitudes.shape[1]
    if len(magnitudes) <= bands:
        # Too few for as many components. Encoders need none, and models that read magnitudes stop without them.
        return np.zeros(bands), np.eye(bands)
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
    settings: Settings,
    output: Path,
) -> None:
    """Fit both scalings on training galaxies and write them as JSON.

    Parameters
    ----------
    stamps, catalog, split
        Shards, catalogue and split of the experiment.
    pretrain_on
        Subsets whose images encoders are pretrained on; pixels are fitted on them and on `train`.
    settings
        The configuration's section `scaling`.
    output
        File to write.

    Raises
    ------
    InputError
        If a band of the stamps is empty or in another unit, or the magnitudes of one band tell nothing.
    """
    subsets = read_split(split)
    shards = StampSet(stamps)
    fitted_on = subsets.objid[subsets.subset.isin({*pretrain_on, "train"})].to_numpy()
    step = -(-len(fitted_on) // FIT_STAMPS)
    images = shards.read(fitted_on[::step], settings.crop)
    check_pixels(images, Path(stamps[0]).parent, shards.bands)
    softening, pixel_mean, pixel_std = fit_pixels(images, settings.softening_sigma)

    columns = magnitude_columns(shards.bands)
    galaxies = read_catalog(catalog, ["objid", *columns]).set_index("objid")
    magnitudes = galaxies.loc[subsets.objid[subsets.subset == "train"], columns].to_numpy(np.float64)
    check_magnitudes(magnitudes, catalog, shards.bands)
    magnitude_mean, components = fit_magnitudes(magnitudes)
    scaling = Scaling(
        softening=softening.tolist(),
        pixel_mean=pixel_mean.tolist(),
        pixel_std=pixel_std.tolist(),
        magnitude_mean=magnitude_mean.tolist(),
        magnitude_components=components.tolist(),
        stamps=shards.format,
    )
    write_json(output, scaling.as_json())


def read_scaling(path: Path) -> Scaling:
    """Read what `write_scaling` wrote.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        return Scaling.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a readable scaling ({error}); make it again with the step `scaling`") from error
