"""Pixel arithmetic of views on a CPU, compiled: arcsinh scaling and Gaussian noise.

torch's logarithm, and above all its random numbers, which it draws one by one, would take longer than the
resampling of the stamps. Loops here are written so that the compiler works on sixteen pixels at once.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
import numpy as np
import torch
from torch import Tensor

#: What the compiler may reorder; infinities and what is not a number keep their meaning.
REORDER = {"reassoc", "contract", "nsz"}

ZERO, HALF, ONE, TWO = (np.float32(value) for value in (0, 0.5, 1, 2))
SQRT_TWO, LN_TWO = np.float32(math.sqrt(2)), np.float32(math.log(2))

# Of a float32: its fraction's bits, the exponent's bits of 1.0, their place and offset.
FRACTION, EXPONENT_OF_ONE, EXPONENT_BIT, EXPONENT_OFFSET = (
    np.int32(value) for value in (0x007FFFFF, 0x3F800000, 23, 127)
)

# log(1 + t) = t - t^2 / 2 + t^3 P(t) for 1 + t from sqrt(1/2) to sqrt(2): minimax coefficients of the Cephes
# library (S. Moshier, single precision), highest power first.
LOG = tuple(
    np.float32(value)
    for value in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)

# Taylor series of sine and cosine in x^2, for x up to pi / 4.
SINE = tuple(np.float32(value) for value in (-1 / 5040, 1 / 120, -1 / 6, 1))
COSINE = tuple(np.float32(value) for value in (1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1))

# Multipliers and shifts of a 32-bit mixing function (MurmurHash3's last step), and the golden ratio's bits.
GOLDEN, MIX_1, MIX_2 = (np.uint32(value) for value in (0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35))
SHIFT_16, SHIFT_13, SHIFT_8, SHIFT_3 = (np.uint32(value) for value in (16, 13, 8, 3))
SEVEN = np.uint32(7)
TO_UNIT = np.float32(2.0**-24)
EIGHTH_TURN = np.float32(math.pi / 4 * 2.0**-21)


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def in_parts(n: int, work: Callable[[slice], None]) -> None:
    """Call `work` for as many parts of `n` items as torch has threads, at once."""
    threads = torch.get_num_threads()
    if threads == 1:
        work(slice(0, n))
        return
    parts = [slice(n * k // threads, n * (k + 1) // threads) for k in range(threads)]
    list(_workers(threads).map(work, parts))


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
def _logarithms(x, bits, exponents, n):
    """Replace `n` positive numbers by their natural logarithms; `bits` is the same memory as integers."""
    for j in range(n):
        exponents[j] = np.float32(np.int32(bits[j] >> EXPONENT_BIT) - EXPONENT_OFFSET)
        bits[j] = np.int32(np.int32(bits[j] & FRACTION) | EXPONENT_OF_ONE)
    for j in range(n):
        large = x[j] > SQRT_TWO
        t = (x[j] * HALF if large else x[j]) - ONE
        exponent = exponents[j] + ONE if large else exponents[j]
        p = LOG[0]
        for k in range(1, 9):
            p = p * t + LOG[k]
        x[j] = t + t * t * (t * p - HALF) + exponent * LN_TWO


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
def _scale(images, softening, mean, std, out):
    """Fill `out` with (arcsinh(images / softening) - mean) / std; both (n, bands, pixels)."""
    n, bands, pixels = images.shape
    logarithm, exponents = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    bits = logarithm.view(np.int32)
    for stamp in range(n):
        for band in range(bands):
            x, y = images[stamp, band], out[stamp, band]
            unit, shift, factor = ONE / softening[band], mean[band], ONE / std[band]
            for j in range(pixels):
                size = abs(x[j] * unit)
                logarithm[j] = size + math.sqrt(size * size + ONE)
            _logarithms(logarithm, bits, exponents, pixels)
            for j in range(pixels):
                y[j] = ((logarithm[j] if x[j] >= ZERO else -logarithm[j]) - shift) * factor
                if not np.isfinite(x[j]):
                    y[j] = x[j]


def scale(images: Tensor, softening: list[float], mean: list[float], std: list[float]) -> Tensor:
    """Return (arcsinh(images / softening) - mean) / std, exact to 1e-6.

    Parameters
    ----------
    images
        Shape (n, bands, h, w), float32, on the CPU.
    softening, mean, std
        A number for each band.
    """
    n, bands, height, width = images.shape
    out = torch.empty(images.shape)
    pixels = images.contiguous().numpy().reshape(n, bands, height * width)
    filled = out.numpy().reshape(n, bands, height * width)
    of_bands = [np.asarray(values, np.float32) for values in (softening, mean, std)]
    in_parts(n, lambda part: _scale(pixels[part], *of_bands, filled[part]))
    return out


@numba.njit(inline="always")
def _mix(h):
    h = np.uint32(np.uint32(h ^ np.uint32(h >> SHIFT_16)) * MIX_1)
    h = np.uint32(np.uint32(h ^ np.uint32(h >> SHIFT_13)) * MIX_2)
    return np.uint32(h ^ np.uint32(h >> SHIFT_16))


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
def _add_noise(images, keys, sigma):
    """Add Gaussian noise to images (n, values) in place; keys (n, 2)."""
    n, values = images.shape
    half = (values + 1) // 2
    logarithm, exponents = np.empty(half, np.float32), np.empty(half, np.float32)
    first, second = np.empty(half, np.float32), np.empty(half, np.float32)
    bits = logarithm.view(np.int32)
    for stamp in range(n):
        image, key, other = images[stamp], keys[stamp, 0], keys[stamp, 1]
        # Box and Muller (1958): a radius from one uniform number, a direction from another.
        for j in range(half):
            h = _mix(np.uint32(_mix(np.uint32(np.uint32(j) * GOLDEN + key)) ^ other))
            logarithm[j] = (np.float32(np.uint32(h >> SHIFT_8)) + HALF) * TO_UNIT
        _logarithms(logarithm, bits, exponents, half)
        for j in range(half):
            h = _mix(np.uint32(_mix(np.uint32(np.uint32(j + half) * GOLDEN + key)) ^ other))
            # Three bits choose the octant, 21 more the angle in it.
            octant = np.uint32(h & SEVEN)
            angle = (np.float32(np.uint32(h >> SHIFT_8 >> SHIFT_3)) + HALF) * EIGHTH_TURN
            square = angle * angle
            s, c = SINE[0], COSINE[0]
            for k in range(1, 4):
                s = s * square + SINE[k]
            for k in range(1, 5):
                c = c * square + COSINE[k]
            s *= angle
            across, along = (s, c) if octant & np.uint32(1) else (c, s)
            radius = sigma * math.sqrt(-TWO * logarithm[j])
            first[j] = radius * (across if octant & np.uint32(2) else -across)
            second[j] = radius * (along if octant & np.uint32(4) else -along)
        for j in range(half):
            image[j] += first[j]
        for j in range(values - half):
            image[half + j] += second[j]


def add_noise(images: Tensor, sigma: float, keys: Tensor) -> None:
    """Add Gaussian noise to a batch, in place.

    Parameters
    ----------
    images
        Shape (n, ...), float32, contiguous, on the CPU.
    sigma
        Standard deviation.
    keys
        Integers (n, 2) from 0 to 2**32 - 1 that determine each image's noise.
    """
    n = len(images)
    values, numbers = images.numpy().reshape(n, -1), keys.numpy().astype(np.uint32)
    in_parts(n, lambda part: _add_noise(values[part], numbers[part], np.float32(sigma)))
