"""Stamps and magnitudes unlike those of the training are told from others: made-up ones, and genuine ones of SDSS."""

from pathlib import Path

import numpy as np
import pytest
from astromae.asking.flags import FLAGS, as_text, stamp_flags
from astromae.familiarity.seen import measure_stamps, outside, seen_ranges, values_of

REAL = Path(__file__).parents[3] / "shared/data/sdss-real/stamps"
BANDS = ("u", "g", "r", "i", "z")

#: Noise of SDSS's frames, nanomaggies a pixel, and colours of galaxies.
NOISE = np.array([0.04, 0.022, 0.035, 0.05, 0.16])
COLOURS = np.array([0.15, 0.5, 1.0, 1.4, 1.8])


def galaxies(n, seed, side=32):
    """Return stamps and magnitudes of round blobs of many sizes and brightnesses, with SDSS's noise."""
    rng = np.random.default_rng(seed)
    r = rng.uniform(15, 18, n)
    sigma = rng.uniform(2, 5, n)
    away = np.hypot(*(np.indices((side, side)) - (side - 1) / 2))
    shape = np.exp(-0.5 * (away / sigma[:, None, None]) ** 2)
    shape /= shape.sum(axis=(1, 2), keepdims=True)
    colours = COLOURS * 10 ** (0.4 * rng.normal(0, 0.1, (n, 5)))
    flux = 10 ** (0.4 * (22.5 - r))[:, None] * colours
    images = flux[:, :, None, None] * shape[:, None] + rng.normal(size=(n, 5, side, side)) * NOISE[:, None, None]
    return images.astype(np.float32), 22.5 - 2.5 * np.log10(flux)


def flagged(ranges, images, magnitudes=None):
    """Return the fraction of the galaxies with each flag."""
    measures = measure_stamps(images)
    flags = stamp_flags(measures, values_of(BANDS, measures, magnitudes, len(images)), ranges)
    return {name: float(found.mean()) for name, found in flags.items() if found.any()}


@pytest.fixture(scope="module")
def ranges():
    images, magnitudes = galaxies(3000, 0)
    return seen_ranges(values_of(BANDS, measure_stamps(images), magnitudes, len(images)))


def test_measures_are_those_of_plain_arithmetic():
    images, _ = galaxies(20, 1)
    measures = measure_stamps(images)
    np.testing.assert_allclose(np.median(measures.noise, axis=0), NOISE, rtol=0.15)
    image = images[3, 2].astype(float)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    away = np.hypot(*(np.indices((32, 32)) - 15.5))
    inside = image[away < 4] - np.median(border)
    assert measures.flux[3, 2] == pytest.approx(inside.sum(), rel=1e-4)
    assert measures.peak[3, 2] == pytest.approx(inside.max(), rel=1e-4)
    assert (measures.neighbour < 1).all()
    assert not measures.blank.any()


def test_other_galaxies_of_the_kind_have_few_flags(ranges):
    assert max(flagged(ranges, *galaxies(1000, 1)).values(), default=0) < 0.01


def test_wrong_units_are_caught(ranges):
    images, magnitudes = galaxies(200, 1)
    assert flagged(ranges, images * 1e-9)["noise"] == 1
    assert flagged(ranges, images * 3.631)["noise"] > 0.9
    assert flagged(ranges, images * 3.631, magnitudes)["offset"] > 0.3


def test_bands_in_another_order_are_caught(ranges):
    images, magnitudes = galaxies(200, 1)
    for order in ([4, 3, 2, 1, 0], [1, 2, 3, 4, 0]):
        assert flagged(ranges, images[:, order])["colour"] == 1
        assert flagged(ranges, images[:, order], magnitudes)["offset"] > 0.9
    assert flagged(ranges, images, magnitudes[:, ::-1])["colour"] == 1


def test_turned_stamps_are_as_good(ranges):
    images, magnitudes = galaxies(500, 1)
    assert max(flagged(ranges, images.swapaxes(2, 3), magnitudes).values(), default=0) < 0.01


def test_noise_alone_has_nothing_in_its_centre(ranges):
    images = np.random.default_rng(0).normal(size=(100, 5, 32, 32)) * NOISE[:, None, None]
    assert flagged(ranges, images.astype(np.float32))["empty"] == 1


def test_a_bright_star_is_brighter_than_any_galaxy(ranges):
    images, _ = galaxies(50, 1)
    away = np.hypot(*(np.indices((32, 32)) - 15.5))
    images += (2000 * np.exp(-0.5 * (away / 1.4) ** 2)).astype(np.float32)
    assert flagged(ranges, images)["saturated"] == 1


def test_a_brighter_neighbour_is_seen(ranges):
    images, _ = galaxies(50, 1)
    images += 2 * np.roll(images, 11, axis=3)
    assert flagged(ranges, images)["neighbour"] > 0.9


def test_a_stamp_over_the_edge_is_blank_there(ranges):
    images, _ = galaxies(50, 1)
    images[:25, 1, :, 28:] = 0
    assert flagged(ranges, images)["edge"] == 0.5


def test_what_is_not_known_lies_inside(ranges):
    values = values_of(BANDS, None, np.full((3, 5), np.nan), 3)
    assert not outside(values, ranges, "mag").any()
    assert not outside(values_of(BANDS, None, None, 2), ranges, "noise").any()
    assert stamp_flags(None, values_of(BANDS, None, None, 2), {})["magnitude"].tolist() == [False, False]


def test_flags_as_text():
    flags = {"neighbour": np.array([True, False, True]), "edge": np.array([False, False, True])}
    assert as_text(flags, 3).tolist() == ["neighbour", "", "edge,neighbour"]
    assert all(meaning for meaning in FLAGS.values())


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here")
def test_genuine_stamps_in_maggies_or_another_order_are_told_from_themselves():
    stamps = np.stack([np.load(path) for path in sorted(REAL.glob("*.npy"))]).transpose(0, 3, 1, 2)[..., 16:48, 16:48]
    ranges = seen_ranges(values_of(BANDS, measure_stamps(stamps), None, len(stamps)))
    assert flagged(ranges, stamps) == {}
    assert flagged(ranges, stamps * 1e-9)["noise"] == 1
    assert flagged(ranges, stamps[:, ::-1])["colour"] == 1
    assert flagged(ranges, stamps.swapaxes(2, 3)) == {}
