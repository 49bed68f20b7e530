"""Intervals over seeds and galaxies hold the truth as often as they say, and families of questions err as rarely."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from astromae.contracts.predictions import CLASSICAL, ModelPredictions, Predictions
from astromae.evaluation.intervals import estimate_mean, supported
from astromae.evaluation.scores import Scores, score
from astromae.tasks.redshift import METRICS
from evaluation_inputs import SETTINGS

GALAXIES, SAMPLES, TRIALS = 150, 200, 4000
#: What a trial may differ from another by: a proportion of 0.95 in 4000 has a standard error of 0.0034.
LOW, HIGH = 0.93, 0.975


def resampled_means(errors, random):
    """Return means over galaxies on the same resamples for all; errors (..., galaxies), means (..., samples)."""
    counts = random.multinomial(errors.shape[-1], np.full(errors.shape[-1], 1 / errors.shape[-1]), SAMPLES)
    return errors @ (counts.T / errors.shape[-1])


def simulated_bias(random, models, seeds, of_seeds, own, trials=TRIALS):
    """Return errors (trials, models, seeds, galaxies) of mean zero over endless seeds and galaxies.

    Galaxies have errors of variance 1 that all share; each seed adds an offset with the standard deviation `of_seeds`
    in units of the standard error that galaxies give a mean, and errors of its own with variance `own`.
    """
    shared = random.standard_normal((trials, 1, 1, GALAXIES), dtype=np.float32)
    offsets = of_seeds * random.standard_normal((trials, models, seeds, 1), dtype=np.float32) / GALAXIES**0.5
    errors = own**0.5 * random.standard_normal((trials, models, seeds, GALAXIES), dtype=np.float32)
    return shared + offsets + errors


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("of_seeds", "own"), [(0, 0.1), (0.5, 0.1), (1, 0.3), (3, 0), (3, 1), (100, 0.1)])
def test_intervals_over_seeds_hold_the_truth(seeds, of_seeds, own):
    random = np.random.default_rng([1, seeds, int(10 * of_seeds)])
    errors = simulated_bias(random, 1, seeds, of_seeds, own)[:, 0]
    low, high = estimate_mean(errors.mean(axis=-1), resampled_means(errors, random), 0.95).limits(0.95)
    assert LOW <= np.mean((low < 0) & (0 < high)) <= HIGH


def test_intervals_of_one_seed_hold_the_truth_of_that_seed():
    random = np.random.default_rng(10)
    errors = simulated_bias(random, 1, 1, 0, 0.1)[:, 0]
    low, high = estimate_mean(errors.mean(axis=-1), resampled_means(errors, random), 0.95).limits(0.95)
    assert LOW <= np.mean((low < 0) & (0 < high)) <= HIGH


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("of_seeds", "own"), [(0, 0.1), (0.3, 0.1), (1, 0.3), (3, 0.1), (100, 0.1)])
def test_intervals_of_differences_hold_the_truth(seeds, of_seeds, own):
    """Of two models, on the same galaxies: what galaxies share cancels."""
    random = np.random.default_rng([2, seeds, int(10 * of_seeds)])
    errors = simulated_bias(random, 2, seeds, of_seeds, own)
    errors = errors[:, 0] - errors[:, 1]
    low, high = estimate_mean(errors.mean(axis=-1), resampled_means(errors, random), 0.95).limits(0.95)
    assert LOW <= np.mean((low < 0) & (0 < high)) <= HIGH


def test_seeds_that_two_models_share_cancel_in_their_difference():
    """Both models start from the same encoder, which is better or worse with its seed."""
    random = np.random.default_rng(3)
    errors = simulated_bias(random, 2, 3, 1, 0.1)
    errors += random.standard_normal((TRIALS, 1, 3, 1), dtype=np.float32)
    errors = errors[:, 0] - errors[:, 1]
    low, high = estimate_mean(errors.mean(axis=-1), resampled_means(errors, random), 0.95).limits(0.95)
    assert LOW <= np.mean((low < 0) & (0 < high)) <= HIGH


def predicted(random, seeds, scatter, models=("a",), groups=("pretrained",), n=300):
    """Return predictions with a dispersion of 0.02 that scatters between seeds by the fraction `scatter`."""
    z_spec = random.uniform(0.05, 0.3, n)
    shared = random.standard_normal(n)
    found = []
    for model, group in zip(models, groups, strict=True):
        sigma = 0.02 * (1 + scatter * random.standard_normal((seeds, 1)))
        dz = sigma * (0.8**0.5 * shared + 0.2**0.5 * random.standard_normal((seeds, n)))
        found.append(ModelPredictions(model, group, tuple(range(seeds)), {"z_pred": z_spec + (1 + z_spec) * dz}))
    return Predictions("e", "redshift", np.arange(n), {"z_spec": z_spec}, n, tuple(found))


def test_intervals_of_a_dispersion_hold_the_truth():
    """All the way from predictions, for metrics that are no means, with three seeds that scatter by 5 %."""
    random = np.random.default_rng(4)
    trials, truth = 600, {"mae": None, "nmad": 0.02 * 1.48 / 1.482602, "precision": 0.02 * 1.48 / 1.482602}
    truth["mae"] = 0.02 * (2 / np.pi) ** 0.5 * 1.175  # of 1 + z the mean, for z from 0.05 to 0.3
    held = dict.fromkeys(truth, 0)
    for _ in range(trials):
        found = score(predicted(random, 3, 0.05), SETTINGS)
        for metric, value in truth.items():
            low, high = found.limits(metric)
            held[metric] += low[0] < value < high[0]
    for metric, count in held.items():
        # binomial: 0.95 +- 0.009 for 600 trials, three of them, within what is held for means
        assert LOW - 0.01 <= count / trials <= HIGH + 0.005, metric


def test_the_interval_of_one_seed_is_the_percentile_interval():
    runs = np.array([0.02])
    resampled = np.random.default_rng(5).gamma(4, 0.005, (1, 999))
    low, high = estimate_mean(runs, resampled, 0.95).limits(0.95)
    assert [low, high] == pytest.approx(np.quantile(resampled, [0.025, 0.975]))


def test_without_scatter_from_galaxies_the_interval_is_students():
    runs = np.array([1.0, 2.0, 4.0, 5.0])
    low, high = estimate_mean(runs, np.repeat(runs[:, None], 50, axis=1), 0.95).limits(0.95)
    # t = 3.18245 for 3 degrees of freedom, standard deviation sqrt(10 / 3)
    assert [low, high] == pytest.approx(3 + np.array([-1, 1]) * 3.18245 * (10 / 3) ** 0.5 / 2, abs=1e-4)


def test_runs_that_are_the_same_do_not_differ():
    estimate = estimate_mean(np.zeros((1, 3)), np.zeros((1, 3, 50)), 0.95)
    assert estimate.limits(0.95) == (0, 0) and not supported(estimate, 0.95).any()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_ten_questions_without_a_difference_are_all_left_open_in_95_of_100_runs(seeds):
    """Questions that share nothing, which is the hardest case; uncorrected, four in ten runs would claim something."""
    random = np.random.default_rng([6, seeds])
    errors = simulated_bias(random, 20, seeds, 1, 0.3, trials=1500)
    errors = errors[:, ::2] - errors[:, 1::2]
    estimate = estimate_mean(errors.mean(axis=-1), resampled_means(errors, random), 0.95)
    low, high = estimate.limits(0.95)
    assert ((low > 0) | (high < 0)).any(axis=1).mean() > 0.25
    # binomial: 0.05 +- 0.0056 for 1500 trials
    assert 0.03 <= supported(estimate, 0.95).any(axis=1).mean() <= 0.067


def test_holm_shares_the_risk_among_what_is_left():
    """By hand. Four p-values are held against 0.05 / 4, / 3, / 2, / 1; of five, the third of 0.02 is above 0.05 / 3."""
    normal = {0.001: 3.29053, 0.012: 2.51214, 0.02: 2.32635, 0.03: 2.17009, 0.04: 2.05375}

    def found(*p_values):
        value = np.array([normal[p] for p in p_values])[:, None]
        quantiles = np.linspace(-1, 1, 1001)[None, :] * 1.959964 / 0.95  # 2.5 and 97.5 % at one standard error
        estimate = estimate_mean(value, value[..., None] + quantiles, 0.95)
        return supported(estimate, 0.95).tolist()

    assert found(0.04, 0.001, 0.012, 0.02) == [True] * 4
    assert found(0.04, 0.001, 0.012, 0.02, 0.03) == [False, True, True, False, False]


def test_of_equal_models_none_is_bold_and_no_pair_is_told_apart():
    """Two models that differ by the luck of their seeds alone, 1 % of the dispersion: with one seed nothing is said."""
    random = np.random.default_rng(7)
    wrong = {1: 0, 3: 0}
    for seeds, _ in itertools.product(wrong, range(150)):
        found = score(predicted(random, seeds, 0.01, ("a", "b"), ("scratch", "pretrained"), n=400), SETTINGS)
        wrong[seeds] += found.best("precision") is not None
        assert (found.best("precision") is not None) == found.supported("precision", [(0, 1)])[0]
    assert wrong[1] == 0
    assert wrong[3] / 150 <= 0.11  # 0.05 and three standard errors


def scores_of(trained, seeds):
    """Return scores of models that follow one another by far more than galaxies or seeds scatter."""
    value = 0.02 + 0.002 * np.arange(len(trained))[:, None] + 1e-6 * np.arange(seeds)
    resampled = value[..., None] + 1e-5 * np.random.default_rng(8).standard_normal((1, 1, 100))
    each = dict.fromkeys(METRICS, value), dict.fromkeys(METRICS, resampled)
    return Scores(METRICS, tuple("abcdef"[: len(trained)]), trained, 0.95, *each)


def test_one_seed_tells_only_methods_apart_that_no_seed_changes():
    one, several = scores_of((True, True, False, False), 1), scores_of((True, True, False, False), 2)
    pairs = list(itertools.combinations(range(4), 2))
    assert [one.judged(*pair) for pair in pairs] == [False] * 5 + [True]
    assert one.supported("mae", pairs).tolist() == [False] * 5 + [True]
    assert one.best("mae") is None and scores_of((False, False), 1).best("mae") == 0
    assert several.supported("mae", pairs).all() and several.best("mae") == 0
    assert several.best("r2") == 3


def test_a_classical_method_has_no_scatter_of_seeds():
    """Its runs are the same with every seed, so that its interval is that of the galaxies alone."""
    random = np.random.default_rng(9)
    one = predicted(random, 1, 0, groups=(CLASSICAL,))
    model = one.models[0]
    several = ModelPredictions(
        model.model, CLASSICAL, (1, 2, 3), {"z_pred": np.repeat(model.predicted["z_pred"], 3, axis=0)}
    )
    several = replace(one, models=(several,))
    for metric in METRICS:
        ends = [np.array(score(each, SETTINGS).limits(metric)) for each in (one, several)]
        np.testing.assert_allclose(*ends, rtol=1e-9)
