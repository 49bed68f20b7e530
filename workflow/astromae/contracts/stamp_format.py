"""What all stamps of a survey have in common; a shard says it of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Type of a stored pixel. Eleven bits of precision, 5e-4 of a pixel's flux, stay below the photon noise
#: of every pixel that a float16 can hold; 65,504 nanomaggies a pixel are a star of magnitude 10.5.
PIXEL_TYPE = np.dtype("<f2")


@dataclass(frozen=True)
class StampFormat:
    """Bands, pixel scale and size of stamps, which are in nanomaggies a pixel.

    Attributes
    ----------
    bands
        Names of the bands, in their order along the first axis of a stamp.
    pixel_scale_arcsec
        Side of a pixel on the sky, arcsec.
    size
        Pixels on a stamp's side: even, so that the galaxy stands where the four central pixels meet.
    """

    bands: tuple[str, ...]
    pixel_scale_arcsec: float
    size: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a stamp: bands, rows, columns."""
        return len(self.bands), self.size, self.size

    @property
    def stamp_bytes(self) -> int:
        """Bytes that a stamp takes in a shard."""
        return math.prod(self.shape) * PIXEL_TYPE.itemsize

    def __str__(self) -> str:
        """Return the format in words."""
        bands = f"{len(self.bands)} bands ({', '.join(self.bands)})"
        return f"stamps of {self.size} px of {self.pixel_scale_arcsec:g} arcsec in {bands}"


def join_bands(bands: Sequence[str]) -> str:
    """Return names of bands as one text: ``ugriz``, or ``F606W,F814W,`` where one has several letters."""
    if all(len(band) == 1 for band in bands):
        return "".join(bands)
    return "".join(f"{band}," for band in bands)


def split_bands(text: str) -> tuple[str, ...]:
    """Return the bands of a text that `join_bands` made."""
    return tuple(filter(None, text.split(","))) if "," in text else tuple(text)
