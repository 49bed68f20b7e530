"""Bicubic resampling of a batch of stamps on a CPU, each by its own linear map."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
import numpy as np
import torch
from torch import Tensor

#: What the compiler may reorder; infinities and what is not a number keep their meaning.
REORDER = {"reassoc", "contract", "nsz"}

HALF, ONE, TWO = np.float32(0.5), np.float32(1), np.float32(2)

# Keys' cubic convolution with torch's parameter: within one pixel of the position, and beyond.
NEAR = np.float32(1.25), np.float32(-2.25)
FAR = np.float32(-0.75), np.float32(3.75), np.float32(-6.0), np.float32(3.0)

# Indices are unsigned, or each would be checked for counting from the end.
STEP = np.uintp(1)


@numba.njit(inline="always", fastmath=REORDER)
def _near(t):
    return (NEAR[0] * t + NEAR[1]) * t * t + ONE


@numba.njit(inline="always", fastmath=REORDER)
def _far(t):
    return ((FAR[0] * t + FAR[1]) * t + FAR[2]) * t + FAR[3]


@numba.njit(inline="always", fastmath=REORDER)
def _weights(t):
    """Return the weights of the pixels at -1, 0, 1 and 2 for a position `t` between 0 and 1."""
    return _far(ONE + t), _near(t), _near(ONE - t), _far(TWO - t)


@numba.njit(inline="always", fastmath=REORDER)
def _four(pixels, first, weights):
    """Return the weighted sum of four neighbouring pixels."""
    total = weights[0] * pixels[first]
    first += STEP
    total += weights[1] * pixels[first]
    first += STEP
    total += weights[2] * pixels[first]
    first += STEP
    return total + weights[3] * pixels[first]


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
def _resample(pixels, bands, size, maps, out):
    """Fill `out` (n, bands, crop, crop) from the flat pixels of stamps (n, bands, size, size)."""
    n, crop = out.shape[0], out.shape[3]
    centre, middle = HALF * np.float32(size - 1), HALF * np.float32(crop - 1)
    line, plane = np.uintp(size), np.uintp(size * size)
    for stamp in range(n):
        start = np.uintp(stamp * bands) * plane
        for i in range(crop):
            for j in range(crop):
                v, u = np.float32(i) - middle, np.float32(j) - middle
                x = maps[stamp, 0, 0] * u + maps[stamp, 0, 1] * v + centre
                y = maps[stamp, 1, 0] * u + maps[stamp, 1, 1] * v + centre
                column, row = int(np.floor(x)), int(np.floor(y))
                across = _weights(x - np.float32(column))
                down = _weights(y - np.float32(row))
                column -= 1
                row -= 1
                if column >= 0 and row >= 0 and column + 3 < size and row + 3 < size:
                    first = start + np.uintp(row) * line + np.uintp(column)
                    for band in range(bands):
                        second = first + line
                        third = second + line
                        out[stamp, band, i, j] = (
                            down[0] * _four(pixels, first, across)
                            + down[1] * _four(pixels, second, across)
                            + down[2] * _four(pixels, third, across)
                            + down[3] * _four(pixels, third + line, across)
                        )
                        first += plane
                else:
                    # Beyond its edges a stamp is zero.
                    for band in range(bands):
                        total = np.float32(0)
                        for k in range(max(0, -row), min(4, size - row)):
                            for m in range(max(0, -column), min(4, size - column)):
                                here = start + np.uintp((band * size + row + k) * size + column + m)
                                total += down[k] * across[m] * pixels[here]
                        out[stamp, band, i, j] = total


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def resample(images: Tensor, maps: Tensor, crop: int) -> Tensor:
    """Sample every stamp on a grid that a linear map turns about the stamp's centre.

    The same as torch's affine_grid and grid_sample with padding by zeros, which take three times as long.

    Parameters
    ----------
    images
        Stamps (n, bands, size, size), on the CPU.
    maps
        Matrices (n, 2, 2) from offsets (x, y) in the result to offsets in the stamp, in pixels.
    crop
        Pixels on a side of the result.

    Returns
    -------
    Tensor
        Shape (n, bands, crop, crop), float32.
    """
    n, bands, size, _ = images.shape
    pixels = images.float().contiguous().numpy().reshape(n, bands * size * size)
    matrices = maps.float().contiguous().numpy()
    out = torch.empty(n, bands, crop, crop)
    threads = torch.get_num_threads()
    parts = [slice(n * k // threads, n * (k + 1) // threads) for k in range(threads)]
    filled = out.numpy()

    def fill(part: slice) -> None:
        _resample(pixels[part].reshape(-1), bands, size, matrices[part], filled[part])

    list(_workers(threads).map(fill, parts)) if threads > 1 else fill(parts[0])
    return out
