"""What models and encoders read of a batch of galaxies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from astromae.asking.batches import Batch
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.stamp_format import StampFormat


class Reader(Protocol):
    """A model or an encoder, and what it reads of a galaxy.

    Attributes
    ----------
    name
        What it is called in messages.
    bands
        Bands of its stamps and magnitudes, in their order.
    format
        Format of the stamps of its training; None where it does not say.
    crop
        Pixels on a side of what it sees of a stamp; 2 where it sees none.
    reads_stamps, reads_magnitudes
        Which of them it reads.
    """

    name: str
    bands: tuple[str, ...]
    format: StampFormat | None
    crop: int
    reads_stamps: bool
    reads_magnitudes: bool


@dataclass(frozen=True)
class Inputs:
    """What is read of those k of a batch's n galaxies that have all of it.

    Attributes
    ----------
    rows
        Their places in the batch, (k,).
    images
        Their stamps (k, bands, size, size), nanomaggies a pixel; None where nobody reads stamps.
    magnitudes
        Their dereddened magnitudes (k, bands); None where there are none. NaN only where nobody reads them.
    no_stamp, no_magnitudes
        Which of the n galaxies lack what is read, (n,).
    """

    rows: np.ndarray
    images: np.ndarray | None
    magnitudes: np.ndarray | None
    no_stamp: np.ndarray
    no_magnitudes: np.ndarray


def inputs_of(readers: Sequence[Reader], batch: Batch) -> Inputs:
    """Return what readers of the same bands read of a batch; of rows that are no galaxies nothing is read or missed."""
    count, columns = len(batch.table), magnitude_columns(readers[0].bands)
    no_stamp, no_magnitudes = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    magnitudes = None
    if set(columns) <= set(batch.table):
        magnitudes = batch.table[columns].to_numpy(np.float64)
    if any(reader.reads_magnitudes for reader in readers) and not batch.left_out:
        no_magnitudes = np.ones(count, dtype=bool)
        if magnitudes is not None:
            no_magnitudes = ~np.isfinite(magnitudes).all(axis=1)
    reads_stamps = any(reader.reads_stamps for reader in readers)
    if reads_stamps and not batch.left_out:
        no_stamp = ~batch.has_stamp
    possible = ~(no_stamp | no_magnitudes) & (not batch.left_out)
    images = None
    if reads_stamps:
        images = batch.images
        if possible.sum() < len(images):
            images = images[np.flatnonzero(possible[batch.has_stamp])]
    rows = np.flatnonzero(possible)
    return Inputs(rows, images, None if magnitudes is None else magnitudes[rows], no_stamp, no_magnitudes)
