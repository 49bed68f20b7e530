"""Galactic extinction of stamps: on linear flux, before any scaling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from astromae.settings.galaxy_views import CATALOG_EXTINCTION_PER_EBV, EXTINCTION_PER_EBV
from astromae.training.sources import StampSource
from astromae.training.transfer import constants, to_device


def extinction_of(ebv: Tensor, bands: Sequence[str]) -> Tensor:
    """Return the extinction (n, bands), mag, of colour excesses E(B-V) (n,), mag, in bands of SDSS."""
    return ebv[:, None] * constants(tuple(EXTINCTION_PER_EBV[band] for band in bands), ebv.dtype, ebv.device)


def excess_of(extinction: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Return the colour excess E(B-V) (n,), mag, from a catalogue's extinction (n, bands), mag: the mean over bands.

    SDSS's catalogues keep to the coefficients of their first release; Hayat et al. 2021 read E(B-V) back by them, and
    apply those of `extinction_of`.
    """
    return (extinction / [CATALOG_EXTINCTION_PER_EBV[band] for band in bands]).mean(axis=1)


def transmission(extinction: Tensor) -> Tensor:
    """Return the fraction of the flux that an extinction, mag, lets through."""
    return 10 ** (-0.4 * extinction)


@dataclass(frozen=True)
class DereddenedStamps:
    """Stamps as they would be without dust in the Galaxy.

    Attributes
    ----------
    stamps
        The stamps as observed.
    extinction
        Of each stamp in each band, (n, bands), mag.
    """

    stamps: StampSource
    extinction: Tensor

    @property
    def device(self) -> torch.device:
        """Return the training device."""
        return self.stamps.device

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.stamps)

    def batches(self, positions: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the stamps at each of several lists of positions, float32."""
        for here, images in zip(positions, self.stamps.batches(positions), strict=True):
            factors = to_device(1 / transmission(self.extinction[here]), images.device)
            yield images * factors[:, :, None, None]

    def identity(self) -> np.ndarray:
        """Return the SHA-256 of the pixels as observed, and the extinction."""
        return np.concatenate([self.stamps.identity(), self.extinction.contiguous().numpy().view(np.uint8).ravel()])
