"""Drawing the embedded survey: galaxies through the atmosphere and the camera onto frames."""

import math
import shutil
from pathlib import Path

import galsim
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS, PIXEL_SCALE_ARCSEC
from astromae.contracts.catalog import read_catalog
from astromae.errors import InputError
from astromae.files import write_checksum
from astromae.progress import Ticker
from astromae.seeds import generator
from astromae.survey.archive import frame_name
from astromae.survey.arms import add_arms
from astromae.survey.camera import SKY_SPREAD_MAG, count_variance, detector
from astromae.survey.embedded_catalog import observed_flux
from astromae.survey.frames import SKY_SHAPE, Frame, interpolate_sky, write_frame
from astromae.survey.geometry import Astrometry, field_astrometry
from astromae.survey.morphology import TRUNCATION
from astromae.survey.neighbours import add_objects, draw_objects
from astromae.survey.psf import PSF_WIDE, narrow_sigma_arcsec, point_spread_function, psf_width_arcsec
from astromae.survey.simulation import Simulation

# A stamp reaches this many sigmas of the wider Gaussian beyond the end of a galaxy's profile: less than 1e-4 of a
# point source's flux lies farther out.
_PSF_REACH = 4.5

# Relative variation of the calibration along the columns, and of the sky along the rows, in which a drift scan
# records time: those of the genuine frames 2820-3-122, 3918-3-213 and 4510-4-30 have standard deviations of 0.0010 to
# 0.0025 and of 0.0001 to 0.0018.
_CALIBRATION_SPREAD, _SKY_SLOPE = 0.005, 0.002

#: File of a strip's stars and background galaxies, beside its frames.
OBJECTS = "objects.parquet"

# What drawing needs of the catalogue.
_COLUMNS = [
    *("run", "camcol", "field", "ra", "dec", "hubble_type", "arm_seed"),
    *(f"{name}_{band}" for name in ("mag", "extinction", "bulge_fraction", "arm_fraction") for band in BANDS),
    *("bulge_sersic", "bulge_half_light_arcsec", "disc_half_light_arcsec"),
    *("bulge_axis_ratio", "disc_axis_ratio", "position_angle_deg"),
]


def render_strip(catalog: Path, run: int, camcol: int, settings: Simulation, output: Path) -> None:
    """Draw every field of one run and camera column, five bands each, as frame files.

    The folder appears when all its frames are written; a killed job leaves only a hidden folder beside it, which the
    next run of the same job removes.

    Parameters
    ----------
    catalog
        Catalogue of the embedded survey.
    run, camcol
        Which strip.
    settings
        What is simulated.
    output
        Folder to make, with files ``frame-{band}-{run:06d}-{camcol}-{field:04d}.fits.bz2``, and on a
        populated sky `OBJECTS`, the stars and background galaxies that were drawn.

    Raises
    ------
    InputError
        If the survey has no such run or camera column, or the catalogue none of its galaxies.
    """
    if run not in settings.runs or camcol not in settings.camcols:
        raise InputError(
            f"run {run}, camcol {camcol}: not simulated; "
            f"embedded.runs is {settings.runs} and embedded.camcols is {settings.camcols}"
        )
    galaxies = read_catalog(catalog, _COLUMNS)
    strip = galaxies[(galaxies["run"] == run) & (galaxies["camcol"] == camcol)]
    if strip.empty:
        raise InputError(f"{catalog}: no galaxy of run {run}, camcol {camcol}; rebuild the catalogue")

    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    ticker = Ticker(f"frames {run}-{camcol}", strip["field"].nunique() * len(BANDS), "frames")
    try:
        for field, galaxies in strip.groupby("field"):
            for band in BANDS:
                frame = draw_frame(galaxies, run, camcol, int(field), band, settings)
                write_frame(partial / frame_name(run, camcol, int(field), band), frame)
                ticker.advance()
        if settings.populated:
            objects = [
                draw_objects(galaxies, settings, run, camcol, int(field)) for field, galaxies in strip.groupby("field")
            ]
            pd.concat(objects, ignore_index=True).to_parquet(partial / OBJECTS)
        # The folder may be left from an earlier run by hand, and a folder cannot be renamed onto one that is not empty.
        shutil.rmtree(output, ignore_errors=True)
        partial.rename(output)
        write_checksum(output)
    finally:
        ticker.close()
        shutil.rmtree(partial, ignore_errors=True)


def draw_frame(galaxies: pd.DataFrame, run: int, camcol: int, field: int, band: str, settings: Simulation) -> Frame:
    """Draw one frame: galaxies, what stands around them, sky and noise, digitised, calibrated and sky-subtracted.

    Parameters
    ----------
    galaxies
        The catalogue's rows of this field.
    run, camcol, field, band
        Which frame.
    settings
        What is simulated.

    Returns
    -------
    Frame
        The frame, with the noise of the SDSS data model: variance (object + sky) / gain + dark variance in counts.
    """
    key = (run, camcol, field, BANDS.index(band))
    random = generator(settings.seed, "calibration and sky", *key)
    chip = detector(run, camcol, band)
    calibration = (chip.calibration_nmgy * _smooth_vector(random)).astype(np.float32)
    brighter = generator(settings.seed, "sky of a night", run, camcol).normal(0, SKY_SPREAD_MAG)
    sky_grid = (chip.sky_counts * 10 ** (0.4 * brighter) * _sky_slope(random)).astype(np.float32)
    astrometry = field_astrometry(settings, run, camcol, field, band)
    width = psf_width_arcsec(settings.seed, run, camcol, field, band)
    image = draw_galaxies(galaxies, band, astrometry, width)
    if settings.populated:
        objects = draw_objects(galaxies, settings, run, camcol, field)
        add_objects(image, objects, band, astrometry, point_spread_function(width))

    sky = interpolate_sky(sky_grid)
    counts = image / calibration + sky
    # Rounding to whole counts adds a variance of 1/12, which is part of the tabulated dark variance.
    sigma = np.sqrt(count_variance(counts, chip.gain, chip.dark_variance - 1 / 12))
    noise = generator(settings.seed, "pixel noise", *key)
    counts += sigma * noise.standard_normal(counts.shape, dtype=np.float32)
    image = (np.rint(counts) - sky) * calibration
    return Frame(run, camcol, field, band, image, calibration, sky_grid, astrometry)


def draw_galaxies(galaxies: pd.DataFrame, band: str, astrometry: Astrometry, psf_width: float) -> NDArray[np.float32]:
    """Draw galaxies without noise.

    Each stamp reaches to the end of the galaxy's truncated profile and past it by the point spread function, and
    is clipped at the edges of the frame, so a frame holds all the light that falls on it.

    Parameters
    ----------
    galaxies
        Rows of the catalogue: positions, magnitudes, extinctions, morphologies.
    band
        Band to draw.
    astrometry
        That of the frame.
    psf_width
        Effective width of the point spread function, arcsec.

    Returns
    -------
    ndarray
        Nanomaggies a pixel, float32, shape (1489, 2048).
    """
    flux = observed_flux(galaxies)[:, BANDS.index(band)]
    columns, rows = astrometry.wcs().all_world2pix(galaxies["ra"].to_numpy(), galaxies["dec"].to_numpy(), 0)
    # GalSim's plane has u to the west and v to the north.
    (cd11, cd12), (cd21, cd22) = astrometry.cd * 3600
    plane = galsim.JacobianWCS(-cd11, -cd12, cd21, cd22)
    psf = point_spread_function(psf_width)
    psf_reach = _PSF_REACH * PSF_WIDE * narrow_sigma_arcsec(psf_width)
    pixels = np.zeros((FRAME_ROWS, FRAME_COLUMNS), dtype=np.float32)
    frame = galsim.Image(pixels, xmin=0, ymin=0, wcs=plane)
    for number, galaxy in enumerate(galaxies.itertuples()):
        profile, reach = galaxy_profile(galaxy, band, flux[number])
        column, row = columns[number], rows[number]
        half = math.ceil((reach + psf_reach) / PIXEL_SCALE_ARCSEC)
        bounds = galsim.BoundsI(round(column) - half, round(column) + half, round(row) - half, round(row) + half)
        overlap = bounds & frame.bounds
        if not overlap.isDefined():
            continue
        stamp = galsim.ImageF(bounds, wcs=plane)
        galsim.Convolve(profile, psf).drawImage(image=stamp, center=galsim.PositionD(column, row))
        frame[overlap] += stamp[overlap]
    add_arms(pixels, galaxies, flux, band, astrometry, psf)
    return pixels


def galaxy_profile(galaxy, band: str, flux_nmgy: float) -> tuple[galsim.GSObject, float]:
    """Return the light of a galaxy's bulge and disc above the atmosphere, and the radius in arcsec at which it ends.

    The share of its spiral arms is left out (`astromae.survey.arms`).

    Parameters
    ----------
    galaxy
        A row of the catalogue, as `DataFrame.itertuples` gives it.
    band
        Band, which sets the bulge's share.
    flux_nmgy
        Flux, nanomaggies; may be negative, as measured fluxes of faint galaxies are.
    """
    # In GalSim's plane west is to the right, so east of north is counterclockwise of up.
    angle = (90 + galaxy.position_angle_deg) * galsim.degrees
    share, arms = getattr(galaxy, f"bulge_fraction_{band}"), getattr(galaxy, f"arm_fraction_{band}")
    profile, reach = None, 0.0
    for sersic, half_light, axis_ratio, component_share in (
        (galaxy.bulge_sersic, galaxy.bulge_half_light_arcsec, galaxy.bulge_axis_ratio, share),
        (1.0, galaxy.disc_half_light_arcsec, galaxy.disc_axis_ratio, 1 - share - arms),
    ):
        if component_share <= 0:
            continue
        end = TRUNCATION[sersic] * half_light
        # Shearing keeps the area, so half_light stays the geometric mean of the axes.
        component = galsim.Sersic(sersic, half_light_radius=half_light, trunc=end, flux=component_share * flux_nmgy)
        component = component.shear(q=axis_ratio, beta=angle)
        profile = component if profile is None else profile + component
        reach = max(reach, end / math.sqrt(axis_ratio))
    return profile, reach


def _smooth_vector(random: np.random.Generator) -> NDArray[np.float64]:
    """Return a vector over the columns with mean 1 that varies smoothly, as flat fields do."""
    x = np.linspace(-1, 1, FRAME_COLUMNS)
    vector = np.polynomial.legendre.legval(x, [0, *random.normal(0, _CALIBRATION_SPREAD / 3, 3)])
    return 1 + vector - vector.mean()


def _sky_slope(random: np.random.Generator) -> NDArray[np.float64]:
    """Return a sky grid with mean 1 that brightens or darkens along the scan."""
    slope = 1 + random.normal(0, _SKY_SLOPE) * np.linspace(-1, 1, SKY_SHAPE[0])
    return np.repeat(slope[:, None], SKY_SHAPE[1], axis=1)
