"""Sums of Gaussians drawn onto a frame: many small objects at once, where GalSim would take one at a time."""

import math
from functools import cache

import galsim
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import erf

from astromae.survey.morphology import TRUNCATION

#: Radius at which a Gaussian ends, in its standard deviations: 3e-5 of its flux lies farther out.
REACH = 4.5

# Standard deviations of the Gaussians that a Sersic profile is written as, in half-light radii, and the radii at
# which they are held against it. Hogg & Lang (2013, PASP 125, 719) show that such sums serve for every practical use.
_SIGMAS = {1.0: np.geomspace(0.08, 1.6, 6), 4.0: np.geomspace(0.02, 3.5, 8)}
_RADII = {1.0: np.linspace(0.01, 4.0, 400), 4.0: np.geomspace(0.005, 8.0, 400)}

# Galaxies that are drawn at once, so that the arrays stay in the processor's cache.
_BATCH = 16


def psf_components(psf: galsim.Sum, pixel_scale_arcsec: float) -> list[tuple[float, float]]:
    """Return flux and standard deviation in pixels of each Gaussian that a point spread function is the sum of."""
    return [(component.flux, component.sigma / pixel_scale_arcsec) for component in psf.obj_list]


@cache
def sersic_gaussians(sersic: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a Sersic profile, truncated as those of the survey's galaxies, as a sum of Gaussians.

    Parameters
    ----------
    sersic
        Sersic index, 1 or 4.

    Returns
    -------
    share, sigma
        Shares of the flux, which add up to 1, and standard deviations in half-light radii, shape (k,).
    """
    sigma, radius = _SIGMAS[sersic], _RADII[sersic]
    profile = galsim.Sersic(sersic, half_light_radius=1.0, trunc=TRUNCATION[sersic])
    brightness = np.array([profile.xValue(r, 0) for r in radius])
    # Light in rings is what counts, on the grid's own spacing.
    weight = radius * np.sqrt(np.gradient(radius))
    design = np.exp(-0.5 * (radius[:, None] / sigma) ** 2) / (2 * np.pi * sigma**2)
    flux, _ = nnls(design * weight[:, None], brightness * weight)
    return flux / flux.sum(), sigma


def add_round(
    pixels: NDArray[np.float32],
    column: NDArray[np.float64],
    row: NDArray[np.float64],
    sigma: NDArray[np.float64],
    flux: NDArray[np.float64],
) -> None:
    """Add round Gaussians to an image, each integrated over the pixels and clipped at the edges.

    Parameters
    ----------
    pixels
        Image, shape (rows, columns); changed in place.
    column, row
        Centres, pixels from 0, shape (n,).
    sigma
        Standard deviations, pixels, shape (n,).
    flux
        Fluxes in the image's unit, shape (n,).
    """
    half = np.ceil(REACH * sigma).astype(int)
    for size in np.unique(half):
        chosen = np.flatnonzero(half == size)
        # Edges of the pixels around the middle one, from the centre in standard deviations times root 2.
        edge = np.arange(-size, size + 2) - 0.5
        middle_column, middle_row = np.rint(column[chosen]).astype(int), np.rint(row[chosen]).astype(int)
        scale = 1 / (math.sqrt(2) * sigma[chosen, None])
        across = 0.5 * np.diff(erf((edge + (middle_column - column[chosen])[:, None]) * scale))
        along = 0.5 * np.diff(erf((edge + (middle_row - row[chosen])[:, None]) * scale)) * flux[chosen, None]
        for x, y, horizontal, vertical in zip(
            middle_column - size, middle_row - size, across.astype(np.float32), along.astype(np.float32), strict=True
        ):
            _add(pixels, x, y, vertical[:, None] * horizontal)


def add_cluster(
    pixels: NDArray[np.float32],
    column: NDArray[np.float64],
    row: NDArray[np.float64],
    sigma: NDArray[np.float64],
    flux: NDArray[np.float64],
) -> None:
    """Add round Gaussians that lie close together, all of them by one matrix product; parameters as of `add_round`.

    Instead of integrating over each pixel, the variance grows by that of a pixel, 1/12: no pixel is off by more than a
    thousandth of the peak where the standard deviation is a pixel or more.
    """
    reach = REACH * sigma.max()
    left, low = math.floor(column.min() - reach), math.floor(row.min() - reach)
    right, high = math.ceil(column.max() + reach), math.ceil(row.max() + reach)
    variance = (sigma[:, None] ** 2 + 1 / 12).astype(np.float32)
    from_column = (np.arange(left, right + 1) - column[:, None]).astype(np.float32)
    from_row = (np.arange(low, high + 1) - row[:, None]).astype(np.float32)
    across = np.exp(-0.5 * from_column**2 / variance)
    along = np.exp(-0.5 * from_row**2 / variance) * (flux[:, None] / (2 * np.pi * variance)).astype(np.float32)
    _add(pixels, left, low, along.T @ across)


def add_galaxies(
    pixels: NDArray[np.float32],
    column: NDArray[np.float64],
    row: NDArray[np.float64],
    covariance: NDArray[np.float64],
    sersic: float,
    flux: NDArray[np.float64],
    psf: list[tuple[float, float]],
) -> None:
    """Add elliptical galaxies of one Sersic index, seen through a point spread function.

    Parameters
    ----------
    pixels
        Image, shape (rows, columns); changed in place.
    column, row
        Centres, pixels from 0, shape (n,).
    covariance
        Shapes: square of the half-light radius along the columns, along the rows, and their product, pixels
        squared, shape (n, 3).
    sersic
        Sersic index, 1 or 4.
    flux
        Fluxes in the image's unit, shape (n,).
    psf
        As `psf_components` gives it.
    """
    share, sigma = sersic_gaussians(sersic)
    # A Gaussian of variance s convolved with a pixel is nearly one of variance s + 1/12.
    widths = [(a * b, s**2, p**2 + 1 / 12) for a, s in zip(share, sigma, strict=True) for b, p in psf]
    part, intrinsic, blur = (np.array(values) for values in zip(*widths, strict=True))
    # What lies beyond three half-light radii of a faint galaxy is lost in the noise.
    reach = np.sqrt(9 * covariance[:, :2].max(axis=1) + (REACH * max(width for _, width in psf)) ** 2)
    half = (np.ceil(reach / 4) * 4).astype(int)
    for size in np.unique(half):
        of_size = np.flatnonzero(half == size)
        for chosen in np.array_split(of_size, math.ceil(len(of_size) / _BATCH)):
            middle_column, middle_row = np.rint(column[chosen]).astype(int), np.rint(row[chosen]).astype(int)
            grid = np.arange(-size, size + 1)
            x = (grid + (middle_column - column[chosen])[:, None]).astype(np.float32)  # (n, side)
            y = (grid + (middle_row - row[chosen])[:, None]).astype(np.float32)
            xx, yy, xy = (covariance[chosen, k, None] * intrinsic for k in range(3))  # (n, gaussians)
            xx, yy = xx + blur, yy + blur
            determinant = xx * yy - xy**2
            height = (flux[chosen, None] * part / (2 * np.pi * np.sqrt(determinant))).astype(np.float32)
            a, b, c = (value.astype(np.float32) for value in (yy / determinant, xx / determinant, xy / determinant))
            light = np.zeros((len(chosen), 2 * size + 1, 2 * size + 1), np.float32)
            for k in range(len(part)):
                form = (0.5 * a[:, k, None] * x**2)[:, None, :] + (0.5 * b[:, k, None] * y**2)[:, :, None]
                form -= (c[:, k, None] * x)[:, None, :] * y[:, :, None]
                light += height[:, k, None, None] * np.exp(-form)
            for left, low, image in zip(middle_column - size, middle_row - size, light, strict=True):
                _add(pixels, left, low, image)


def _add(pixels: NDArray[np.float32], left: int, low: int, light: NDArray[np.float32]) -> None:
    """Add a small image whose first pixel is at column `left` and row `low`, clipped at the edges."""
    rows, columns = pixels.shape
    right, high = min(left + light.shape[1], columns), min(low + light.shape[0], rows)
    x, y = max(left, 0), max(low, 0)
    if x < right and y < high:
        pixels[y:high, x:right] += light[y - low : high - low, x - left : right - left]
