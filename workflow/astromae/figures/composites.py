"""Colour images and stretches of stamps."""

import numpy as np
from astromae.constants import BANDS

#: Bands that colour a composite red, green and blue, as in the survey's own colour images.
COLOURED = tuple(BANDS.index(band) for band in "irg")

#: Weights of i, r and g, about the inverse of their fluxes in a galaxy of the Main Galaxy Sample, so that such a
#: galaxy is nearly white: earlier types yellow, later ones blue.
WEIGHTS = np.array([1.0, 1.5, 2.5])

#: Stretch of Lupton et al. 2004, which keeps a pixel's colour at every brightness: linear below a fifth of
#: 8 sigma of the sky, white at 120 sigma, about the centre of a galaxy of the Main Galaxy Sample.
STRETCH_SIGMA, SOFTENING = 8.0, 5.0


def sky_sigma(image: np.ndarray) -> np.ndarray:
    """Return a robust noise of images over their last two axes: 1.4826 median absolute deviations."""
    centre = np.median(image, axis=(-2, -1), keepdims=True)
    return 1.4826 * np.median(np.abs(image - centre), axis=(-2, -1))


def composite_noise(image: np.ndarray) -> float:
    """Return the sky noise of a stamp's weighted mean of i, r and g, nanomaggies a pixel.

    Parameters
    ----------
    image
        Nanomaggies a pixel, shape (5, side, side), bands u, g, r, i, z.
    """
    return float(sky_sigma(_weighted(image).mean(axis=0)))


def _weighted(image: np.ndarray) -> np.ndarray:
    return np.asarray(image, dtype=np.float64)[list(COLOURED)] * WEIGHTS[:, None, None]


def colour_composite(image: np.ndarray, noise: float) -> np.ndarray:
    """Return a stamp as a colour image.

    Parameters
    ----------
    image
        Nanomaggies a pixel, shape (5, side, side), bands u, g, r, i, z.
    noise
        `composite_noise` of this stamp, or of another: images with the same noise are shown alike.

    Returns
    -------
    array
        Red, green and blue from 0 to 1, shape (side, side, 3), from bands i, r, g.
    """
    coloured = _weighted(image)
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
