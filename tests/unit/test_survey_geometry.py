import warnings
from pathlib import Path

import numpy as np
import pytest
from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.geometry import FIRST_FIELD, field_astrometry, great_circle_to_sky
from astropy.io import fits
from astropy.wcs import FITSFixedWarning

REAL = Path(__file__).parents[3] / "shared/data/sdss-real/frame-r-001000-1-0100.fits.bz2"
SETTINGS = EmbeddedSettings(runs=[9001, 9002], seed=42).simulation


def corners(astrometry):
    edge = np.array([[-0.5, -0.5], [FRAME_COLUMNS - 0.5, FRAME_ROWS - 0.5], [-0.5, FRAME_ROWS - 0.5]])
    return edge, astrometry.wcs().all_pix2world(edge, 0)


def test_projection_and_great_circle_agree_on_every_pixel():
    for run, camcol in [(9001, 1), (9002, 6)]:
        astrometry = field_astrometry(SETTINGS, run, camcol, FIRST_FIELD, "u")
        pixels, sky = corners(astrometry)
        for (column, row), (ra, dec) in zip(pixels, sky, strict=True):
            mu = astrometry.a + astrometry.b * (row + 0.5)
            nu = astrometry.d + astrometry.f * (column + 0.5)
            ours = great_circle_to_sky(mu, nu, astrometry.node_deg, astrometry.inclination_deg)
            off_mas = 3.6e6 * np.hypot((ours[0] - ra) * np.cos(np.radians(dec)), ours[1] - dec)
            # A twentieth of a pixel: mu and nu are linear in pixels, which bends by this much off the great circle.
            assert off_mas < 20


def test_fields_of_a_strip_touch_without_overlap():
    first = field_astrometry(SETTINGS, 9001, 3, FIRST_FIELD, "r").wcs()
    second = field_astrometry(SETTINGS, 9001, 3, FIRST_FIELD + 1, "r").wcs()
    ra, dec = second.all_pix2world(1000.0, -0.5, 0)
    column, row = first.all_world2pix(ra, dec, 0)
    assert abs(column - 1000) < 0.05 and abs(row - (FRAME_ROWS - 0.5)) < 0.05


def test_bands_are_offset_by_whole_and_partial_pixels():
    for camcol in (1, 4):
        red = field_astrometry(SETTINGS, 9001, camcol, FIRST_FIELD, "r").wcs()
        ra, dec = red.all_pix2world(800.0, 600.0, 0)
        offsets = []
        for band in BANDS:
            wcs = field_astrometry(SETTINGS, 9001, camcol, FIRST_FIELD, band).wcs()
            column, row = wcs.all_world2pix(ra, dec, 0)
            offsets.append((float(column) - 800, float(row) - 600))
        offsets = np.array(offsets)
        assert np.all((offsets > [-16, -0.01]) & (offsets < [0.01, 12]))
        others = np.delete(offsets, BANDS.index("r"), axis=0)
        assert np.abs(others).min() > 2
        assert np.any(np.abs(others - np.round(others)) > 0.1)


def test_camera_columns_do_not_overlap():
    left = field_astrometry(SETTINGS, 9001, 3, FIRST_FIELD, "r").wcs()
    ra, dec = field_astrometry(SETTINGS, 9001, 4, FIRST_FIELD, "r").wcs().all_pix2world(-0.5, 700, 0)
    assert left.all_world2pix(ra, dec, 0)[0] > FRAME_COLUMNS


@pytest.mark.skipif(not REAL.exists(), reason="the real SDSS frame is not beside this repository")
def test_great_circle_reproduces_the_astrometry_of_a_real_frame():
    with warnings.catch_warnings(), fits.open(REAL) as parts:
        warnings.simplefilter("ignore", FITSFixedWarning)
        header, row = parts[0].header, parts[3].data[0]
        mu = row["A"] + row["B"] * (header["CRPIX2"] - 0.5) + row["C"] * (header["CRPIX1"] - 0.5)
        nu = row["D"] + row["E"] * (header["CRPIX2"] - 0.5) + row["F"] * (header["CRPIX1"] - 0.5)
        ra, dec, direction = great_circle_to_sky(mu, nu, row["NODE"], row["INCL"])
        # Distortion terms, which this survey does not have, move the real frame by some tens of mas.
        assert abs(ra - header["CRVAL1"]) * np.cos(np.radians(dec)) * 3600 < 0.1
        assert abs(dec - header["CRVAL2"]) * 3600 < 0.1
        assert abs(direction - np.degrees(np.arctan2(header["CD1_2"], header["CD2_2"]))) < 0.05
        assert header["CD1_1"] * np.cos(np.radians(direction)) < 0
