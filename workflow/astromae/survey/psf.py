"""The point spread function of the embedded survey: the pipeline's double Gaussian, and how its width varies."""

import math

import galsim

from astromae.constants import BANDS
from astromae.seeds import generator

#: Effective width in r of a typical strip, arcsec. The first data release's fields have a median of 1.43 and quartiles
#: of 1.30 and 1.58 (SDSS DR7 page "Seeing and sky brightness"). Of later runs, which were taken in better seeing,
#: photoField-002583-2 says 1.03, and stars on the frames 2820-3-122, 3918-3-213 and 4510-4-30 have 1.08, 1.32 and 1.22.
#: This is the geometric mean of 1.43 and of the latter's 1.16.
PSF_WIDTH_R_ARCSEC = 1.29

# Widths in units of that in r: geometric means over the same four strips. Focus differs from CCD to CCD, so widths do
# not just follow wavelength^-0.3 (Xin et al. 2018, AJ 156, 222): z is as wide as r, u wider than its 1.18.
_WIDTH_OF_BAND = {"u": 1.17, "g": 1.10, "r": 1.0, "i": 0.92, "z": 0.985}

# Standard deviations of ln(width). Between strips: the seeing of the night, from the quartiles above, and the focus of
# each CCD, from the four strips. Within a strip: medians over the 227 fields of photoField-002583-2.
_NIGHT_SPREAD, _FOCUS_SPREAD = 0.14, 0.07
_FIELD_SPREAD, _BAND_SPREAD = 0.045, 0.028

#: The photometric pipeline's double Gaussian: the second Gaussian is twice as wide as the first and has 0.16 of its
#: central value, as in the real field psField-001000-1-0100 (psf_sigma1_2G, psf_sigma2_2G, psf_b_2G in r). Stars on
#: genuine frames have 1.8 to 2.1 and 0.14 to 0.30.
PSF_WIDE, PSF_WIDE_PEAK = 2.0, 0.16


def double_gaussian_width(sigma1: float, sigma2: float, peak: float) -> float:
    """Return the effective width of a double Gaussian.

    It is that of the Gaussian with as many effective pixels, n = (sum p)^2 / sum p^2, namely 0.663 sqrt(n)
    (Stoughton et al. 2002, AJ 123, 485, section 4.3).

    Parameters
    ----------
    sigma1, sigma2
        Standard deviations of the two Gaussians, in any unit of length.
    peak
        Central value of the second in units of the first's.

    Returns
    -------
    float
        Effective width, in the unit of `sigma1`.
    """
    area = (sigma2 / sigma1) ** 2
    squares = 1 + peak**2 * area + 4 * peak * area / (1 + area)
    return 0.663 * math.sqrt(4 * math.pi / squares) * sigma1 * (1 + peak * area)


def psf_width_arcsec(seed: int, run: int, camcol: int, field: int, band: str) -> float:
    """Return the effective width of a frame's point spread function, arcsec."""
    index = BANDS.index(band)
    spread = (
        generator(seed, "seeing of a strip", run, camcol).normal(0, _NIGHT_SPREAD)
        + generator(seed, "focus of a detector", run, camcol, index).normal(0, _FOCUS_SPREAD)
        + generator(seed, "seeing of a field", run, camcol, field).normal(0, _FIELD_SPREAD)
        + generator(seed, "seeing of a band", run, camcol, field, index).normal(0, _BAND_SPREAD)
    )
    return PSF_WIDTH_R_ARCSEC * _WIDTH_OF_BAND[band] * math.exp(spread)


def narrow_sigma_arcsec(width_arcsec: float) -> float:
    """Return the standard deviation of the narrower Gaussian at an effective width, arcsec."""
    return width_arcsec / double_gaussian_width(1.0, PSF_WIDE, PSF_WIDE_PEAK)


def point_spread_function(width_arcsec: float) -> galsim.GSObject:
    """Return the double Gaussian of an effective width, with unit flux."""
    sigma = narrow_sigma_arcsec(width_arcsec)
    wide_share = PSF_WIDE_PEAK * PSF_WIDE**2 / (1 + PSF_WIDE_PEAK * PSF_WIDE**2)
    core = galsim.Gaussian(sigma=sigma, flux=1 - wide_share)
    return core + galsim.Gaussian(sigma=PSF_WIDE * sigma, flux=wide_share)
