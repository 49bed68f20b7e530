"""Colour images and stretches of stamps."""

from collections.abc import Sequence

import numpy as np

#: Bands that colour a composite red, green and blue where a survey has them, as in the colour images of SDSS.
COLOURED = ("i", "r", "g")

#: Weights of red, green and blue: for i, r and g about the inverse of their fluxes in a galaxy of the Main Galaxy
#: Sample, so that such a galaxy is nearly white: earlier types yellow, later ones blue.
WEIGHTS = np.array([1.0, 1.5, 2.5])

#: Stretch of Lupton et al. 2004, which keeps a pixel's colour at every brightness: linear below a fifth of
#: 8 sigma of the sky, white at 120 sigma, about the centre of a galaxy of the Main Galaxy Sample.
STRETCH_SIGMA, SOFTENING = 8.0, 5.0


def sky_sigma(image: np.ndarray) -> np.ndarray:
    """Return a robust noise of images over their last two axes: 1.4826 median absolute deviations."""
    centre = np.median(image, axis=(-2, -1), keepdims=True)
    return 1.4826 * np.median(np.abs(image - centre), axis=(-2, -1))


def coloured_bands(bands: Sequence[str]) -> list[str]:
    """Return the bands that colour a composite red, green and blue: `COLOURED`, or the last, middle and first.

    Parameters
    ----------
    bands
        Bands of a survey, from short to long waves.
    """
    if set(COLOURED) <= set(bands):
        return list(COLOURED)
    return [bands[-1], bands[len(bands) // 2], bands[0]]


def composite_noise(image: np.ndarray, bands: Sequence[str]) -> float:
    """Return the sky noise of a stamp's weighted mean of the bands that colour it, nanomaggies a pixel.

    Parameters
    ----------
    image
        Nanomaggies a pixel, shape (bands, side, side).
    bands
        Their names.
    """
    return float(sky_sigma(_weighted(image, bands).mean(axis=0)))


def _weighted(image: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    chosen = [bands.index(band) for band in coloured_bands(bands)]
    return np.asarray(image, dtype=np.float64)[chosen] * WEIGHTS[:, None, None]


def colour_composite(image: np.ndarray, bands: Sequence[str], noise: float) -> np.ndarray:
    """Return a stamp as a colour image.

    Parameters
    ----------
    image
        Nanomaggies a pixel, shape (bands, side, side).
    bands
        Their names.
    noise
        `composite_noise` of this stamp, or of another: images with the same noise are shown alike.

    Returns
    -------
    array
        Red, green and blue from 0 to 1, shape (side, side, 3); see `coloured_bands`.
    """
    coloured = _weighted(image, bands)
    intensity = np.maximum(coloured.mean(axis=0), 1e-9)
    stretched = np.arcsinh(SOFTENING * intensity / (STRETCH_SIGMA * max(noise, 1e-9))) / SOFTENING
    pixels = np.clip(coloured * (stretched / intensity), 0, None)
    # where a colour would saturate, all three are dimmed, so that cores keep their hue
    pixels /= np.maximum(pixels.max(axis=0), 1)
    return np.moveaxis(pixels, 0, -1)


def arcsinh_stretch(image: np.ndarray) -> np.ndarray:
    """Return one band's image from 0 to 1: linear near the sky noise, logarithmic well above it.

    Parameters
    ----------
    image
        Shape (side, side). Each image has its own scale, from two sigma below the sky to its brightest pixel.
    """
    image = np.asarray(image, dtype=np.float64)
    noise = max(float(sky_sigma(image)), 1e-9)
    curve = np.arcsinh((image - np.median(image)) / (3 * noise))
    floor = np.arcsinh(-2 / 3)
    return np.clip((curve - floor) / (curve.max() - floor), 0, 1)
