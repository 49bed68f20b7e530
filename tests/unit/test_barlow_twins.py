"""Barlow Twins against numpy and closed forms, in float64."""

import numpy as np
import pytest
import torch
from astromae.objectives.barlow_twins import BarlowTwinsSettings
from astromae.objectives.redundancy_reduction import (
    RedundancyReduction,
    cross_correlation,
    redundancy_loss,
    standardise,
)
from torch import nn

LAMBDA = 0.0051


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss_of(one, other):
    return redundancy_loss(cross_correlation(one, other), LAMBDA)


def whitened(n, d):
    """Return columns without mean that are orthogonal, with unit (biased) variance."""
    x = normal(n, d, 0)
    return torch.linalg.qr(x - x.mean(dim=0))[0] * n**0.5


def test_loss_is_numpy_s():
    one, other = (3 * normal(40, 7, seed) + seed for seed in (1, 2))
    a, b = (x.numpy() for x in (one, other))
    a, b = ((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) for x in (a, b))
    c = a.T @ b / 40
    expected = sum((1 - c[i, i]) ** 2 if i == j else LAMBDA * c[i, j] ** 2 for i in range(7) for j in range(7))
    assert loss_of(one, other).item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    one, other = (normal(9, 4, seed).requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(loss_of, (one, other))


def test_whitened_columns_cost_nothing():
    z = whitened(64, 16)
    assert loss_of(z, z).item() < 1e-7


def test_constant_columns_cost_their_number():
    z = torch.ones(32, 16, dtype=torch.float64)
    assert loss_of(z, z).item() == 16


def test_one_column_many_times_costs_the_redundancy():
    z = normal(32, 1, 0).repeat(1, 16)
    assert loss_of(z, z).item() == pytest.approx(LAMBDA * 16 * 15, rel=1e-4)


def test_scale_and_shift_of_a_column_do_not_count():
    one, other = normal(50, 6, 1), normal(50, 6, 2)
    moved = other * torch.tensor([3.0, 0.5, 20.0, 1.0, 7.0, 2.0]) + torch.arange(6.0)
    assert loss_of(one, moved).item() == pytest.approx(loss_of(one, other).item(), rel=1e-4)


def test_first_loss_of_independent_views():
    n, d = 256, 128
    expected = d * (1 + 1 / n) + LAMBDA * d * (d - 1) / n
    assert loss_of(normal(n, d, 1), normal(n, d, 2)).item() == pytest.approx(expected, rel=0.02)


def test_variance_is_biased():
    z = standardise(normal(5, 3, 0))
    torch.testing.assert_close(z.var(dim=0, correction=0), torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0)
    # The unbiased one would leave the diagonal at (n - 1) / n.
    assert cross_correlation(z, z).diagonal().min() > 0.999


class Flat(nn.Module):
    width = 12

    def __init__(self):
        super().__init__()
        self.weight = nn.Linear(5 * 4 * 4, self.width)

    def features(self, images):
        return self.weight(images.flatten(1))


def test_the_loss_leaves_autocast():
    """In bfloat16 the diagonal of two equal views is off by a percent, and its square is most of the loss."""
    torch.manual_seed(0)
    learner = RedundancyReduction(Flat(), BarlowTwinsSettings(projection=32))
    images = torch.randn(64, 5, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = learner(images, images)
        diagonal = learner._correlations((images, images)).diagonal()
    assert loss.dtype == torch.float32 and loss.isfinite()
    torch.testing.assert_close(diagonal, torch.ones(32), atol=1e-3, rtol=0)


def test_layers_are_those_of_the_release():
    projector = RedundancyReduction(Flat(), BarlowTwinsSettings(projection=32)).projector
    kinds = [type(layer).__name__ for layer in projector]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert all(layer.bias is None for layer in projector if isinstance(layer, nn.Linear))


def test_report_of_views_that_are_alike():
    learner = RedundancyReduction(Flat(), BarlowTwinsSettings(projection=32)).eval()
    images = torch.randn(64, 5, 4, 4)
    reported = learner.report(images, images)
    assert reported["own_correlation"] == pytest.approx(1, abs=1e-2)
    assert 0 < reported["redundancy"] < 1
