"""Scores of distributions against those of qp, which RAIL judges by, and of scoringrules, on the same ones."""

import numpy as np
import pytest
import qp
import scoringrules
from astromae.contracts.qp_file import write_qp
from astromae.evaluation.calibration import calibration
from astromae.evaluation.densities import galaxy_scores, point_estimates
from scipy import stats

N, BINS = 200, 180
EDGES = np.linspace(0, 0.4, BINS + 1)


@pytest.fixture(scope="module")
def sample():
    """Distributions with one and two peaks, and true redshifts inside the bins."""
    random = np.random.default_rng(7)
    z = random.uniform(0.01, 0.39, N)
    peaks = z[:, None] + random.normal(0, [0.01, 0.05], (N, 2))
    cdf = stats.norm.cdf((EDGES - peaks[..., None]) / random.uniform(0.005, 0.02, (N, 2, 1)))
    masses = (np.diff(cdf, axis=2) * random.dirichlet([4, 1], N)[..., None]).sum(axis=1)
    return masses / masses.sum(axis=1, keepdims=True), z


@pytest.fixture(scope="module")
def ensemble(sample):
    return qp.Ensemble(qp.hist, data={"bins": EDGES, "pdfs": sample[0]})


def test_pit_and_cde_loss_are_qps(sample, ensemble):
    masses, z = sample
    own = galaxy_scores(EDGES, masses, z)
    at_truth = [(np.squeeze(ensemble[i].cdf(z[i])), np.squeeze(ensemble[i].pdf(z[i]))) for i in range(N)]
    pit, density = np.array(at_truth).T
    np.testing.assert_allclose(own["pit"], pit, atol=1e-12)
    np.testing.assert_allclose(own["nll"], -np.log(np.maximum(density, 1e-6)), atol=1e-9)
    np.testing.assert_allclose(own["cde_loss"], (masses**2 / np.diff(EDGES)).sum(axis=1) - 2 * density, atol=1e-9)


def test_point_estimates_are_qps(sample, ensemble):
    own = point_estimates(EDGES, sample[0])
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    np.testing.assert_allclose(own["median"], ensemble.ppf(0.5).ravel(), atol=1e-9)
    np.testing.assert_allclose(own["mode"], ensemble.mode(grid=centres).ravel(), atol=1e-12)
    np.testing.assert_allclose(own["mean"][:20], ensemble[:20].mean().ravel(), atol=1e-6)
    # qp counts no width of a bin.
    within = np.diff(EDGES)[0] ** 2 / 12
    np.testing.assert_allclose(own["deviation"][:20] ** 2 - within, ensemble[:20].var().ravel(), atol=1e-9)


def test_crps_is_that_of_scoringrules(sample):
    masses, z = sample
    levels = (np.arange(20_000) + 0.5) / 20_000
    draws = np.stack([np.interp(levels, np.append(0, np.cumsum(row)), EDGES) for row in masses])
    np.testing.assert_allclose(galaxy_scores(EDGES, masses, z)["crps"], scoringrules.crps_ensemble(z, draws), atol=2e-6)


def test_tests_of_uniformity_are_qps(sample):
    masses, z = sample
    own = calibration(EDGES, masses, z)
    pit = qp.metrics.pit.PIT(qp.Ensemble(qp.hist, data={"bins": EDGES, "pdfs": masses}), z)
    assert own["pit_ks"] == pytest.approx(pit.evaluate_PIT_KS().statistic, abs=1e-9)
    assert own["pit_cvm"] == pytest.approx(pit.evaluate_PIT_CvM().statistic, abs=1e-9)


def test_qp_opens_a_file_of_ours(sample, tmp_path):
    masses, z = sample
    write_qp(tmp_path / "pdf.hdf5", EDGES, masses, {"objid": np.arange(N), "zmode": z})
    read = qp.read(str(tmp_path / "pdf.hdf5"))
    assert read.npdf == N
    np.testing.assert_allclose(read.pdf(EDGES[:-1] + 1e-4), masses / np.diff(EDGES), atol=1e-9)
    np.testing.assert_array_equal(read.ancil["objid"], np.arange(N))
