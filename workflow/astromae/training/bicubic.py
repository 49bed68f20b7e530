"""Bicubic resampling of a batch of stamps on a CPU, each by its own linear map."""

import numba
import numpy as np
import torch
from torch import Tensor

from astromae.training.compiled import HALF, ONE, REORDER, TWO, in_parts

# Keys' cubic convolution with torch's parameter: within one pixel of the position, and beyond.
NEAR = np.float32(1.25), np.float32(-2.25)
FAR = np.float32(-0.75), np.float32(3.75), np.float32(-6.0), np.float32(3.0)

# Indices are unsigned, or each would be checked for counting from the end.
STEP = np.uintp(1)

# Of a float16: bits of its size, of its sign, and of infinity; how far left they stand in a float32, and by what the
# number is then too small.
MAGNITUDE, NEGATIVE, INFINITE = (np.uint16(value) for value in (0x7FFF, 0x8000, 0x7C00))
SHIFT, REBIAS = np.uint32(13), np.float32(2.0**112)
INFINITY, NOT_A_NUMBER = np.float32(np.inf), np.float32(np.nan)


@numba.njit(inline="always", fastmath=REORDER)
def _near(t):
    return (NEAR[0] * t + NEAR[1]) * t * t + ONE


@numba.njit(inline="always", fastmath=REORDER)
def _far(t):
    return ((FAR[0] * t + FAR[1]) * t + FAR[2]) * t + FAR[3]


@numba.njit(inline="always", fastmath=REORDER)
def _down(pixels, first, line, a, b, c, d):
    """Return the weighted sum of four pixels below each other."""
    second = first + line
    third = second + line
    return a * pixels[first] + b * pixels[second] + c * pixels[third] + d * pixels[third + line]


@numba.njit(inline="always", fastmath=REORDER)
def _positions(start, across, down, column, weights):
    """Fill the first of four pixels, and their weights, for positions that lie evenly on a line."""
    for j in range(len(column)):
        position = start + np.float32(j) * across + down
        floor = np.floor(position)
        t = position - floor
        column[j] = np.int32(floor) - np.int32(1)
        weights[0, j], weights[1, j] = _far(ONE + t), _near(t)
        weights[2, j], weights[3, j] = _near(ONE - t), _far(TWO - t)


@numba.njit(nogil=True, cache=True)
def _widen(halves, pixels, bits):
    """Turn the bits of float16 numbers into float32 `pixels`; `bits` is the same memory as integers."""
    for j in range(len(halves)):
        bits[j] = np.uint32(np.uint32(halves[j] & MAGNITUDE) << SHIFT)
    for j in range(len(halves)):
        # The exponents' offsets are 15 and 127; a factor serves numbers below the least normal one as well.
        size = pixels[j] * REBIAS
        if halves[j] & MAGNITUDE >= INFINITE:
            size = INFINITY if halves[j] & MAGNITUDE == INFINITE else NOT_A_NUMBER
        pixels[j] = -size if halves[j] & NEGATIVE else size


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
def _resample(halves, size, maps, out):
    """Fill `out` (n, bands, crop, crop) from the bits of float16 stamps (n, bands * size * size)."""
    n, bands, crop = out.shape[0], out.shape[1], out.shape[3]
    pixels = np.empty(halves.shape[1], np.float32)
    bits = pixels.view(np.uint32)
    centre, middle = HALF * np.float32(size - 1), HALF * np.float32(crop - 1)
    line, plane = np.uintp(size), np.uintp(size * size)
    columns, rows = np.empty((2, crop), np.int32)
    wx, wy = np.empty((2, 4, crop), np.float32)
    for stamp in range(n):
        _widen(halves[stamp], pixels, bits)
        to_x, to_y = maps[stamp, 0], maps[stamp, 1]
        for i in range(crop):
            v = np.float32(i) - middle
            _positions(centre - to_x[0] * middle, to_x[0], to_x[1] * v, columns, wx)
            _positions(centre - to_y[0] * middle, to_y[0], to_y[1] * v, rows, wy)
            for j in range(crop):
                column, row = columns[j], rows[j]
                a, b, c, d = wy[0, j], wy[1, j], wy[2, j], wy[3, j]
                if column >= 0 and row >= 0 and column + 3 < size and row + 3 < size:
                    first = np.uintp(row) * line + np.uintp(column)
                    for band in range(bands):
                        second = first + STEP
                        third = second + STEP
                        out[stamp, band, i, j] = (
                            wx[0, j] * _down(pixels, first, line, a, b, c, d)
                            + wx[1, j] * _down(pixels, second, line, a, b, c, d)
                            + wx[2, j] * _down(pixels, third, line, a, b, c, d)
                            + wx[3, j] * _down(pixels, third + STEP, line, a, b, c, d)
                        )
                        first += plane
                else:
                    # Beyond its edges a stamp is zero.
                    for band in range(bands):
                        total = np.float32(0)
                        for k in range(max(0, -row), min(4, size - row)):
                            for m in range(max(0, -column), min(4, size - column)):
                                here = np.uintp((band * size + row + k) * size + column + m)
                                total += wy[k, j] * wx[m, j] * pixels[here]
                        out[stamp, band, i, j] = total


def resample(images: Tensor, maps: Tensor, crop: int) -> Tensor:
    """Sample every stamp on a grid that a linear map turns about the stamp's centre.

    The same as torch's affine_grid and grid_sample with padding by zeros, which take three times as long on one
    core for 32 pixels of 48.

    Parameters
    ----------
    images
        Stamps (n, bands, size, size), float16, on the CPU.
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
    halves = images.contiguous().view(torch.uint16).numpy().reshape(n, bands * size * size)
    matrices = maps.float().contiguous().numpy()
    out = torch.empty(n, bands, crop, crop)
    filled = out.numpy()
    in_parts(n, lambda part: _resample(halves[part], size, matrices[part], filled[part]))
    return out
