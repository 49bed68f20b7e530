"""Metrics by hand, their invariances, and their bootstrap."""

import numpy as np
import pytest
from astromae.evaluation.bootstrap import bootstrap_metrics, resampled_indices
from astromae.tasks.redshift import METRICS, RAIL_METRICS, TASK, rail_metrics, redshift_metrics
from scipy import stats

THRESHOLD = 0.05


@pytest.fixture
def galaxies():
    rng = np.random.default_rng(1)
    z_spec = rng.uniform(0.02, 0.4, 600)
    return z_spec, z_spec + 0.02 * (1 + z_spec) * rng.standard_normal((3, 600))


def test_values_by_hand():
    # dz = 0.1/1, 0, -0.06/1.2 = -0.05 (no outlier: not above), 0.12/1.5 = 0.08, -0.04/2 = -0.02
    z_spec = np.array([0.0, 0.1, 0.2, 0.5, 1.0])
    z_pred = np.array([0.1, 0.1, 0.14, 0.62, 0.96])
    values = redshift_metrics(z_spec, z_pred, 0.0501)
    assert values["mse"] == pytest.approx((0.01 + 0 + 0.0036 + 0.0144 + 0.0016) / 5)
    assert values["mae"] == pytest.approx((0.1 + 0 + 0.06 + 0.12 + 0.04) / 5)
    assert values["bias"] == pytest.approx((0.1 + 0 - 0.05 + 0.08 - 0.02) / 5)
    assert values["precision"] == pytest.approx(1.48 * 0.05)  # median of 0, .02, .05, .08, .1
    # median dz = 0, so the deviations are those of precision
    assert values["nmad"] == pytest.approx(1.48 * 0.05)
    assert values["outliers"] == pytest.approx(2 / 5)
    total = np.sum((z_spec - 0.36) ** 2)
    assert values["r2"] == pytest.approx(1 - 0.0296 / total)


def test_precision_keeps_the_median_that_nmad_subtracts():
    """Equation 8 subtracts no median: a constant offset counts in full, and leaves NMAD at zero."""
    z_spec = np.linspace(0.05, 0.4, 101)
    z_pred = z_spec + 0.03 * (1 + z_spec)
    values = redshift_metrics(z_spec, z_pred, THRESHOLD)
    assert values["precision"] == pytest.approx(1.48 * 0.03)
    assert values["nmad"] == pytest.approx(0, abs=1e-12)
    assert values["bias"] == pytest.approx(0.03)


def test_of_normal_errors_both_dispersions_are_the_standard_deviation():
    rng = np.random.default_rng(0)
    z_spec = rng.uniform(0, 0.4, 200_000)
    z_pred = z_spec + 0.015 * (1 + z_spec) * rng.standard_normal(z_spec.size)
    values = redshift_metrics(z_spec, z_pred, THRESHOLD)
    # a median absolute deviation of n normal errors has a relative error of 1.17 / sqrt(n)
    assert values["nmad"] == pytest.approx(0.015, rel=5 * 1.17 / np.sqrt(z_spec.size) + 0.002)
    assert values["precision"] == pytest.approx(values["nmad"], rel=0.005)


def test_a_perfect_prediction_and_the_mean():
    z_spec = np.linspace(0.1, 0.3, 11)
    perfect = redshift_metrics(z_spec, z_spec, THRESHOLD)
    assert perfect["r2"] == 1
    assert all(perfect[metric] == 0 for metric in METRICS if metric != "r2")
    mean = redshift_metrics(z_spec, np.full(11, 0.2), THRESHOLD)
    assert mean["r2"] == pytest.approx(0, abs=1e-12)


def test_r2_has_no_value_where_redshifts_do_not_vary():
    values = redshift_metrics(np.full(5, 0.1), np.linspace(0.1, 0.2, 5), THRESHOLD)
    assert np.isnan(values["r2"])


def test_order_of_galaxies_does_not_matter(galaxies):
    z_spec, z_pred = galaxies
    order = np.random.default_rng(2).permutation(z_spec.size)
    for metric, values in redshift_metrics(z_spec, z_pred, THRESHOLD).items():
        shuffled = redshift_metrics(z_spec[order], z_pred[:, order], THRESHOLD)[metric]
        np.testing.assert_allclose(shuffled, values, rtol=1e-12)


def test_mirrored_errors_change_only_the_sign_of_the_bias(galaxies):
    z_spec, z_pred = galaxies
    values = redshift_metrics(z_spec, z_pred, THRESHOLD)
    mirrored = redshift_metrics(z_spec, 2 * z_spec - z_pred, THRESHOLD)
    np.testing.assert_allclose(mirrored["bias"], -values["bias"])
    for metric in set(METRICS) - {"bias"}:
        np.testing.assert_allclose(mirrored[metric], values[metric], err_msg=metric)


def test_less_badness_is_better():
    assert METRICS["bias"].badness(-0.01) == METRICS["bias"].badness(0.01) > METRICS["bias"].badness(0)
    assert METRICS["r2"].badness(0.99) < METRICS["r2"].badness(0.9)
    assert METRICS["mse"].badness(0.1) < METRICS["mse"].badness(0.2)


def resample(z_spec, z_pred, samples, seed, threshold):
    return bootstrap_metrics(TASK, {"z_spec": z_spec}, {"z_pred": z_pred}, samples, seed, threshold)


def test_a_resample_is_the_same_for_every_run_and_call(galaxies):
    z_spec, z_pred = galaxies
    together = resample(z_spec, z_pred, 50, 7, THRESHOLD)
    alone = resample(z_spec, z_pred[1:2], 50, 7, THRESHOLD)
    twins = resample(z_spec, np.stack([z_pred[0], z_pred[0]]), 50, 7, THRESHOLD)
    for metric in METRICS:
        np.testing.assert_array_equal(together[metric][1], alone[metric][0])
        np.testing.assert_array_equal(twins[metric][0], twins[metric][1])
    other = resample(z_spec, z_pred, 50, 8, THRESHOLD)
    assert not np.array_equal(other["mse"], together["mse"])


def test_chunks_do_not_change_a_bit(galaxies, monkeypatch):
    z_spec, z_pred = galaxies
    whole = resample(z_spec, z_pred, 30, 7, THRESHOLD)
    monkeypatch.setattr("astromae.evaluation.bootstrap.CHUNK_ELEMENTS", 4000)
    parts = resample(z_spec, z_pred, 30, 7, THRESHOLD)
    for metric in METRICS:
        np.testing.assert_array_equal(whole[metric], parts[metric])


def test_a_resample_draws_galaxies_with_replacement():
    indices = resampled_indices(1000, 0, 3)
    assert indices.shape == (1000,) and indices.min() >= 0 and indices.max() < 1000
    # each galaxy is left out with probability (1 - 1/n)^n = 1/e
    assert len(np.unique(indices)) == pytest.approx(1000 * (1 - np.exp(-1)), abs=60)


def test_bootstrap_error_of_a_mean_is_the_standard_error():
    rng = np.random.default_rng(5)
    z_spec = rng.uniform(0.1, 0.2, 2000)
    z_pred = z_spec + 0.01 * (1 + z_spec) * rng.standard_normal((1, 2000))
    resampled = resample(z_spec, z_pred, 1000, 1, THRESHOLD)["bias"][0]
    # the spread of 1000 resamples is known to 1 / sqrt(2 * 1000) = 2 %
    assert resampled.std() == pytest.approx(0.01 / np.sqrt(2000), rel=0.1)


def test_metrics_as_rail_counts_them():
    random = np.random.default_rng(11)
    z = random.uniform(0.02, 0.3, (2, 1, 4000))
    dz = 0.01 + random.normal(0, 0.015, (2, 3, 4000))
    dz[0, 0, :40], dz[1, 1, :40] = 0.065, 0.03
    found = rail_metrics(z, z + dz * (1 + z))
    assert set(found) == set(RAIL_METRICS) and not set(RAIL_METRICS) & set(METRICS)
    assert all(values.shape == (2, 3) for values in found.values())
    np.testing.assert_allclose(found["median_bias"], np.median(dz, axis=-1), atol=1e-12)
    np.testing.assert_allclose(found["sigma_iqr"], stats.iqr(dz, axis=-1) / 1.349, atol=1e-12)
    assert found["outliers_3sigma"][0, 0] == pytest.approx(0.01, abs=0.002)
    assert found["outliers_3sigma"][1, 1] < 0.002
    # Three sigma above 0.06 count instead of it.
    wide = rail_metrics(z, z + 3 * dz * (1 + z))["outliers_3sigma"]
    assert wide[1, 2] == pytest.approx(np.mean(np.abs(3 * dz[1, 2]) > 3 * stats.iqr(3 * dz[1, 2]) / 1.349))
