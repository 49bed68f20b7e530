"""Where the embedded survey looks: drift scans along great circles, fields, and the bands' offsets."""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS, PIXEL_SCALE_ARCSEC
from astromae.seeds import generator
from astromae.survey.simulation import Simulation

#: Right ascension of the ascending node of every survey stripe's great circle, degrees.
NODE_DEG = 95.0

#: Spacing of the six camera columns across the scan, degrees (ccdColSep of the SDSS table SDSSConstants).
CAMCOL_SPACING_DEG = 0.418333

#: First field of a run, as in real runs, whose first frames the pipeline drops.
FIRST_FIELD = 11

#: Reference pixel of a corrected frame, FITS convention (first pixel is 1).
CRPIX = (1025.0, 745.0)

# Offsets of each band's pixel grid against the r band's, pixels: medians of COLC - COLC_r and ROWC - ROWC_r
# over the real field photoObj-001000-1-0100.
_OFFSET_COLUMNS = {"u": -6.22, "g": -13.98, "r": 0.0, "i": -5.57, "z": -11.91}
_OFFSET_ROWS = {"u": 4.91, "g": 9.88, "r": 0.0, "i": 5.17, "z": 7.43}
# Spread of these offsets between camera columns and between fields, pixels; our choice, to have every
# subpixel phase in the survey.
_OFFSET_SPREAD_STRIP, _OFFSET_SPREAD_FIELD = 0.3, 0.1

# Stripes in the order in which runs scan them: n has the inclination 2.5 n - 25 degrees. These twenty stay at
# moderate declination.
_STRIPES = tuple(range(26, 6, -1))
# Distance of a run's start from the node along the scan, and between runs that share a stripe, degrees.
_START_DEG, _NEXT_START_DEG = 50.0, 20.0


@dataclass(frozen=True)
class Astrometry:
    """Where one frame's pixels lie on the sky.

    The scan's great circle has coordinates mu (along the scan, frame rows) and nu (across it, columns):
    mu = a + b row + c column, nu = d + e row + f column, all in degrees, where a pixel's centre has half-integer
    row and column (SDSS asTrans). The tangential projection of the header follows from them.

    Attributes
    ----------
    node_deg, inclination_deg
        Great circle of the scan.
    stripe
        Number of the survey stripe.
    a, b, c, d, e, f
        Coefficients of the transformation.
    crval
        Right ascension and declination of the reference pixel, degrees.
    cd
        Matrix from pixels to intermediate world coordinates, degrees a pixel, shape (2, 2).
    """

    node_deg: float
    inclination_deg: float
    stripe: int
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    crval: tuple[float, float]
    cd: NDArray[np.float64]

    def wcs(self) -> WCS:
        """Return the frame's tangential projection."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crpix = CRPIX
        wcs.wcs.crval = self.crval
        wcs.wcs.cd = self.cd
        wcs.wcs.set()
        return wcs


def great_circle_to_sky(
    mu_deg: float, nu_deg: float, node_deg: float, inclination_deg: float
) -> tuple[float, float, float]:
    """Return the sky position of a great-circle position, and the scan's direction there.

    Parameters
    ----------
    mu_deg, nu_deg
        Position along and across the great circle, degrees.
    node_deg, inclination_deg
        Right ascension of the circle's ascending node and its inclination to the equator, degrees.

    Returns
    -------
    ra_deg, dec_deg
        Right ascension and declination (Stoughton et al. 2002, AJ 123, 485, section 3.2.2), degrees.
    direction_deg
        Position angle of growing mu, degrees from north through east.
    """
    mu, nu, inclination = np.radians([mu_deg - node_deg, nu_deg, inclination_deg])
    # Unit vector with x towards the node, z north; then its derivative along mu.
    vector = np.array(
        [
            np.cos(mu) * np.cos(nu),
            np.sin(mu) * np.cos(nu) * np.cos(inclination) - np.sin(nu) * np.sin(inclination),
            np.sin(mu) * np.cos(nu) * np.sin(inclination) + np.sin(nu) * np.cos(inclination),
        ]
    )
    along = np.array([-np.sin(mu), np.cos(mu) * np.cos(inclination), np.cos(mu) * np.sin(inclination)])
    ra, dec = np.arctan2(vector[1], vector[0]), np.arcsin(vector[2])
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    direction = np.arctan2(along @ east, along @ north)
    return (np.degrees(ra) + node_deg) % 360, np.degrees(dec), np.degrees(direction)


def field_astrometry(settings: Simulation, run: int, camcol: int, field: int, band: str) -> Astrometry:
    """Return the astrometry of one frame of the embedded survey.

    Every run scans its own stripe; fields follow one another without overlap, and camera columns leave
    gaps between them, as in a real strip. The bands' grids are offset by up to 14 columns and 10 rows.

    Parameters
    ----------
    settings
        What is simulated.
    run, camcol, field, band
        Which frame.
    """
    order = settings.runs.index(run)
    stripe = _STRIPES[order % len(_STRIPES)]
    inclination_deg = 2.5 * stripe - 25.0
    scale_deg = PIXEL_SCALE_ARCSEC / 3600
    start_deg = NODE_DEG + _START_DEG + _NEXT_START_DEG * (order // len(_STRIPES))
    nu_deg = CAMCOL_SPACING_DEG * (camcol - 3.5)
    # Away from the great circle, a degree of mu is shorter on the sky.
    row_deg = scale_deg / np.cos(np.radians(nu_deg))
    offset_columns, offset_rows = _band_offset(settings.seed, run, camcol, field, band)
    # A galaxy at r's pixel p stands at p + offset in this band: the band's grid starts earlier.
    a = start_deg + row_deg * ((field - FIRST_FIELD) * FRAME_ROWS - offset_rows)
    d = nu_deg - scale_deg * (FRAME_COLUMNS / 2 + offset_columns)
    column, row = CRPIX[0] - 0.5, CRPIX[1] - 0.5
    ra, dec, direction_deg = great_circle_to_sky(a + row_deg * row, d + scale_deg * column, NODE_DEG, inclination_deg)
    # Rows run along mu. Columns run along nu, which lies 90 degrees clockwise of mu on the sky.
    cosine, sine = np.cos(np.radians(direction_deg)), np.sin(np.radians(direction_deg))
    cd = scale_deg * np.array([[-cosine, sine], [sine, cosine]])
    return Astrometry(
        NODE_DEG, inclination_deg, stripe, a, row_deg, 0.0, d, 0.0, scale_deg, (float(ra), float(dec)), cd
    )


def _band_offset(seed: int, run: int, camcol: int, field: int, band: str) -> tuple[float, float]:
    """Return columns and rows by which a band's grid is offset against the r band's."""
    if band == "r":
        return 0.0, 0.0
    index = BANDS.index(band)
    strip = generator(seed, "band offsets of a strip", run, camcol, index).normal(size=2)
    this_field = generator(seed, "band offsets of a field", run, camcol, field, index).normal(size=2)
    spread = _OFFSET_SPREAD_STRIP * strip + _OFFSET_SPREAD_FIELD * this_field
    return _OFFSET_COLUMNS[band] + spread[0], _OFFSET_ROWS[band] + spread[1]
