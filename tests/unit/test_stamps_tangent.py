"""The projective map from stamps to frames, against astropy's world coordinates."""

import numpy as np
import pytest
from astromae.stamps.tangent import TangentPlane, apply_map, area_ratio, stamp_to_frame
from astropy.wcs import WCS

SCALE_DEG = 0.396 / 3600


def frame_wcs(ra, dec, angle_deg, skew=0.0, parity=1):
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [1025, 745]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.cd = SCALE_DEG * np.array([[-cosine * parity, sine], [sine * parity + skew, cosine]])
    wcs.wcs.set()
    return wcs


def stamp_wcs(ra, dec):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [32.5, 32.5]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.cd = [[-SCALE_DEG, 0], [0, SCALE_DEG]]
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize(
    ("ra", "dec", "angle_deg", "skew", "parity"),
    [
        (150.0, 2.0, 4.0, 0.0, 1),
        (358.37, 60.1, 93.7, 0.01, 1),
        (0.001, -9.0, -150.0, 0.0, -1),
        (30.0, 84.0, 20.0, 0.0, 1),
    ],
)
def test_map_equals_astropy(ra, dec, angle_deg, skew, parity):
    wcs = frame_wcs(ra, dec, angle_deg, skew, parity)
    column, row = np.random.default_rng(1).uniform(50, 1400, (2, 20))
    galaxy_ra, galaxy_dec = wcs.pixel_to_world_values(column, row)
    maps = stamp_to_frame(galaxy_ra, galaxy_dec, 64, TangentPlane.from_header(plain_keywords(wcs)))
    x, y = (axis.reshape(-1) for axis in np.meshgrid(np.arange(64.0), np.arange(64.0)))
    mapped = apply_map(maps, x, y)
    for index in range(20):
        sky = stamp_wcs(galaxy_ra[index], galaxy_dec[index]).pixel_to_world_values(x, y)
        expected = wcs.world_to_pixel_values(*sky)
        np.testing.assert_allclose(mapped[0][index], expected[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(mapped[1][index], expected[1], rtol=0, atol=1e-6)
    centre = apply_map(maps, np.array([31.5]), np.array([31.5]))
    np.testing.assert_allclose(centre[0][:, 0], column, rtol=0, atol=1e-6)
    np.testing.assert_allclose(centre[1][:, 0], row, rtol=0, atol=1e-6)


def plain_keywords(wcs):
    """Keywords as SDSS frames write them; astropy writes PC and CDELT."""
    cd = wcs.wcs.cd
    return {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRPIX1": 1025.0,
        "CRPIX2": 745.0,
        "CRVAL1": wcs.wcs.crval[0],
        "CRVAL2": wcs.wcs.crval[1],
    } | {f"CD{i + 1}_{j + 1}": cd[i, j] for i in (0, 1) for j in (0, 1)}


def test_area_ratio_is_that_of_the_pixels():
    wcs = frame_wcs(150.0, 2.0, 30.0)
    wcs.wcs.cd = wcs.wcs.cd / 2
    maps = stamp_to_frame(np.array([150.0]), np.array([2.0]), 64, TangentPlane.from_header(plain_keywords(wcs)))
    assert area_ratio(maps, 31.5)[0] == pytest.approx(4, rel=1e-6)


def test_the_other_half_of_the_sky_has_no_pixel():
    plane = TangentPlane.from_header(plain_keywords(frame_wcs(150.0, 2.0, 30.0)))
    maps = stamp_to_frame(np.array([330.0]), np.array([-2.0]), 64, plane)
    assert np.isnan(apply_map(maps, np.array([31.5]), np.array([31.5]))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CTYPE1": "RA---SIN"}, "RA---SIN"),
        ({"CRVAL2": None}, "incomplete"),
        ({"CD1_1": 0.0, "CD2_1": 0.0}, "singular"),
    ],
)
def test_headers_without_a_tangent_plane(change, message):
    with pytest.raises(ValueError, match=message):
        TangentPlane.from_header(plain_keywords(frame_wcs(150.0, 2.0, 30.0)) | change)
