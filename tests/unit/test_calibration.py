"""Calibration of distributions: whether calibrated ones pass, others do not, and how they are mended."""

import numpy as np
import pytest
from astromae.evaluation.calibration import calibration, coverage, pit_tests, recalibrate
from astromae.evaluation.conformal import conformal_widths
from astromae.evaluation.densities import galaxy_scores
from scipy import stats

EDGES = np.linspace(-1, 1.4, 601)


def normals(random, n, widened=1.0, shifted=0.0):
    """Return masses, and redshifts drawn from them; the masses are then widened and shifted."""
    mean, deviation = random.uniform(0.1, 0.3, n), random.uniform(0.02, 0.04, n)
    z = mean + random.normal(0, deviation)
    cdf = stats.norm.cdf((EDGES - mean[:, None] - shifted) / (widened * deviation[:, None]))
    return np.diff(cdf, axis=1), z


def test_calibrated_distributions_pass_as_often_as_the_level_says():
    random = np.random.default_rng(1)
    p = [pit_tests(random.uniform(size=500)) for _ in range(400)]
    for name in ("pit_ks_p", "pit_cvm_p"):
        passed = np.mean([each[name] > 0.05 for each in p])
        assert passed == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 400))
    # Its 5 % point for a known distribution is 2.492 (Stephens 1974).
    assert np.mean([each["pit_ad"] < 2.492 for each in p]) == pytest.approx(0.95, abs=0.045)


def test_calibrated_distributions_have_the_scores_of_normal_ones():
    masses, z = normals(np.random.default_rng(2), 20_000)
    found = calibration(EDGES, masses, z)
    assert found["n_test"] == 20_000 and found["pit_ks_p"] > 0.01
    assert found["coverage_68"] == pytest.approx(0.68, abs=0.013)
    assert found["coverage_95"] == pytest.approx(0.95, abs=0.006)
    # Expected CRPS of a calibrated normal distribution: deviation / sqrt(pi); NLL: ln(deviation sqrt(2 pi e)).
    assert found["crps"] == pytest.approx(0.03 / np.sqrt(np.pi), rel=0.02)
    deviation = np.random.default_rng(3).uniform(0.02, 0.04, 100_000)
    assert found["nll"] == pytest.approx(np.mean(np.log(deviation * np.sqrt(2 * np.pi * np.e))), abs=0.03)
    # Of the CDE loss: minus the integral of the density's square, 1 / (2 deviation sqrt(pi)).
    assert found["cde_loss"] == pytest.approx(-np.mean(1 / (2 * deviation * np.sqrt(np.pi))), rel=0.02)
    assert found["sharpness"] == pytest.approx(0.025, rel=0.04)
    assert abs(found["nz_shift"]) < 0.001 and found["nz_ks"] < 0.02


@pytest.mark.parametrize(("widened", "shifted"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.02)])
def test_a_recalibration_mends_what_is_wrong_with_all(widened, shifted):
    random = np.random.default_rng(4)
    known, known_z = normals(random, 2000, widened, shifted)
    masses, z = normals(random, 5000, widened, shifted)
    before = calibration(EDGES, masses, z)
    assert before["pit_ks_p"] < 1e-6
    mend = recalibrate(galaxy_scores(EDGES, known, known_z)["pit"], 20)
    after = calibration(EDGES, mend(EDGES, masses), z)
    assert after["pit_ks"] < before["pit_ks"] / 4 and after["crps"] < before["crps"]
    assert after["coverage_68"] == pytest.approx(0.68, abs=0.03)


def test_pit_values_that_are_all_alike_are_recalibrated_without_a_fault():
    mend = recalibrate(np.zeros(100), 20)
    masses = mend(np.array([0.0, 1.0, 2.0]), np.array([[0.5, 0.5]]))
    assert masses.sum() == pytest.approx(1) and (masses >= 0).all()


def test_conformal_intervals_cover_what_they_promise():
    """Over many validation samples: at least the level, and at most 1 / (n + 1) more."""
    random = np.random.default_rng(5)
    covered = np.mean(
        [random.standard_exponential(200) <= conformal_widths(random.standard_exponential(99), [0.68])[0]
         for _ in range(2000)]
    )  # fmt: skip
    assert 0.68 - 0.005 < covered < 0.68 + 0.01 + 0.005
    with pytest.raises(ValueError, match="10 galaxies are too few"):
        conformal_widths(np.arange(10.0), [0.95])


def test_a_map_ends_at_one_where_many_lie_beyond_the_bins():
    pit = np.append(np.linspace(0, 1, 80), np.ones(20))
    mend = recalibrate(pit, 20)
    assert mend.reached[-1] == 1 and (np.diff(mend.levels) > 0).all()
    assert mend(np.linspace(0, 1, 11), np.full((1, 10), 0.1)).sum() == pytest.approx(1)


def test_a_whole_rank_is_not_rounded_up():
    # 0.68 x 75 is 51.000000000000007 in floating point.
    assert conformal_widths(np.arange(1.0, 75.0), [0.68])[0] == 51


def test_coverage_counts_both_ends():
    assert coverage(np.array([0.16, 0.84, 0.15, 0.5]), 0.68) == 0.75


def test_too_few_galaxies_recalibrate_nothing():
    with pytest.raises(ValueError, match="10 galaxies are too few"):
        recalibrate(np.linspace(0, 1, 10), 20)
