"""Fluxes in nanomaggies and magnitudes: Pogson's, and the asinh magnitudes that SDSS catalogues give."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astromae.constants import BANDS, ZERO_POINT_NMGY
from astromae.errors import InputError

#: Softening b of the asinh magnitudes in each band, maggies (SDSS algorithms page "Magnitudes",
#: after Lupton, Gunn & Szalay 1999, AJ 118, 1406).
SOFTENING = {"u": 1.4e-10, "g": 0.9e-10, "r": 1.2e-10, "i": 1.8e-10, "z": 7.4e-10}

#: One nanomaggie in maggies.
NMGY = 1e-9


def pogson_magnitude(flux_nmgy: ArrayLike) -> NDArray[np.float64]:
    """Return Pogson's AB magnitude of a flux: 22.5 - 2.5 log10(flux).

    Parameters
    ----------
    flux_nmgy
        Fluxes, nanomaggies, of any shape.

    Returns
    -------
    ndarray
        Magnitudes; NaN where the flux is zero or negative, since it has none.
    """
    flux_nmgy = np.asarray(flux_nmgy, dtype=np.float64)
    positive = np.where(flux_nmgy > 0, flux_nmgy, np.nan)
    return ZERO_POINT_NMGY - 2.5 * np.log10(positive)


def pogson_flux(magnitude: ArrayLike) -> NDArray[np.float64]:
    """Return the flux in nanomaggies of Pogson's AB magnitudes, the inverse of `pogson_magnitude`."""
    return 10 ** (0.4 * (ZERO_POINT_NMGY - np.asarray(magnitude, dtype=np.float64)))


def asinh_magnitude(flux_nmgy: ArrayLike, bands: str | Sequence[str] = BANDS) -> NDArray[np.float64]:
    """Return SDSS asinh magnitudes, which exist for negative fluxes too.

    m = -2.5/ln(10) [asinh((f/f0) / (2b)) + ln b], with f/f0 in maggies (Lupton, Gunn & Szalay 1999).

    Parameters
    ----------
    flux_nmgy
        Fluxes, nanomaggies. With several bands, the last axis runs over them.
    bands
        The band of all fluxes, or the bands along the last axis; default u, g, r, i, z.

    Returns
    -------
    ndarray
        Magnitudes of the shape of `flux_nmgy`.

    Raises
    ------
    InputError
        If a band is unknown.
    """
    softening = _softening(bands)
    maggies = np.asarray(flux_nmgy, dtype=np.float64) * NMGY
    return -2.5 / np.log(10) * (np.arcsinh(maggies / (2 * softening)) + np.log(softening))


def asinh_flux(magnitude: ArrayLike, bands: str | Sequence[str] = BANDS) -> NDArray[np.float64]:
    """Return the flux in nanomaggies of SDSS asinh magnitudes, the inverse of `asinh_magnitude`.

    Parameters
    ----------
    magnitude
        Asinh magnitudes. With several bands, the last axis runs over them.
    bands
        The band of all magnitudes, or the bands along the last axis; default u, g, r, i, z.

    Raises
    ------
    InputError
        If a band is unknown.
    """
    softening = _softening(bands)
    magnitude = np.asarray(magnitude, dtype=np.float64)
    return 2 * softening * np.sinh(-np.log(10) / 2.5 * magnitude - np.log(softening)) / NMGY


def _softening(bands: str | Sequence[str]) -> NDArray[np.float64]:
    """Return b of one band (shape ``()``) or of several (one axis), maggies."""
    try:
        return np.array(SOFTENING[bands] if isinstance(bands, str) else [SOFTENING[band] for band in bands])
    except KeyError as error:
        raise InputError(f"band: {error.args[0]!r} is not a band of SDSS; use {', '.join(BANDS)}") from error
