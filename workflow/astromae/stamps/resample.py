"""Resampling of frames onto stamps with the Lanczos-3 kernel.

The kernel is that of SWarp (Bertin et al. 2002, ADASS XI, 228), with which Pasquet et al. 2019 made their stamps:
L(t) = sinc(t) sinc(t / 3) for |t| < 3, along the columns times along the rows of the *input* image, with the
six weights of each direction divided by their sum, so that a constant stays a constant.
"""

import numpy as np

from astromae.stamps.tangent import apply_map, area_ratio

#: Name of the kernel in the shards' attributes.
KERNEL = "lanczos3"

#: Pixels of the input that a weight reaches to, before and after the one at or below a position.
BEFORE, AFTER = 2, 3

#: Galaxies resampled together: few, so that their working arrays stay in the processor's cache.
BATCH = 4

# Offset, sign, and cosine and sine of each of the six taps: with a = pi (x - floor x) / 3,
# sin(pi t) sin(pi t / 3) = +-sin(pi x) sin(a - k pi / 3) at t = x - floor(x) - k, where sin(pi x) is common to
# the six and drops out when they are divided by their sum.
_TAPS = np.arange(-BEFORE, AFTER + 1)
_COSINES = (-1.0) ** _TAPS * np.cos(_TAPS * np.pi / 3)
_SINES = (-1.0) ** _TAPS * np.sin(_TAPS * np.pi / 3)

# Nearest that a position comes to a pixel's centre, where the common factor vanishes: a shift by 1e-9 px
# changes no float32 weight.
_CLOSEST = 1e-9

# Pixel off every frame.
_FAR_OFF = -(10**9)


def lanczos3_weights(fraction: np.ndarray) -> np.ndarray:
    """Return the weights of the six pixels around positions.

    Parameters
    ----------
    fraction : array of float64, shape (...)
        Position past the centre of the pixel at or below it, x - floor(x), in [0, 1).

    Returns
    -------
    array of float32, shape (6, ...)
        Weights of the pixels floor(x) - 2 to floor(x) + 3. They add up to 1.
    """
    fraction = np.clip(fraction, _CLOSEST, 1 - _CLOSEST)
    angle = fraction * (np.pi / 3)
    sine, cosine = np.sin(angle), np.cos(angle)
    weights = np.empty((len(_TAPS), *fraction.shape))
    for weight, tap, tap_cosine, tap_sine in zip(weights, _TAPS, _COSINES, _SINES, strict=True):
        distance = fraction - tap
        np.divide(sine * tap_cosine - cosine * tap_sine, distance * distance, out=weight)
    weights /= weights.sum(axis=0)
    return weights.astype(np.float32)


def footprint(matrix: np.ndarray, size: int) -> np.ndarray:
    """Return the frame pixels that stamps are made of.

    Parameters
    ----------
    matrix : array, shape (n, 3, 3)
        Maps from stamps to the frame, see `astromae.stamps.tangent.stamp_to_frame`.
    size
        Pixels on a stamp's side.

    Returns
    -------
    array of int64, shape (n, 4)
        First column, last column, first row, last row, counted from 0, the kernel's reach included. A
        stamp on the other half of the sky gets a footprint far off any frame.
    """
    # A projective map keeps straight lines straight, so a square's extremes are those of its corners.
    corners = np.array([0.0, size - 1.0])
    x, y = apply_map(matrix, np.tile(corners, 2), np.repeat(corners, 2))
    bounds = np.floor(np.stack([x.min(1), x.max(1), y.min(1), y.max(1)], axis=1))
    bounds[~np.isfinite(bounds).all(axis=1)] = _FAR_OFF
    return bounds.astype(np.int64) + np.array([-BEFORE, AFTER, -BEFORE, AFTER])


def resample(image: np.ndarray, first_row: int, matrix: np.ndarray, size: int) -> np.ndarray:
    """Resample stamps of several galaxies from a frame.

    Flux is conserved: pixels are interpolated as surface brightness and multiplied with the ratio of a
    stamp pixel's area to the frame pixels' at the galaxy (within 1e-4 of 1 on SDSS frames; its variation over a
    stamp is below 1e-7).

    Parameters
    ----------
    image : array of float32, shape (rows, columns), C order
        The frame, or the part of its rows that holds every footprint. Nanomaggies a pixel.
    first_row
        Row of the frame that is the first of `image`.
    matrix : array, shape (n, 3, 3)
        Maps from stamps to the whole frame, see `astromae.stamps.tangent.stamp_to_frame`.
    size
        Pixels on a stamp's side.

    Returns
    -------
    array of float32, shape (n, size, size)
        Nanomaggies a pixel. A pixel that is not finite in the frame is not finite in the stamp.
    """
    columns = image.shape[1]
    flat = np.ascontiguousarray(image).reshape(-1)
    grid = np.arange(float(size))
    grid_x, grid_y = np.tile(grid, size), np.repeat(grid, size)
    ratio = area_ratio(matrix, (size - 1) / 2).astype(np.float32)
    stamps = np.empty((len(matrix), size * size), dtype=np.float32)
    for start in range(0, len(matrix), BATCH):
        part = slice(start, start + BATCH)
        x, y = apply_map(matrix[part], grid_x, grid_y)
        column, row = np.floor(x), np.floor(y)
        weights_x, weights_y = lanczos3_weights(x - column), lanczos3_weights(y - row)
        # Of the first of the 36 pixels; the others lie at fixed distances from it.
        index = ((row - (first_row + BEFORE)) * columns + (column - BEFORE)).astype(np.intp)
        pixels, line = np.empty_like(weights_x[0]), np.empty_like(weights_x[0])
        total = np.zeros_like(line)
        for j in range(len(_TAPS)):
            line[...] = 0
            for i in range(len(_TAPS)):
                # mode="clip" spares numpy a buffered copy; footprints lie within the image.
                np.take(flat[j * columns + i :], index, out=pixels, mode="clip")
                pixels *= weights_x[i]
                line += pixels
            line *= weights_y[j]
            total += line
        np.multiply(total, ratio[part, None], out=stamps[part])
    return stamps.reshape(-1, size, size)
