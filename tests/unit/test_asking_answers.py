"""Answers about a galaxy say what its distribution says."""

import numpy as np
import pytest
from astromae.asking.answers import (
    CUT_OFF,
    ODDS_REACH,
    Answer,
    answer_columns,
    answer_of,
    cut_off,
    mixture,
    of_distributions,
)
from astromae.errors import InputError
from astromae.evaluation.densities import normal_masses, point_estimates, quantiles, rebinned_to
from astromae.tasks import TASKS
from scipy import stats

EDGES = np.linspace(0, 0.4, 401)


def normal(mean, deviation):
    return normal_masses(EDGES, np.atleast_1d(mean), np.atleast_1d(deviation))


def test_a_normal_distribution_s_answer():
    columns = of_distributions(EDGES, normal([0.1, 0.2], [0.01, 0.02])).columns
    np.testing.assert_allclose(columns["z_phot"], [0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(columns["z_median"], [0.1, 0.2], atol=1e-5)
    np.testing.assert_allclose(columns["z_mode"], [0.1, 0.2], atol=6e-4)
    np.testing.assert_allclose(columns["z_err"], [0.01, 0.02], rtol=1e-2)
    for name, level in (("z_lo95", 0.025), ("z_lo68", 0.16), ("z_hi68", 0.84), ("z_hi95", 0.975)):
        np.testing.assert_allclose(columns[name], stats.norm.ppf(level, [0.1, 0.2], [0.01, 0.02]), atol=1e-4)
    reach = ODDS_REACH * (1 + columns["z_phot"])
    expected = 2 * stats.norm.cdf(reach / [0.01, 0.02]) - 1
    np.testing.assert_allclose(columns["odds"], expected, atol=1e-3)


def test_an_estimate_s_intervals_are_conformal():
    task = TASKS["redshift"]
    columns = answer_of(task, {"z_pred": np.array([0.0, 0.25])}, (0.02, 0.05)).columns
    np.testing.assert_allclose(columns["z_err"], [0.02, 0.025])
    np.testing.assert_allclose(columns["z_lo95"], [0, 0.25 - 0.0625])
    np.testing.assert_allclose(columns["z_hi68"], [0.02, 0.275])
    assert np.isnan(columns["odds"]).all()
    unknown = answer_of(task, {"z_pred": np.array([0.1])}, ()).columns
    assert unknown["z_phot"] == 0.1
    assert all(np.isnan(unknown[name]) for name in ("z_err", "z_lo68", "z_hi95"))


def test_columns_of_other_tasks_are_their_own():
    columns = answer_of(TASKS["morphology"], {"p": np.arange(6.0).reshape(2, 3), "q": np.zeros(2)}, ()).columns
    assert list(columns) == ["p_0", "p_1", "p_2", "q"]
    assert columns["p_1"].tolist() == [1, 4]


@pytest.mark.parametrize("name", sorted(TASKS))
def test_columns_are_known_without_galaxies(name):
    task = TASKS[name]
    outputs = np.random.default_rng(0).normal(size=(5, task.outputs))
    assert answer_columns(task) == tuple(answer_of(task, task.predict(outputs), (0.01, 0.02)).columns)


def test_a_mixture_is_the_mean_of_the_distributions():
    one, other = of_distributions(EDGES, normal(0.1, 0.01)), of_distributions(EDGES, normal(0.2, 0.01))
    mixed = mixture([one, other])
    np.testing.assert_allclose(mixed.masses, (one.masses + other.masses) / 2)
    assert mixed.columns["z_phot"] == pytest.approx(0.15)
    assert mixed.columns["z_err"] == pytest.approx(np.hypot(0.05, 0.01), rel=1e-2)
    assert mixture([one]) is one


def test_estimates_with_intervals_are_mixed_as_normal_distributions():
    task = TASKS["redshift"]
    answers = [answer_of(task, {"z_pred": np.array([z])}, (0.01, 0.02)) for z in (0.1, 0.14)]
    mixed = mixture(answers)
    assert mixed.columns["z_phot"] == pytest.approx(0.12, abs=1e-4)
    assert mixed.columns["z_err"] == pytest.approx(np.sqrt(0.02**2 + (0.011**2 + 0.0114**2) / 2), rel=2e-2)
    with pytest.raises(InputError, match="neither distributions nor intervals"):
        mixture([answers[0], answer_of(task, {"z_pred": np.array([0.1])}, ())])
    with pytest.raises(InputError, match="several models are mixed if they predict redshifts"):
        mixture([answers[0], Answer({"p": np.zeros(1)})])


@pytest.mark.parametrize("z", [0.0156, 0.1, 1.5, 3.0])
def test_a_model_twice_is_the_model(z):
    one = answer_of(TASKS["redshift"], {"z_pred": np.array([z, z])}, (0.0185, 0.04))
    twice = mixture([one, one]).columns
    for name in ("z_phot", "z_err"):
        np.testing.assert_allclose(twice[name], one.columns[name], rtol=1e-9)
    np.testing.assert_allclose(twice["z_hi68"], one.columns["z_hi68"], atol=0.01 * (1 + z))


def test_an_estimate_beyond_all_redshifts_takes_no_memory():
    z = np.array([1e9, 0.1])
    columns = {"z_phot": z, "z_median": z, "z_mode": z, "z_err": np.full(2, 0.01)}
    mixed = mixture([Answer(columns), Answer(columns)])
    assert mixed.masses.shape[1] < 10_000
    assert mixed.columns["z_median"][1] == pytest.approx(0.1, abs=1e-3)


def test_distributions_in_other_bins_are_mixed_in_the_finer_ones():
    coarse = np.linspace(0, 0.6, 61)
    wide = of_distributions(coarse, normal_masses(coarse, np.array([0.3]), np.array([0.05])))
    mixed = mixture([of_distributions(EDGES, normal(0.1, 0.01)), wide])
    assert mixed.edges[-1] == pytest.approx(0.6)
    assert np.diff(mixed.edges)[0] == pytest.approx(0.001)
    assert mixed.columns["z_phot"] == pytest.approx(0.2, abs=1e-3)


def test_rebinned_masses_keep_the_distribution_function():
    masses = np.random.default_rng(0).dirichlet(np.ones(400), 5)
    other = np.linspace(0, 0.5, 777)
    again = rebinned_to(EDGES, masses, other)
    np.testing.assert_allclose(again.sum(axis=1), 1)
    fine = quantiles(EDGES, masses, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles(other, again, [0.1, 0.5, 0.9]), fine, atol=1e-3)
    np.testing.assert_allclose(point_estimates(other, again)["mean"], point_estimates(EDGES, masses)["mean"], atol=1e-5)


def test_what_lies_beyond_the_other_bins_goes_to_the_nearest():
    again = rebinned_to(EDGES, normal([0.39, 0.05], [0.002, 0.002]), np.linspace(0, 0.1, 11))
    assert again[0].tolist() == [0] * 9 + [1]
    assert again[1, 4:6].sum() == pytest.approx(1)


def test_a_distribution_at_the_end_of_its_range_is_marked():
    leaning = of_distributions(EDGES, normal([0.4, 0.2], [0.01, 0.01]))
    assert leaning.masses[0, -1] > CUT_OFF
    assert cut_off(leaning).tolist() == [True, False]
    assert cut_off(answer_of(TASKS["redshift"], {"z_pred": np.zeros(3)}, ())).tolist() == [False] * 3
