"""What galaxies look like: type, size, bulge, disc, shape and colour gradient, from published relations."""

import numpy as np
import pandas as pd
from astropy.cosmology import FlatLambdaCDM
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammainc

from astromae.constants import BANDS
from astromae.photometry import asinh_magnitude, pogson_magnitude

#: The cosmology that Shen et al. (2003) measured their sizes in.
COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)

#: Observed u-r that separates early (E, S0, Sa) from late types (Sb, Sc, Irr): Strateva et al. 2001, AJ 122, 1861.
TYPE_SEPARATOR_U_R = 2.22
# Width of the transition, magnitudes; our choice, so that types mix across the separator as they do there.
_TYPE_TRANSITION = 0.15

# Hubble types T: ellipticals are -5 and -4, lenticulars -3 to -1, Sa 1, Sb 3, Sc 5, Sd 7. Types are drawn evenly
# within early and late; ellipticals have no disc.
_EARLY_TYPES, _LATE_TYPES, _LAST_ELLIPTICAL = (-5.5, 2.0), (2.0, 7.5), -3.5

# K-correction of r by z (rows, from z^0) and observed g-r (columns, from (g-r)^0): Chilingarian, Melchior & Zolotukhin
# 2010, MNRAS 405, 1409, table A2.
_K_CORRECTION_R = np.array(
    [
        [0, 0, 0, 0],
        [1.83285, -2.71446, 4.97336, -3.66864],
        [-19.7595, 10.5033, 18.8196, 6.07785],
        [33.6059, -120.713, -49.299, 0],
        [144.371, 216.453, 0, 0],
        [-295.39, 0, 0, 0],
    ]
)
# The fit is made for z < 0.5 and the colours of galaxies.
_K_CORRECTION_MAX_Z, _K_CORRECTION_G_R = 0.5, (0.0, 1.9)

# Shen et al. 2003, MNRAS 343, 978, table 1, row of their figure 4 (half-light radii in r).
_SHEN_EARLY = {"a": 0.60, "b": -4.63}
_SHEN_LATE = {"alpha": 0.21, "beta": 0.53, "gamma": -1.31}
_SHEN_SCATTER = {"sigma1": 0.48, "sigma2": 0.25, "m0": -20.52}

# Bulge half-light radius in disc scale lengths, mean and dispersion, for exponential bulges: MacArthur, Courteau &
# Holtzman 2003, ApJ 582, 689. De Vaucouleurs bulges are four times larger: Hunt, Pierini & Giovanardi 2004,
# A&A 414, 905. The normal distribution is cut at two dispersions to stay positive.
_BULGE_TO_DISC, _BULGE_TO_DISC_SPREAD, _DE_VAUCOULEURS_FACTOR = 0.22, 0.09, 4.0

#: Half-light radius of an exponential disc in scale lengths.
DISC_HALF_LIGHT = 1.67835

#: Radii, in half-light radii, at which profiles end: those of the SDSS model magnitudes (SDSS algorithms page
#: "Model magnitudes": de Vaucouleurs profiles vanish at 8, exponentials at 4), so that a drawn galaxy
#: holds its model flux, no more and no less.
TRUNCATION = {4.0: 8.0, 1.0: 4.0}

# Padilla & Strauss 2008, MNRAS 388, 1321: thickness of oblate ellipticals at two luminosities, and thickness and
# ln(1 - b/a seen face-on) of discs.
_SPHEROID_THICKNESS = ((-22.5, 0.76), (-18.0, 0.41))
_DISC_THICKNESS, _DISC_THICKNESS_SPREAD = 0.21, 0.02
_DISC_LN_ELLIPTICITY, _DISC_LN_ELLIPTICITY_SPREAD = -2.33, 0.79

# Colours of bulges minus those of their discs, against R, mean and dispersion at U, B, R, K: Peletier & Balcells 1996,
# AJ 111, 2238 (U-R 0.126 +- 0.165, B-R 0.045 +- 0.097, R-K 0.078 +- 0.165). Wavelengths in micrometres.
_GRADIENT_MICRON = (0.365, 0.44, 0.66, 2.2)
_GRADIENT_MEAN = (0.126, 0.045, 0.0, -0.078)
_GRADIENT_SPREAD = (0.165, 0.097, 0.0, -0.165)
# Effective wavelengths of u, g, r, i, z (Fukugita et al. 1996, AJ 111, 1748), micrometres.
_BAND_MICRON = (0.3557, 0.4825, 0.6261, 0.7672, 0.9097)


def absolute_magnitude_r(mag_g: ArrayLike, mag_r: ArrayLike, z: ArrayLike) -> NDArray[np.float64]:
    """Return rest-frame absolute r magnitudes from dereddened g and r and the redshift.

    The distance is that of `COSMOLOGY`, the K-correction that of Chilingarian et al. (2010); beyond z = 0.5, where
    their fit ends, the correction stays what it is there.
    """
    mag_r, z = np.asarray(mag_r, dtype=np.float64), np.asarray(z, dtype=np.float64)
    colour = np.clip(np.asarray(mag_g) - mag_r, *_K_CORRECTION_G_R)
    k_correction = np.polynomial.polynomial.polyval2d(np.minimum(z, _K_CORRECTION_MAX_Z), colour, _K_CORRECTION_R)
    return mag_r - COSMOLOGY.distmod(z).value - k_correction


def median_size_kpc(absolute_mag_r: ArrayLike, early: ArrayLike) -> NDArray[np.float64]:
    """Return the median half-light radius, kpc: Shen et al. (2003), equations 14 (early) and 15 (late types)."""
    magnitude = np.asarray(absolute_mag_r, dtype=np.float64)
    log_early = -0.4 * _SHEN_EARLY["a"] * magnitude + _SHEN_EARLY["b"]
    bend = np.log10(1 + 10 ** (-0.4 * (magnitude - _SHEN_SCATTER["m0"])))
    log_late = (
        -0.4 * _SHEN_LATE["alpha"] * magnitude + (_SHEN_LATE["beta"] - _SHEN_LATE["alpha"]) * bend + _SHEN_LATE["gamma"]
    )
    return 10 ** np.where(early, log_early, log_late)


def size_scatter(absolute_mag_r: ArrayLike) -> NDArray[np.float64]:
    """Return the dispersion of the natural logarithm of sizes: Shen et al. (2003), equation 16."""
    bend = 1 + 10 ** (-0.8 * (np.asarray(absolute_mag_r, dtype=np.float64) - _SHEN_SCATTER["m0"]))
    return _SHEN_SCATTER["sigma2"] + (_SHEN_SCATTER["sigma1"] - _SHEN_SCATTER["sigma2"]) / bend


def bulge_fraction_of_type(hubble_type: ArrayLike) -> NDArray[np.float64]:
    """Return the bulge's share of the light: Simien & de Vaucouleurs 1986, ApJ 302, 564; 1 for ellipticals."""
    hubble_type = np.asarray(hubble_type, dtype=np.float64)
    x = hubble_type + 5
    share = 10 ** (-0.4 * (0.324 * x - 0.054 * x**2 + 0.0047 * x**3))
    return np.where(hubble_type < _LAST_ELLIPTICAL, 1.0, share)


def projected_axis_ratio(
    middle: ArrayLike, minor: ArrayLike, cos_theta: ArrayLike, phi: ArrayLike
) -> NDArray[np.float64]:
    """Return the apparent axis ratio of an ellipsoid: Binney 1985, MNRAS 212, 767.

    Parameters
    ----------
    middle, minor
        Middle and minor axis in units of the major one.
    cos_theta, phi
        Viewing direction: cosine of the angle to the minor axis, azimuth in radians from the major axis.
    """
    middle, minor, cos_theta, phi = np.broadcast_arrays(middle, minor, cos_theta, phi)
    sin2_theta = 1 - cos_theta**2
    a = cos_theta**2 / minor**2 * (np.sin(phi) ** 2 + np.cos(phi) ** 2 / middle**2) + sin2_theta / middle**2
    b = cos_theta * np.sin(2 * phi) * (1 - 1 / middle**2) / minor**2
    c = (np.sin(phi) ** 2 / middle**2 + np.cos(phi) ** 2) / minor**2
    root = np.hypot(a - c, b)
    return np.sqrt((a + c - root) / (a + c + root))


def enclosed_light(radius: ArrayLike, sersic_index: float) -> NDArray[np.float64]:
    """Return the share of a truncated Sersic profile's light inside a radius in half-light radii."""
    end = TRUNCATION[sersic_index]

    def untruncated(x: ArrayLike, b: float) -> NDArray[np.float64]:
        return gammainc(2 * sersic_index, b * np.asarray(x) ** (1 / sersic_index))

    # The half-light radius is that of the truncated profile, so b differs from the familiar 7.67 and 1.68.
    b = brentq(lambda b: untruncated(1.0, b) - 0.5 * untruncated(end, b), 0.1, 20.0)
    return untruncated(np.minimum(radius, end), b) / untruncated(end, b)


def component_sizes(
    half_light: NDArray[np.float64],
    bulge_fraction: NDArray[np.float64],
    bulge_to_disc: NDArray[np.float64],
    bulge_sersic: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the half-light radii of bulge and disc that give the galaxy its half-light radius.

    Parameters
    ----------
    half_light
        Half-light radius of the galaxy, shape (n,), in any unit.
    bulge_fraction
        Bulge's share of the light, shape (n,).
    bulge_to_disc
        Half-light radius of the bulge in that of the disc, shape (n,).
    bulge_sersic
        Sersic index of the bulge, a key of `TRUNCATION`, shape (n,).

    Returns
    -------
    bulge, disc
        Half-light radii, shape (n,), in the unit of `half_light`.
    """
    low, high = np.full(half_light.shape, 1e-3), np.full(half_light.shape, 1e3)
    for _ in range(60):
        # x is the galaxy's half-light radius in units of the disc's; the light inside it grows with x.
        x = np.sqrt(low * high)
        bulge_light = np.empty_like(x)
        for index in TRUNCATION:
            chosen = bulge_sersic == index
            bulge_light[chosen] = enclosed_light((x / bulge_to_disc)[chosen], index)
        light = bulge_fraction * bulge_light + (1 - bulge_fraction) * enclosed_light(x, 1.0)
        low, high = np.where(light < 0.5, x, low), np.where(light < 0.5, high, x)
    disc = half_light / np.sqrt(low * high)
    return bulge_to_disc * disc, disc


def bulge_fractions(bulge_fraction_r: NDArray[np.float64], redness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bulge's share of the light in every band.

    The bulge's colours differ from the disc's as Peletier & Balcells (1996) found, interpolated in the logarithm of
    wavelength. Only shares change: bulge and disc always add up to the galaxy's flux in each band.

    Parameters
    ----------
    bulge_fraction_r
        Share in r, shape (n,).
    redness
        Place of each galaxy in the distribution of colour differences, in standard deviations, shape (n,).

    Returns
    -------
    ndarray
        Shares in u, g, r, i, z, shape (n, 5), each from 0 to 1.
    """
    wavelengths = np.log(_BAND_MICRON)
    mean = np.interp(wavelengths, np.log(_GRADIENT_MICRON), _GRADIENT_MEAN)
    spread = np.interp(wavelengths, np.log(_GRADIENT_MICRON), _GRADIENT_SPREAD)
    difference = mean + np.multiply.outer(redness, spread)
    difference -= difference[:, [BANDS.index("r")]]
    bulge = bulge_fraction_r[:, None] * 10 ** (-0.4 * difference)
    disc = 1 - bulge_fraction_r[:, None]
    return bulge / (bulge + disc)


def draw_morphology(
    flux_nmgy: NDArray[np.float64], z: NDArray[np.float64], random: np.random.Generator
) -> pd.DataFrame:
    """Draw the appearance of galaxies from their colours, luminosities and redshifts.

    Type from u-r; half-light radius from Shen et al.'s (2003) relation and scatter, turned from kpc into
    arcsec by the redshift; bulge fraction from the type; sizes, Sersic indices (4 for the bulges of early types, 1 for
    those of late types, whose mean MacArthur et al. 2003 find, and for discs) and shapes of bulge and
    disc, seen from a random direction; a colour gradient.

    Parameters
    ----------
    flux_nmgy
        Dereddened fluxes in u, g, r, i, z, shape (n, 5), nanomaggies; u may be negative.
    z
        Redshifts, shape (n,).
    random
        Source of the random numbers.

    Returns
    -------
    DataFrame
        absolute_mag_r, hubble_type, half_light_kpc, half_light_arcsec (of circular apertures), bulge_sersic,
        bulge_half_light_arcsec, disc_half_light_arcsec (geometric means of the axes), bulge_axis_ratio,
        disc_axis_ratio, position_angle_deg (north through east), bulge_fraction_{u,g,r,i,z}.
    """
    n = len(z)
    magnitude = absolute_magnitude_r(pogson_magnitude(flux_nmgy[:, 1]), pogson_magnitude(flux_nmgy[:, 2]), z)
    u_r = asinh_magnitude(flux_nmgy[:, 0], "u") - asinh_magnitude(flux_nmgy[:, 2], "r")
    early = random.random(n) < 1 / (1 + np.exp(-(u_r - TYPE_SEPARATOR_U_R) / _TYPE_TRANSITION))
    hubble_type = np.where(early, random.uniform(*_EARLY_TYPES, n), random.uniform(*_LATE_TYPES, n))

    half_light_kpc = median_size_kpc(magnitude, early) * np.exp(size_scatter(magnitude) * random.normal(size=n))
    half_light_arcsec = half_light_kpc * COSMOLOGY.arcsec_per_kpc_proper(z).value

    bulge_fraction_r = bulge_fraction_of_type(hubble_type)
    bulge_sersic = np.where(early, 4.0, 1.0)
    ratio = _BULGE_TO_DISC + _BULGE_TO_DISC_SPREAD * np.clip(random.normal(size=n), -2, 2)
    ratio *= np.where(early, _DE_VAUCOULEURS_FACTOR, 1.0)
    bulge, disc = component_sizes(half_light_arcsec, bulge_fraction_r, ratio / DISC_HALF_LIGHT, bulge_sersic)

    cos_theta, phi = random.random(n), random.uniform(0, 2 * np.pi, n)
    spheroid_thickness = np.interp(magnitude, *zip(*_SPHEROID_THICKNESS, strict=True))
    disc_thickness = random.normal(_DISC_THICKNESS, _DISC_THICKNESS_SPREAD, n)
    ellipticity = np.exp(random.normal(_DISC_LN_ELLIPTICITY, _DISC_LN_ELLIPTICITY_SPREAD, n))
    # However elongated, a disc stays wider than it is thick.
    middle = np.maximum(1 - ellipticity, disc_thickness)

    table = {
        "absolute_mag_r": magnitude,
        "hubble_type": hubble_type,
        "half_light_kpc": half_light_kpc,
        "half_light_arcsec": half_light_arcsec,
        "bulge_sersic": bulge_sersic,
        "bulge_half_light_arcsec": bulge,
        "disc_half_light_arcsec": disc,
        "bulge_axis_ratio": projected_axis_ratio(1.0, spheroid_thickness, cos_theta, phi),
        "disc_axis_ratio": projected_axis_ratio(middle, disc_thickness, cos_theta, phi),
        "position_angle_deg": random.uniform(0, 180, n),
    }
    fractions = bulge_fractions(bulge_fraction_r, random.normal(size=n))
    table |= {f"bulge_fraction_{band}": fractions[:, index] for index, band in enumerate(BANDS)}
    return pd.DataFrame(table)
