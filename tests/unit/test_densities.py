"""Histogram distributions against closed forms, fine grids and large samples."""

import numpy as np
import pytest
from astromae.evaluation.densities import (
    LEAST_DENSITY,
    checked,
    galaxy_scores,
    point_estimates,
    quantiles,
    rebinned,
)
from scipy import stats

EDGES = np.linspace(0, 0.4, 181)


@pytest.fixture
def sample():
    """Normal distributions in 180 bins, and redshifts of which some lie outside or on edges."""
    random = np.random.default_rng(1)
    z = random.uniform(-0.02, 0.42, 400)
    z[:3] = 0.0, 0.4, EDGES[17]
    mean, deviation = np.clip(z + random.normal(0, 0.02, 400), 0, 0.4), random.uniform(0.004, 0.05, 400)
    masses = np.diff(stats.norm.cdf((EDGES - mean[:, None]) / deviation[:, None]), axis=1)
    return masses / masses.sum(axis=1, keepdims=True), z


def distribution(masses):
    return stats.rv_histogram((masses, EDGES), density=False)


def test_a_uniform_bin_has_known_scores():
    edges, masses = np.array([0.0, 1.0]), np.ones((4, 1))
    z = np.array([0.25, 1.0, -0.5, 2.0])
    scores = galaxy_scores(edges, masses, z)
    np.testing.assert_allclose(scores["pit"], [0.25, 1, 0, 1])
    # F(x) = x: z^3 / 3 + (1 - z)^3 / 3, and the way to the bins for those outside.
    np.testing.assert_allclose(scores["crps"], [(0.25**3 + 0.75**3) / 3, 1 / 3, 1 / 3 + 0.5, 1 / 3 + 1])
    np.testing.assert_allclose(scores["cde_loss"], [-1, -1, 1, 1])
    np.testing.assert_allclose(scores["nll"], [0, 0, -np.log(LEAST_DENSITY), -np.log(LEAST_DENSITY)])


def test_scores_agree_with_scipy_s_histograms_and_a_fine_grid(sample):
    masses, z = sample
    scores = galaxy_scores(EDGES, masses, z)
    grid = np.linspace(-0.05, 0.45, 50_001)
    for number in range(40):
        one = distribution(masses[number])
        assert scores["pit"][number] == pytest.approx(one.cdf(z[number]), abs=1e-12)
        crps = np.trapezoid((one.cdf(grid) - (grid >= z[number])) ** 2, grid)
        assert scores["crps"][number] == pytest.approx(crps, abs=2e-5)
        if number > 2:  # on an edge the density has two values
            squared = np.trapezoid(one.pdf(grid) ** 2, grid)
            expected = squared - 2 * one.pdf(z[number])
            assert scores["cde_loss"][number] == pytest.approx(expected, rel=1e-3)
            assert scores["nll"][number] == pytest.approx(-np.log(max(one.pdf(z[number]), LEAST_DENSITY)))


def test_point_estimates_are_those_of_scipy_s_histograms(sample):
    masses, _ = sample
    points = point_estimates(EDGES, masses)
    levels = (0.025, 0.16, 0.5, 0.84, 0.975)
    found = quantiles(EDGES, masses, levels)
    for number in range(40):
        one = distribution(masses[number])
        assert points["mean"][number] == pytest.approx(one.mean())
        assert points["deviation"][number] == pytest.approx(one.std())
        assert points["median"][number] == pytest.approx(one.median())
        np.testing.assert_allclose(found[number], one.ppf(levels))
        densest = np.argmax(masses[number])
        assert points["mode"][number] == pytest.approx((EDGES[densest] + EDGES[densest + 1]) / 2)


def test_bins_of_unequal_widths():
    edges, masses = np.array([0.0, 0.1, 0.5]), np.array([[0.4, 0.6]])
    points = point_estimates(edges, masses)
    assert points["mean"] == pytest.approx(0.4 * 0.05 + 0.6 * 0.3)
    assert points["mode"] == pytest.approx(0.05), "the denser bin, not the one of larger mass"
    assert galaxy_scores(edges, masses, np.array([0.3]))["nll"] == pytest.approx(-np.log(1.5))


def test_a_quantile_past_an_empty_bin():
    edges, masses = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(quantiles(edges, masses, [0, 0.5, 1]), [[0, 2, 3], [1, 1.5, 2]])


def test_more_galaxies_than_a_block_have_the_scores_of_each(sample):
    masses, z = sample
    many = galaxy_scores(EDGES, np.tile(masses, (30, 1)), np.tile(z, 30))
    for name, values in galaxy_scores(EDGES, masses, z).items():
        np.testing.assert_array_equal(many[name], np.tile(values, 30), err_msg=name)


def test_a_mapped_distribution_function(sample):
    masses, z = sample
    np.testing.assert_allclose(rebinned(EDGES, masses, lambda f: f), masses, atol=1e-12)
    squared = rebinned(EDGES, masses, np.square)
    scores = galaxy_scores(EDGES, squared, EDGES[[17] * len(z)])
    expected = galaxy_scores(EDGES, masses, EDGES[[17] * len(z)])["pit"] ** 2
    np.testing.assert_allclose(scores["pit"], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("edges", "masses", "words"),
    [
        ([0, 1, 2], [[1.0]], "do not belong"),
        ([0, 2, 1], [[0.5, 0.5]], "do not ascend"),
        ([0, 1, 2], [[0.5, 0.5], [0.7, 0.7], [1.5, -0.5]], "2 of 2|2 of 3"),
        ([0, 1, 2], [[np.nan, 0.5]], "1 of 1"),
    ],
)
def test_what_is_no_distribution_is_refused(edges, masses, words):
    with pytest.raises(ValueError, match=words):
        checked(np.array(edges), np.array(masses))
