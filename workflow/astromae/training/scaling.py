"""Scaling of pixels and magnitudes, stored beside the split (`astromae.training.fit_scaling`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

#: Scaled magnitudes are clipped here: a u magnitude without signal must not dwarf everything else.
MAGNITUDE_LIMIT = 5.0


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
    seen
        Ranges of what was measured of the galaxies that it was fitted on (`astromae.familiarity.seen`).
    """

    softening: list[float]
    pixel_mean: list[float]
    pixel_std: list[float]
    magnitude_mean: list[float]
    magnitude_components: list[list[float]]
    stamps: StampFormat
    seen: Mapping[str, Sequence[float]] = field(default_factory=dict)

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

    def pixels(self, images: "Tensor") -> "Tensor":
        """Scale fluxes (n, bands, h, w) in nanomaggies a pixel."""
        fluxes = images.float()
        softening, mean, std = self._constants(fluxes)
        fluxes = fluxes / softening
        # arcsinh. torch's own takes four times as long on a CPU.
        size = fluxes.abs()
        return size.square().add_(1).sqrt_().add_(size).log_().copysign_(fluxes).sub_(mean).div_(std)

    def unscale_pixels(self, scaled: "Tensor") -> "Tensor":
        """Turn scaled pixels (n, bands, h, w) back into nanomaggies."""
        scaled = scaled.float()
        softening, mean, std = self._constants(scaled)
        return (scaled * std + mean).sinh() * softening

    def _constants(self, like: "Tensor") -> "list[Tensor]":
        """Return softening, mean and standard deviation, (1, bands, 1, 1), on the device and in the type of pixels."""
        from astromae.training.transfer import constants

        values = self.softening, self.pixel_mean, self.pixel_std
        return [constants(tuple(v), like.dtype, like.device).view(1, -1, 1, 1) for v in values]

    def magnitudes(self, magnitudes: np.ndarray) -> np.ndarray:
        """Scale magnitudes (n, bands)."""
        components = np.asarray(self.magnitude_components)
        scaled = (magnitudes - np.asarray(self.magnitude_mean)) @ components.T
        return scaled.clip(-MAGNITUDE_LIMIT, MAGNITUDE_LIMIT).astype(np.float32)


def read_scaling(path: Path) -> Scaling:
    """Read what `astromae.training.fit_scaling.write_scaling` wrote.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        return Scaling.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a readable scaling ({error}); make it again with the step `scaling`") from error
