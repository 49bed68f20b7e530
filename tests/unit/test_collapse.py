"""What tells a collapse: in closed form, for features that are known."""

import numpy as np
import pytest
import torch
from astromae.errors import InputError
from astromae.tasks import TASKS
from astromae.training.collapse import deviation, effective_rank, neighbours_error, require_no_collapse

GAUSSIAN = torch.randn(2000, 128, generator=torch.Generator().manual_seed(0))
RANK_ONE = torch.rand(2000, 1, generator=torch.Generator().manual_seed(1)) * GAUSSIAN[:1]


def test_deviation_is_one_over_the_root_of_the_width_or_nothing():
    assert deviation(GAUSSIAN) == pytest.approx(128**-0.5, rel=1e-2)
    assert deviation(1000 * GAUSSIAN) == pytest.approx(deviation(GAUSSIAN), rel=1e-5)
    assert deviation(RANK_ONE) < 1e-7


def test_rank_is_that_of_the_features():
    assert effective_rank(GAUSSIAN) == pytest.approx(127, abs=1)
    assert effective_rank(RANK_ONE) == pytest.approx(1, abs=1e-2)
    # Seven directions of equal weight.
    orthogonal = torch.linalg.qr(GAUSSIAN[:, :7]).Q @ torch.linalg.qr(GAUSSIAN[:128]).Q[:7]
    assert effective_rank(orthogonal) == pytest.approx(7, rel=1e-2)
    assert np.isnan(effective_rank(torch.full((4, 3), torch.nan)))


def test_neighbours_tell_labels_that_are_in_the_features():
    z = np.random.default_rng(0).uniform(0.02, 0.3, 500)
    angle = torch.from_numpy(10 * z)[:, None]
    features = torch.cat([angle.cos(), angle.sin()], dim=1)
    task = TASKS["redshift"]
    known = neighbours_error(features, z[:, None], task)
    assert known["knn_nmad"] < 0.005
    shuffled = neighbours_error(features, np.random.default_rng(1).permutation(z)[:, None], task)
    assert shuffled["knn_nmad"] > 0.05


def test_neighbours_are_scikit_learn_s():
    from sklearn.neighbors import KNeighborsRegressor

    features, z = GAUSSIAN[:300].double(), np.random.default_rng(2).uniform(0.02, 0.3, 300)
    centred = (features - features.mean(dim=0)).numpy()
    model = KNeighborsRegressor(11, metric="cosine", algorithm="brute").fit(centred, z)
    # The nearest is the galaxy itself.
    predicted = (11 * model.predict(centred) - z) / 10
    dz = (predicted - z) / (1 + z)
    expected = 1.48 * np.median(np.abs(dz - np.median(dz)))
    assert neighbours_error(features, z[:, None], TASKS["redshift"])["knn_nmad"] == pytest.approx(expected, rel=1e-6)


def test_galaxies_without_labels_are_left_out():
    task, z = TASKS["redshift"], np.random.default_rng(2).uniform(0.02, 0.3, (300, 1))
    unknown = z.copy()
    unknown[200:] = np.nan
    assert neighbours_error(GAUSSIAN[:300], unknown, task) == neighbours_error(GAUSSIAN[:200], z[:200], task)
    unknown[20:] = np.nan
    assert np.isnan(neighbours_error(GAUSSIAN[:300], unknown, task)["knn_nmad"])


@pytest.mark.parametrize("features", [torch.ones(50, 8), torch.zeros(50, 8), torch.ones(50, 8).half(), RANK_ONE])
def test_dead_features_stop_a_training_in_one_line(features):
    with pytest.raises(InputError, match=r"plain: the encoder has collapsed: .* stamps are all alike") as stopped:
        require_no_collapse(features, "plain")
    assert "Lower optimiser.learning_rate" in str(stopped.value) and "\n" not in str(stopped.value)


def test_features_that_vary_little_are_alive():
    require_no_collapse(1 + 1e-2 * GAUSSIAN, "plain")
    require_no_collapse(torch.ones(1, 8), "one stamp")
