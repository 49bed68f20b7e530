"""Where stamps come from in training: a tensor on the device where they fit, else the mapped shards."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from astromae.contracts.shards import READ_BLOCK, StampSet
from astromae.contracts.stamp_format import PIXEL_TYPE
from astromae.photometry_checks import check_finite
from astromae.progress import log, track
from astromae.training.memory import free_memory
from astromae.training.parallel import processes
from astromae.training.transfer import to_device

#: Part of the free memory that stamps may fill.
MEMORY_FRACTION = 0.5


class StampSource(Protocol):
    """Stamps of a subset's galaxies, addressed by position."""

    device: torch.device

    def __len__(self) -> int:
        """Return the number of stamps."""

    def batches(self, positions: Sequence[Tensor]) -> Iterator[Tensor | None]:
        """Yield the stamps (n, bands, size, size) at each of several lists of positions, on `device`."""

    def identity(self) -> np.ndarray:
        """Return the SHA-256 of all pixels as 32 bytes: the same wherever the stamps are held."""


@dataclass(frozen=True)
class NoStamps:
    """The stamps of galaxies whose pixels nobody reads: they are counted and dealt to batches, and None.

    Attributes
    ----------
    count
        Their number.
    device
        The training device.
    """

    count: int
    device: torch.device

    def __len__(self) -> int:
        """Return the number of stamps."""
        return self.count

    def batches(self, positions: Sequence[Tensor]) -> Iterator[None]:
        """Yield None for each of several lists of positions."""
        return (None for _ in positions)

    def identity(self) -> np.ndarray:
        """Return no bytes."""
        return np.empty(0, np.uint8)


class ResidentStamps:
    """Stamps in one tensor on the training device.

    Parameters
    ----------
    images
        Shape (n, bands, size, size), float16, nanomaggies a pixel.
    """

    def __init__(self, images: Tensor):
        self.images, self.device = images, images.device

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.images)

    def batches(self, positions: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the stamps at each of several lists of positions."""
        for here in positions:
            if self.device.type == "cpu":
                # Not torch's own indexing: its other threads would stay busy for a while, waiting for more.
                yield torch.from_numpy(np.take(self.images.numpy(), here.numpy(), axis=0))
            else:
                yield self.images[to_device(here, self.device)]

    def identity(self) -> np.ndarray:
        """Return the SHA-256 of all pixels."""
        return _sha256(self.images[start : start + READ_BLOCK].cpu() for start in range(0, len(self), READ_BLOCK))


@dataclass(frozen=True)
class PartOfStamps:
    """Some of the stamps of another source.

    Attributes
    ----------
    stamps
        The source.
    rows
        Positions there, shape (n,).
    """

    stamps: StampSource
    rows: Tensor

    @property
    def device(self) -> torch.device:
        """Return the device of the stamps."""
        return self.stamps.device

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.rows)

    def batches(self, positions: Sequence[Tensor]) -> Iterator[Tensor | None]:
        """Yield the stamps at each of several lists of positions among `rows`."""
        return self.stamps.batches([self.rows[here] for here in positions])

    def identity(self) -> np.ndarray:
        """Return the SHA-256 of the whole source's pixels."""
        return self.stamps.identity()


class MappedStamps:
    """Stamps read from the shards batch by batch, one batch ahead of the training.

    Parameters
    ----------
    stamps
        Shards.
    objid
        Galaxies, in the order of their positions.
    size
        Side of the central crop, pixels.
    device
        Where batches go.
    """

    def __init__(self, stamps: Sequence[Path], objid: np.ndarray, size: int, device: torch.device):
        self.paths, self.objid, self.size, self.device = stamps, objid, size, device
        self.shards = StampSet(stamps)

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.objid)

    def read(self, positions: Tensor) -> Tensor:
        """Read the stamps at some positions; raise InputError if a pixel is not finite."""
        objid = self.objid[positions.numpy()]
        images = self.shards.read(objid, self.size)
        check_finite(images, objid)
        return torch.from_numpy(images)

    def batches(self, positions: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the stamps at each of several lists of positions, reading the next while one is used."""
        with ThreadPoolExecutor(1) as reader:
            ahead = None
            for here in positions:
                reading = reader.submit(self.read, here)
                if ahead is not None:
                    yield to_device(ahead.result(), self.device)
                ahead = reading
            if ahead is not None:
                yield to_device(ahead.result(), self.device)

    def identity(self) -> np.ndarray:
        """Return the SHA-256 of all pixels, which are read for it once."""
        starts = track(range(0, len(self), READ_BLOCK), "stamps to identify", unit=f"blocks of {READ_BLOCK}")
        return _sha256(self.read(torch.arange(start, min(start + READ_BLOCK, len(self)))) for start in starts)


def _sha256(blocks: Iterable[Tensor]) -> np.ndarray:
    """Return the SHA-256 of the joined blocks as 32 bytes."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block.contiguous().numpy().data)
    return np.frombuffer(digest.digest(), np.uint8)


def open_stamps(stamps: Sequence[Path], objid: np.ndarray, size: int, device: torch.device) -> StampSource:
    """Open the stamps of some galaxies: resident on the device where they fit, else mapped.

    Every process of a training needs all of them, since batches are drawn at random. Each GPU has its own copy, which
    goes there in blocks. Several processes on the CPU of one node map the shards, whose pages the system keeps once.

    Parameters
    ----------
    stamps
        Shards.
    objid
        Galaxies, shape (n,).
    size
        Side of the central crop, pixels.
    device
        The training device.

    Raises
    ------
    InputError
        If a pixel is not finite, for resident stamps at once, for mapped ones with their batch.
    """
    mapped = MappedStamps(stamps, objid, size, device)
    shape = (len(objid), len(mapped.shards.bands), size, size)
    needed = math.prod(shape) * PIXEL_TYPE.itemsize
    free = free_memory(device)
    what = f"{len(objid)} stamps of {size} px, {needed / 1e9:.2f} GB; {free / 1e9:.1f} GB are free on {device}"
    if needed > MEMORY_FRACTION * free or (device.type == "cpu" and processes()[0] > 1):
        log(f"reading from the shards, batch by batch: {what}")
        return mapped
    log(f"held in memory: {what}")
    images = torch.empty(shape, dtype=torch.float16, device=device)
    for start in range(0, len(objid), READ_BLOCK):
        block = torch.arange(start, min(start + READ_BLOCK, len(objid)))
        images[block[0] : block[-1] + 1] = mapped.read(block)
    return ResidentStamps(images)
