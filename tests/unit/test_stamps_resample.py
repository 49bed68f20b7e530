"""Lanczos-3 resampling: the kernel's properties, flux and positions."""

import numpy as np
import pytest
from astromae.stamps.resample import footprint, lanczos3_weights, resample
from astromae.stamps.tangent import TangentPlane, apply_map, stamp_to_frame

SCALE_DEG = 0.396 / 3600


def plane(angle_deg):
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return TangentPlane((150.0, 2.0), (100.0, 90.0), SCALE_DEG * np.array([[-cosine, sine], [sine, cosine]]))


def sky(frame, column, row):
    """Position of a frame's pixel on the sky, deg."""
    x, y, z = frame.pixel_to_vector() @ np.array([column, row, 1.0])
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def gaussian(shape, column, row, sigma, flux):
    y, x = np.indices(shape)
    image = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2)) * flux / (2 * np.pi * sigma**2)
    return image.astype(np.float32)


def test_weights_are_the_normalised_kernel():
    fraction = np.array([0.0, 1e-7, 0.1, 0.5, 0.9, 1 - 1e-7])
    distance = fraction - np.arange(-2, 4)[:, None]
    kernel = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    np.testing.assert_allclose(lanczos3_weights(fraction), kernel / kernel.sum(axis=0), rtol=0, atol=1e-6)


def test_weights_on_a_pixel_are_that_pixel():
    np.testing.assert_allclose(lanczos3_weights(np.array([0.0]))[:, 0], [0, 0, 1, 0, 0, 0], atol=1e-7)


@pytest.mark.parametrize("angle_deg", [0.0, 4.0, 37.0, 170.0])
def test_a_constant_stays_a_constant(angle_deg):
    frame = plane(angle_deg)
    ra, dec = sky(frame, 101.3, 88.8)
    maps = stamp_to_frame(np.array([ra]), np.array([dec]), 64, frame)
    stamp = resample(np.full((180, 200), 7.0, np.float32), 0, maps, 64)
    np.testing.assert_allclose(stamp, 7.0, rtol=2e-6)


@pytest.mark.parametrize("angle_deg", [0.0, 4.0, 37.0, 170.0])
def test_flux_and_position_of_a_source(angle_deg):
    frame = plane(angle_deg)
    column, row = 103.37, 85.71
    ra, dec = sky(frame, column, row)
    # As sharp as the survey's best seeing: 1.0 arcsec full width at half maximum.
    image = gaussian((180, 200), column, row, 1.0 / 2.355 / 0.396, 100.0)
    stamp = resample(image, 0, stamp_to_frame(np.array([ra]), np.array([dec]), 64, frame), 64)[0]
    assert stamp.sum() == pytest.approx(100.0, rel=2e-3)
    # The kernel itself moves a source: its weights give a line back only to within their first moment.
    fraction = np.linspace(0, 1, 1000, endpoint=False)
    moment = (lanczos3_weights(fraction) * np.arange(-2, 4)[:, None]).sum(axis=0)
    bound = np.abs(moment - fraction).max()
    assert bound < 0.02
    y, x = np.indices(stamp.shape)
    assert np.hypot((stamp * x).sum() / stamp.sum() - 31.5, (stamp * y).sum() / stamp.sum() - 31.5) < bound * 2**0.5


def test_flux_is_conserved_between_pixel_areas():
    cd = 1.01 * plane(20.0).cd
    frame = TangentPlane((150.0, 2.0), (100.0, 90.0), cd)
    ra, dec = sky(frame, 100.0, 90.0)
    image = gaussian((180, 200), 100.0, 90.0, 2.0, 100.0)
    stamp = resample(image, 0, stamp_to_frame(np.array([ra]), np.array([dec]), 64, frame), 64)[0]
    assert stamp.sum() == pytest.approx(100.0, rel=1e-3)


def test_north_is_up_and_east_is_left():
    frame = plane(37.0)
    ra, dec = sky(frame, 100.0, 90.0)
    step = 10 * SCALE_DEG
    maps = stamp_to_frame(np.array([ra]), np.array([dec]), 64, frame)
    for d_ra, d_dec, place in ((0.0, step, (41, 31)), (step / np.cos(np.radians(dec)), 0.0, (31, 21))):
        to_pixel = np.linalg.inv(frame.pixel_to_vector())
        a, d = np.radians(ra + d_ra), np.radians(dec + d_dec)
        x, y, w = to_pixel @ [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)]
        stamp = resample(gaussian((180, 200), x / w, y / w, 2.0, 1.0), 0, maps, 64)[0]
        peak = np.unravel_index(stamp.argmax(), stamp.shape)
        assert abs(peak[0] - place[0]) <= 1 and abs(peak[1] - place[1]) <= 1


def test_footprint_holds_every_pixel_that_counts():
    frame = plane(37.0)
    ra, dec = sky(frame, 100.0, 90.0)
    maps = stamp_to_frame(np.array([ra]), np.array([dec]), 64, frame)
    first_column, last_column, first_row, last_row = footprint(maps, 64)[0]
    image = np.full((180, 200), np.nan, np.float32)
    image[first_row : last_row + 1, first_column : last_column + 1] = 1
    assert np.isfinite(resample(image, 0, maps, 64)).all()
    for edge in (np.s_[first_row], np.s_[last_row], np.s_[:, first_column], np.s_[:, last_column]):
        spoilt = image.copy()
        spoilt[edge] = np.nan
        assert not np.isfinite(resample(spoilt, 0, maps, 64)).all()


def test_footprint_on_the_other_half_of_the_sky_is_off_the_frame():
    maps = stamp_to_frame(np.array([330.0]), np.array([-2.0]), 64, plane(0.0))
    assert (footprint(maps, 64) < -1e6).all()


def test_part_of_the_rows_gives_the_same_stamps():
    frame = plane(4.0)
    positions = [sky(frame, column, row) for column, row in ((90.2, 80.1), (110.9, 99.5), (100.0, 90.0))]
    ra, dec = np.array(positions).T
    maps = stamp_to_frame(ra, dec, 64, frame)
    image = np.random.default_rng(3).normal(size=(180, 200)).astype(np.float32)
    bounds = footprint(maps, 64)
    first, last = bounds[:, 2].min(), bounds[:, 3].max()
    whole = resample(image, 0, maps, 64)
    np.testing.assert_array_equal(resample(image[first : last + 1], first, maps, 64), whole)
    np.testing.assert_array_equal(resample(image, 0, maps[1:2], 64), whole[1:2])


def test_map_leaves_no_room_for_rounding_at_the_frame_edge():
    """A stamp whose footprint ends on the last pixel is cut without reading past it."""
    frame = plane(0.0)
    ra, dec = sky(frame, 199 - 3 - 31.5, 90.0)
    maps = stamp_to_frame(np.array([ra]), np.array([dec]), 64, frame)
    x, _ = apply_map(maps, np.array([0.0, 63.0]), np.array([31.5, 31.5]))
    assert footprint(maps, 64)[0, 1] == np.floor(x.max()) + 3 <= 199
