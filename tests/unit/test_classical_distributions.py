"""Distributions of classical methods: what they are made of, and that they mean what they say."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from astromae.classical import METHODS, can_predict
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.constants import BANDS
from astromae.contracts.densities import read_densities
from astromae.evaluation.calibration import calibration
from astromae.evaluation.densities import masses_of_quantiles, normal_masses, point_estimates, quantiles
from astromae.predict import load_model
from astromae.tasks import task_of
from scipy import stats

NAMED = {"task": "redshift_pdf", "bins": 80, "z_max": 0.4}
EDGES = task_of(NAMED).edges
ON_MAGNITUDES = [name for name in METHODS if not METHODS[name].stamps]


def colours_and_redshifts(n, seed):
    """Magnitudes, and redshifts that scatter the more the redder a galaxy is; and that scatter."""
    random = np.random.default_rng(seed)
    magnitudes = 18 + random.normal(size=(n, 5)) @ np.triu(np.full((5, 5), 0.4))
    colour = magnitudes[:, 1] - magnitudes[:, 2]
    scatter = 0.006 + 0.02 / (1 + np.exp(-4 * colour))
    return magnitudes, 0.2 + 0.04 * np.tanh(colour) + random.normal(0, scatter), scatter


@pytest.mark.parametrize("name", ON_MAGNITUDES)
def test_distributions_are_as_wide_as_the_errors(name):
    method = METHODS[name]
    magnitudes, z, _ = colours_and_redshifts(6000, 1)
    others, truth, scatter = colours_and_redshifts(3000, 2)
    fitted = method.distributions.fit(method.measure(magnitudes, BANDS), z[:, None], 0)
    masses = method.distributions.predict(fitted, method.measure(others, BANDS), EDGES)
    found = calibration(EDGES, masses, truth)
    assert found["pit_ks"] < 0.06, found
    assert found["coverage_68"] == pytest.approx(0.68, abs=0.06)
    assert found["coverage_95"] == pytest.approx(0.95, abs=0.03)
    # Not the same width for all, which the mean of them would have.
    width = point_estimates(EDGES, masses)["deviation"]
    assert stats.spearmanr(width, scatter).statistic > 0.6
    # A normal distribution that knew everything has scatter / sqrt(pi).
    assert found["crps"] < 1.15 * scatter.mean() / np.sqrt(np.pi)


@pytest.mark.parametrize("name", ON_MAGNITUDES)
def test_a_method_is_fitted_written_and_loaded(galaxies, tmp_path, name):
    recipe = ClassicalRecipe(experiment="experiment1", model=name, group="classical", task=NAMED)
    fit_classical(galaxies / "galaxies.parquet", galaxies / "split.parquet", recipe, 42, tmp_path)
    written = json.loads((tmp_path / "recipe.json").read_text())["recipe"]["settings"]
    used = {"knn": ("neighbours", 40), "hgb-magnitudes": ("max_iter", 50), "local-linear": ("neighbours", 100)}
    assert used[name] in written.items()
    read = read_densities(tmp_path / "predictions.parquet")
    table = pd.read_parquet(tmp_path / "predictions.parquet").set_index("objid").loc[read.objid]
    np.testing.assert_allclose(table.z_pred, point_estimates(EDGES, read.masses)["mean"], atol=1e-5)
    catalog = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").loc[read.objid]
    again = load_model(tmp_path).predict(magnitudes=catalog[[f"mag_{band}" for band in BANDS]].to_numpy())
    np.testing.assert_array_equal(again["z_pdf"], read.masses)


def test_a_method_without_distributions_is_for_estimates_alone():
    assert all(can_predict(METHODS[name], task_of(named)) for name in METHODS for named in ("redshift", NAMED))


def test_a_task_with_a_density_wants_a_method_with_distributions():
    alone = dataclasses.replace(METHODS["knn"], distributions=None)
    both = dataclasses.replace(task_of(NAMED), regression=True)
    assert can_predict(alone, task_of("redshift")) and not can_predict(alone, both)


def test_one_labelled_galaxy_is_a_neighbour():
    method = METHODS["knn"]
    inputs = method.measure(np.full((3, 5), 18.0), BANDS)
    fitted = method.distributions.fit(inputs[:1], np.array([[0.1]]), 0)
    masses = method.distributions.predict(fitted, inputs, EDGES)
    assert masses.sum(axis=1) == pytest.approx(1) and masses[:, 19:21].sum() > 2.5


def test_quantiles_come_back():
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    values = np.array([[0.1, 0.12, 0.13, 0.15, 0.2], [0.2, 0.12, 0.13, 0.15, 0.1], [0.1, 0.1, 0.1, 0.1, 0.1]])
    fine = np.linspace(0, 0.4, 4001)
    masses = masses_of_quantiles(fine, levels, values)
    np.testing.assert_allclose(quantiles(fine, masses, levels), np.sort(values, axis=1), atol=5e-4)
    assert masses.sum(axis=1) == pytest.approx(1) and (masses >= 0).all()
    # Nothing moves all of them to one side.
    symmetric = masses_of_quantiles(fine, levels, np.array([[0.15, 0.18, 0.2, 0.22, 0.25]]))
    assert point_estimates(fine, symmetric)["median"] == pytest.approx(0.2, abs=1e-6)
    # No step at the outer quantiles.
    density = masses[0] / np.diff(fine)
    for at in (0.1, 0.2):
        left, right = density[np.searchsorted(fine, at - 0.0003)], density[np.searchsorted(fine, at + 0.0003)]
        assert left == pytest.approx(right, rel=0.1)


@pytest.mark.parametrize("value", [-5.0, 0.0, 0.4, 7.0])
def test_estimates_beyond_the_bins_are_in_the_nearest_one(value):
    for masses in (
        normal_masses(EDGES, np.array([value]), np.array([0.0])),
        masses_of_quantiles(EDGES, np.array([0.2, 0.5, 0.8]), np.full((1, 3), value)),
    ):
        assert masses.sum() == pytest.approx(1)
        assert masses[0, [0, -1]].max() > 0.9


def test_normal_masses_are_cut_off():
    mean, deviation = np.array([0.02, 0.2]), np.array([0.03, 0.1])
    cut = stats.truncnorm((0 - mean) / deviation, (0.4 - mean) / deviation, loc=mean, scale=deviation)
    expected = np.diff(cut.cdf(EDGES[:, None]).T, axis=1)
    np.testing.assert_allclose(normal_masses(EDGES, mean, deviation), expected, atol=1e-12)
