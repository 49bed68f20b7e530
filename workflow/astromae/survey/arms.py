"""Spiral arms of disc galaxies: knots of young stars along a logarithmic spiral, with part of the disc's light."""

import math
from functools import lru_cache

import galsim
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.seeds import generator
from astromae.survey.gaussians import add_cluster, psf_components
from astromae.survey.geometry import Astrometry
from astromae.survey.morphology import DISC_HALF_LIGHT, TRUNCATION

# Share of the disc's light in r that the arms hold, from the earliest lenticulars, whose discs are patchy rather than
# armed, to Sc and later; our choice, such that drawn galaxies are about as asymmetric as real ones. Ellipticals have no
# disc.
_TYPES, _SHARES = (-3.5, 0.0, 3.0, 5.0), (0.06, 0.23, 0.35, 0.40)
# Colours of arms minus those of the disc around them, against r: arms are bluer, by a few tenths of a magnitude in g-r.
_ARM_COLOURS = {"u": -0.40, "g": -0.20, "r": 0.0, "i": 0.08, "z": 0.12}
# No band gives the arms more than this share of its disc.
_LARGEST_SHARE = 0.6

# Knots a galaxy, their standard deviation in disc scale lengths, and the scatter of their azimuths about the arms,
# radians. Pitch angles grow along the Hubble sequence: Kennicutt 1981, AJ 86, 1847, figure 7.
_KNOTS, _KNOT_SIGMA, _AZIMUTH_SCATTER = 24, 0.22, 0.35
_PITCH_TYPES, _PITCH_DEG = (1.0, 3.0, 5.0), (8.0, 13.0, 18.0)


def arm_fractions(hubble_type: NDArray[np.float64], disc_fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of a galaxy's light that its arms hold in each band.

    Parameters
    ----------
    hubble_type
        Hubble types T, shape (n,).
    disc_fraction
        Share of the disc, arms included, in u, g, r, i, z, shape (n, 5).

    Returns
    -------
    ndarray
        Shares, shape (n, 5): in each band at most the disc's, so that bulge, disc and arms add up to the galaxy's
        flux, and the colour of disc and arms together is what it was.
    """
    colour = np.array([_ARM_COLOURS[band] for band in BANDS])
    of_disc = np.interp(hubble_type, _TYPES, _SHARES)[:, None] * 10 ** (-0.4 * colour)
    return np.minimum(of_disc, _LARGEST_SHARE) * disc_fraction


@lru_cache(maxsize=1024)
def draw_knots(
    seed: int, hubble_type: float, half_light_arcsec: float, axis_ratio: float, position_angle_deg: float
) -> tuple[NDArray[np.float64], float]:
    """Return where the knots of a galaxy's arms lie; the same in every band.

    Their distances from the centre are those of GalSim's random knots of the disc's own profile, so that disc and arms
    together keep the half-light radius; their azimuths follow two arms; the disc's axis ratio and position
    angle turn them to the sky.

    Parameters
    ----------
    seed
        Seed of this galaxy's knots.
    hubble_type
        Hubble type T, which sets the arms' pitch.
    half_light_arcsec, axis_ratio, position_angle_deg
        Those of the disc.

    Returns
    -------
    offset
        East and north of the centre, arcsec, shape (k, 2).
    sigma
        Standard deviation of each knot, arcsec.
    """
    random = generator(seed, "knots")
    disc = galsim.Sersic(1.0, half_light_radius=half_light_arcsec, trunc=TRUNCATION[1.0] * half_light_arcsec)
    knots = galsim.RandomKnots(_KNOTS, profile=disc, rng=galsim.BaseDeviate(int(random.integers(1, 2**31))))
    radius = np.hypot(*knots.points.T)
    scale = half_light_arcsec / DISC_HALF_LIGHT
    pitch = math.radians(np.interp(hubble_type, _PITCH_TYPES, _PITCH_DEG))
    winding = np.log(np.maximum(radius / scale, 0.2)) / math.tan(pitch) * random.choice([-1, 1])
    azimuth = winding + math.pi * random.integers(0, 2, _KNOTS) + random.uniform(0, 2 * math.pi)
    azimuth += _AZIMUTH_SCATTER * random.normal(size=_KNOTS)
    root = math.sqrt(axis_ratio)
    along, across = radius * np.cos(azimuth) / root, radius * np.sin(azimuth) * root
    angle = math.radians(position_angle_deg)
    east = along * math.sin(angle) + across * math.cos(angle)
    north = along * math.cos(angle) - across * math.sin(angle)
    return np.stack([east, north], axis=1), _KNOT_SIGMA * scale * root


def add_arms(
    pixels: NDArray[np.float32],
    galaxies: pd.DataFrame,
    flux: NDArray[np.float64],
    band: str,
    astrometry: Astrometry,
    psf: galsim.Sum,
) -> None:
    """Add the arms of galaxies to one band's image.

    Parameters
    ----------
    pixels
        Image, nanomaggies a pixel, shape (rows, columns); changed in place.
    galaxies
        Rows of the catalogue.
    flux
        Their whole fluxes, of which the arms hold the catalogue's share, nanomaggies, shape (n,).
    band
        Band.
    astrometry
        Where the image's pixels lie on the sky.
    psf
        Point spread function: a sum of Gaussians.
    """
    arms = galaxies[f"arm_fraction_{band}"].to_numpy() * flux
    spirals = np.flatnonzero(arms)
    if not len(spirals):
        return
    galaxies, arms = galaxies.iloc[spirals], arms[spirals]
    centre = np.stack(astrometry.wcs().all_world2pix(galaxies["ra"], galaxies["dec"], 0), axis=1)
    columns = ["arm_seed", "hubble_type", *(f"disc_{name}" for name in ("half_light_arcsec", "axis_ratio"))]
    knots = [draw_knots(*values) for values in galaxies[[*columns, "position_angle_deg"]].itertuples(index=False)]
    offset, sigma = np.stack([offset for offset, _ in knots]), np.array([sigma for _, sigma in knots])
    place = centre[:, None] + offset @ np.linalg.inv(astrometry.cd * 3600).T  # (n, knots, 2)
    shares, widths = np.array(psf_components(psf, PIXEL_SCALE_ARCSEC)).T
    blurred = np.hypot(sigma[:, None] / PIXEL_SCALE_ARCSEC, widths)  # (n, Gaussians)
    for of_galaxy, own_sigma, flux_of_knot in zip(place, blurred, arms / _KNOTS, strict=True):
        column, row = np.repeat(of_galaxy, len(shares), axis=0).T
        add_cluster(pixels, column, row, np.tile(own_sigma, _KNOTS), np.tile(shares * flux_of_knot, _KNOTS))
