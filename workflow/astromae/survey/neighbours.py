"""What stands around the survey's galaxies: foreground stars and background galaxies, at the sky's own densities."""

import math

import galsim
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS, PIXEL_SCALE_ARCSEC
from astromae.photometry import pogson_flux
from astromae.seeds import generator
from astromae.survey.gaussians import add_galaxies, add_round, psf_components
from astromae.survey.geometry import Astrometry, field_astrometry
from astromae.survey.simulation import Simulation

# All numbers of this module were measured on three genuine fields at high Galactic latitude, 2820-3-122, 3918-3-213
# and 4510-4-30: peaks of the smoothed r frame, and apertures of 7 px in r for magnitudes and of 5 px for colours.
# Magnitudes and colours are as observed, Galactic extinction included.

#: Stars a square degree and magnitude at these r magnitudes; between them the logarithm is linear. Brighter stars,
#: of which a field has a few, saturate the camera, and are left out.
STAR_MAGNITUDES = np.array([14.0, 17.0, 20.25, 22.5])
STAR_DENSITY_DEG2 = np.array([95.0, 190.0, 720.0, 1150.0])

#: Galaxies a square degree and magnitude at r = 19.75, slope of their logarithm a magnitude, and r magnitudes from
#: which to which they are drawn: the 873 measured, and 18 % more since the aperture misses some light, so that drawn
#: frames show as many when they are counted alike. Fainter ones stay below the noise. Yasuda et al. 2001, AJ 122,
#: 1104 find the slope to fall from 0.6 for r < 16 towards fainter magnitudes.
GALAXY_DENSITY_DEG2, GALAXY_SLOPE, GALAXY_MAGNITUDES = 1030.0, 0.43, (14.5, 22.5)

# Stars: quantiles of g-r at r = 17.5 and at r = 20; u-g, r-i and i-z at given g-r; and the quantiles of r-i of M
# dwarfs, whose g-r stays at 1.2 to 1.6 while r-i grows.
_QUANTILES = (0.0, 0.05, 0.16, 0.25, 0.5, 0.75, 0.84, 0.95, 1.0)
_STAR_G_R_BRIGHT = (0.15, 0.29, 0.42, 0.51, 0.94, 1.35, 1.39, 1.45, 1.55)
_STAR_G_R_FAINT = (0.05, 0.17, 0.33, 0.43, 1.29, 1.40, 1.52, 1.62, 1.70)
_LOCUS_G_R = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5)
_LOCUS_U_G = (0.90, 0.95, 1.30, 1.84, 2.11, 2.38, 2.48, 2.60)
_LOCUS_R_I = (0.02, 0.11, 0.19, 0.25, 0.34, 0.44)
_M_DWARF_G_R, _M_DWARF_R_I = 1.2, (0.45, 0.51, 0.58, 0.67, 0.86, 1.08, 1.15, 1.36, 1.60)
_LOCUS_I_Z = (0.03, 0.5)  # i-z = 0.03 + 0.5 (r-i)
_LOCUS_WIDTH = 0.04

# Galaxies: mean, dispersion and range of g-r, and the other colours as offset, slope on g-r and dispersion.
_GALAXY_G_R, _GALAXY_G_R_SPREAD, _GALAXY_G_R_RANGE = 0.95, 0.33, (0.2, 1.7)
_GALAXY_COLOURS = {"u-g": (1.17, 0.20, 0.40), "r-i": (0.12, 0.29, 0.06), "i-z": (0.07, 0.26, 0.08)}
# Half-light radii, arcsec: median at r = 19, slope of its logarithm a magnitude, dispersion of ln. Redder than this
# g-r, profiles are de Vaucouleurs', else exponential.
_HALF_LIGHT, _HALF_LIGHT_SLOPE, _HALF_LIGHT_SPREAD = 1.25, -0.10, 0.4
_EARLY_G_R = 1.1

#: Galaxies cluster: mean number of companions of each of the survey's galaxies beyond the background, least and largest
#: distance, arcsec, between which they are spread evenly in distance (a surface density of 1 / distance, near the
#: -0.8 of the angular correlation), and their r magnitudes. The number is such that stamps hold about as much light of
#: neighbours as real ones (`astromae.evaluation.appearance`).
COMPANIONS, COMPANION_ARCSEC, COMPANION_MAGNITUDES = 0.35, (4.0, 18.0), (18.0, 21.5)

#: Objects are drawn up to this far outside the r frame, pixels: as far as the other bands' grids are offset, and more.
MARGIN = 40


def draw_objects(galaxies: pd.DataFrame, settings: Simulation, run: int, camcol: int, field: int) -> pd.DataFrame:
    """Draw what stands around the galaxies of a field: stars and background galaxies at random, and companions.

    Parameters
    ----------
    galaxies
        The catalogue's rows of this field, of which ra and dec are read.
    settings
        What is simulated.
    run, camcol, field
        Which field.

    Returns
    -------
    DataFrame
        run, camcol, field; ra, dec (deg); kind (``star``, ``galaxy``, ``companion``); mag_{u,g,r,i,z} (AB, observed);
        half_light_arcsec (0 for stars), axis_ratio, position_angle_deg (north through east), sersic (0 for stars).
    """
    random = generator(settings.seed, "stars and background galaxies", run, camcol, field)
    sides = np.array([FRAME_COLUMNS, FRAME_ROWS]) + 2 * MARGIN
    area_deg2 = sides.prod() * (PIXEL_SCALE_ARCSEC / 3600) ** 2
    stars = _draw_magnitudes(STAR_MAGNITUDES, np.log10(STAR_DENSITY_DEG2), area_deg2, random)
    background = _draw_magnitudes(GALAXY_MAGNITUDES, galaxy_log_density(GALAXY_MAGNITUDES), area_deg2, random)
    wcs = field_astrometry(settings, run, camcol, field, "r").wcs()
    pixel = random.uniform(-MARGIN, sides - MARGIN, (len(stars) + len(background), 2)) - 0.5
    # Companions have a stream of their own: as many galaxies as may be, the same stars.
    beside = generator(settings.seed, "companions", run, camcol, field)
    host = np.repeat(np.arange(len(galaxies)), beside.poisson(COMPANIONS, len(galaxies)))
    distance, angle = beside.uniform(*COMPANION_ARCSEC, len(host)), beside.uniform(0, 2 * np.pi, len(host))
    place = np.stack(wcs.all_world2pix(galaxies["ra"], galaxies["dec"], 0), axis=1)[host]
    place += (distance / PIXEL_SCALE_ARCSEC)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # Slope alone matters: their number is set.
    ends = galaxy_log_density(COMPANION_MAGNITUDES)
    share = np.log10(10 ** ends[0] + beside.random(len(host)) * (10 ** ends[1] - 10 ** ends[0]))
    companions = np.interp(share, ends, COMPANION_MAGNITUDES)

    parts = [_table("star", stars, _star_magnitudes(stars, random), random)]
    parts += [_table("galaxy", background, _galaxy_magnitudes(background, random), random)]
    parts += [_table("companion", companions, _galaxy_magnitudes(companions, beside), beside)]
    objects = pd.concat(parts, ignore_index=True)
    objects["ra"], objects["dec"] = wcs.all_pix2world(*np.concatenate([pixel, place]).T, 0)
    return objects.assign(run=np.int32(run), camcol=np.int32(camcol), field=np.int32(field))


def _table(
    kind: str, mag_r: NDArray[np.float64], magnitudes: NDArray[np.float64], random: np.random.Generator
) -> pd.DataFrame:
    """Return objects of one kind with magnitudes and shapes; stars are points."""
    n, extended = len(mag_r), float(kind != "star")
    half_light = _HALF_LIGHT * 10 ** (_HALF_LIGHT_SLOPE * (mag_r - 19))
    half_light *= np.exp(_HALF_LIGHT_SPREAD * random.normal(size=n))
    early = magnitudes[:, 1] - magnitudes[:, 2] > _EARLY_G_R
    return pd.DataFrame(
        {
            "kind": kind,
            **{f"mag_{band}": magnitudes[:, index] for index, band in enumerate(BANDS)},
            "half_light_arcsec": extended * half_light,
            "axis_ratio": random.uniform(0.3, 1.0, n) if extended else 1.0,
            "position_angle_deg": random.uniform(0, 180, n) if extended else 0.0,
            "sersic": extended * np.where(early, 4.0, 1.0),
        }
    )


def galaxy_log_density(mag_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the decimal logarithm of the background galaxies a square degree and magnitude."""
    return math.log10(GALAXY_DENSITY_DEG2) + GALAXY_SLOPE * (np.asarray(mag_r) - 19.75)


def add_objects(
    pixels: NDArray[np.float32], objects: pd.DataFrame, band: str, astrometry: Astrometry, psf: galsim.Sum
) -> None:
    """Add the stars and background galaxies of a field to one band's image.

    Parameters
    ----------
    pixels
        Image, nanomaggies a pixel, shape (rows, columns); changed in place.
    objects
        As `draw_objects` gives them.
    band
        Band.
    astrometry
        Where the image's pixels lie on the sky.
    psf
        Point spread function: a sum of Gaussians.
    """
    column, row = astrometry.wcs().all_world2pix(objects["ra"], objects["dec"], 0)
    flux = pogson_flux(objects[f"mag_{band}"].to_numpy())
    gaussians = psf_components(psf, PIXEL_SCALE_ARCSEC)
    star = (objects["kind"] == "star").to_numpy()
    for share, sigma in gaussians:
        add_round(pixels, column[star], row[star], np.full(star.sum(), sigma), share * flux[star])
    covariance = pixel_covariance(objects, astrometry)
    for sersic in (1.0, 4.0):
        chosen = (objects["sersic"] == sersic).to_numpy()
        add_galaxies(pixels, column[chosen], row[chosen], covariance[chosen], sersic, flux[chosen], gaussians)


def pixel_covariance(objects: pd.DataFrame, astrometry: Astrometry) -> NDArray[np.float64]:
    """Return the squared half-light radii along a frame's columns and rows, and their product, pixels squared.

    The half-light radius is the geometric mean of the axes.
    """
    angle = np.radians(objects["position_angle_deg"].to_numpy())
    axis_ratio = objects["axis_ratio"].to_numpy()
    half_light = objects["half_light_arcsec"].to_numpy() / 3600
    # Unit vectors of the major and the minor axis: east and north.
    major, minor = np.stack([np.sin(angle), np.cos(angle)]), np.stack([np.cos(angle), -np.sin(angle)])
    to_pixels = np.linalg.inv(astrometry.cd)
    major, minor = to_pixels @ major * half_light, to_pixels @ minor * half_light
    moments = [major[a] * major[b] / axis_ratio + minor[a] * minor[b] * axis_ratio for a, b in ((0, 0), (1, 1), (0, 1))]
    return np.stack(moments, axis=1)


def _draw_magnitudes(
    nodes: NDArray[np.float64], log_density: NDArray[np.float64], area_deg2: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Draw r magnitudes whose density a square degree and magnitude is log-linear between the nodes."""
    grid = np.linspace(nodes[0], nodes[-1], 1000)
    below = np.cumsum(10 ** np.interp(grid, nodes, log_density)) * (grid[1] - grid[0]) * area_deg2
    return np.interp(random.uniform(0, below[-1], random.poisson(below[-1])), below, grid)


def _star_magnitudes(mag_r: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Draw the magnitudes of stars on the stellar locus, shape (n, 5)."""
    n = len(mag_r)
    place, faintness = random.random(n), np.clip((mag_r - 17.5) / 2.5, 0, 1)
    bright, faint = (np.interp(place, _QUANTILES, g_r) for g_r in (_STAR_G_R_BRIGHT, _STAR_G_R_FAINT))
    g_r = (1 - faintness) * bright + faintness * faint
    r_i = np.interp(g_r, _LOCUS_G_R[: len(_LOCUS_R_I)], _LOCUS_R_I)
    r_i = np.where(g_r > _M_DWARF_G_R, np.interp(random.random(n), _QUANTILES, _M_DWARF_R_I), r_i)
    i_z = _LOCUS_I_Z[0] + _LOCUS_I_Z[1] * r_i
    u_g = np.interp(g_r, _LOCUS_G_R, _LOCUS_U_G)
    u_g, r_i, i_z = (colour + _LOCUS_WIDTH * random.normal(size=n) for colour in (u_g, r_i, i_z))
    return _magnitudes(mag_r, u_g, g_r, r_i, i_z)


def _galaxy_magnitudes(mag_r: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Draw the magnitudes of background galaxies, shape (n, 5)."""
    n = len(mag_r)
    g_r = np.clip(_GALAXY_G_R + _GALAXY_G_R_SPREAD * random.normal(size=n), *_GALAXY_G_R_RANGE)
    u_g, r_i, i_z = (
        offset + slope * g_r + spread * random.normal(size=n) for offset, slope, spread in _GALAXY_COLOURS.values()
    )
    return _magnitudes(mag_r, u_g, g_r, r_i, i_z)


def _magnitudes(
    r: NDArray[np.float64],
    u_g: NDArray[np.float64],
    g_r: NDArray[np.float64],
    r_i: NDArray[np.float64],
    i_z: NDArray[np.float64],
) -> NDArray[np.float64]:
    g = r + g_r
    return np.stack([g + u_g, g, r, r - r_i, r - r_i - i_z], axis=1)
