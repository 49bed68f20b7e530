"""Galaxies that somebody asks about, some at a time: what is known of them, and their stamps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from astromae.contracts.stamp_format import StampFormat

#: Galaxies of a batch: some 80 MB of stamps of 32 pixels in five bands.
BATCH = 4096


@dataclass(frozen=True)
class Batch:
    """Some galaxies, in the order in which they were given.

    Attributes
    ----------
    table
        One row a galaxy: objid (int64), then ra and dec (deg; NaN where unknown), mag_{band} (dereddened, AB; NaN where
        missing) as far as they are given, and all other columns that were given, under their own names.
    images
        Stamps (k, bands, size, size), float32, nanomaggies a pixel, in the bands and the order of the source's format,
        of the k galaxies that have one.
    reasons
        Why a galaxy has no stamp, shape (n,), str; empty where it has one.
    left_out
        Whether these are rows of a list that are no galaxies, for the reasons above: nothing is asked about them.
    """

    table: pd.DataFrame
    images: np.ndarray
    reasons: np.ndarray
    left_out: bool = False

    @property
    def has_stamp(self) -> np.ndarray:
        """Return which galaxies have a stamp, shape (n,)."""
        return self.reasons == ""


class Source(Protocol):
    """Where galaxies come from.

    Attributes
    ----------
    format
        Bands, pixel scale and size of the stamps.
    batch_count
        How many batches there are.
    listed
        The list that the galaxies are of; None for stamps.
    """

    format: StampFormat
    batch_count: int
    listed: Path | None

    def __len__(self) -> int:
        """Return the number of galaxies."""

    def has_magnitudes(self, bands: Sequence[str]) -> bool:
        """Return whether any galaxy may have magnitudes in all bands."""

    def identity(self) -> str:
        """Return a text that is another one for other galaxies or stamps, without reading all pixels."""

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield all galaxies, `BATCH` at a time but for the last, from batch number `first` on."""
