"""The compiled pixel arithmetic of views: scaling against numpy, noise against the normal distribution."""

import numpy as np
import pytest
import torch
from astromae.training.compiled import add_noise, scale
from astromae.training.scaling import Scaling
from scipy import stats

KEYS = torch.randint(2**32, (200, 2), generator=torch.Generator().manual_seed(9))


def noise(keys=KEYS, sigma=1.0, shape=(5, 32, 32)):
    images = torch.zeros(len(keys), *shape)
    add_noise(images, sigma, keys)
    return images


def test_scaling_is_numpys():
    random = torch.Generator().manual_seed(2)
    images = torch.randn(9, 5, 7, 7, generator=random) * 10.0 ** torch.randint(-6, 5, (9, 5, 7, 7), generator=random)
    images[0, 0, 0, :3] = torch.tensor([0.0, 1e-30, -1e-30])
    softening, mean, std = [0.01, 0.1, 1.0, 3.0, 50.0], [0.1, 0.2, -0.3, 0.4, 0.5], [0.5, 1.0, 1.5, 2.0, 2.5]
    wide = [np.array(values)[None, :, None, None] for values in (softening, mean, std)]
    expected = (np.arcsinh(images.double().numpy() / wide[0]) - wide[1]) / wide[2]
    np.testing.assert_allclose(scale(images, softening, mean, std), expected, rtol=1e-6, atol=1e-6)


def test_scaling_is_undone():
    scaling = Scaling([0.1] * 5, [0.5] * 5, [0.7] * 5, [18.0] * 5, torch.eye(5).tolist(), 0.1)
    images = torch.randn(4, 5, 8, 8, generator=torch.Generator().manual_seed(2)).half()
    torch.testing.assert_close(scaling.unscale_pixels(scaling.pixels(images)), images.float(), atol=1e-5, rtol=1e-5)


def test_what_is_not_finite_stays_so():
    images = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0]).view(1, 1, 2, 2)
    scaled = scale(images, [1.0], [0.0], [1.0]).flatten()
    assert scaled[0].isnan() and not scaled[1:3].isfinite().any()
    assert scaled[3] == pytest.approx(np.arcsinh(1.0), abs=1e-6)


def test_noise_is_normal():
    values = noise().flatten().numpy().astype(np.float64)
    assert stats.kstest(values, "norm").pvalue > 0.001
    n = len(values)
    assert abs(values.mean()) < 4 / n**0.5
    assert abs(values.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs(stats.kurtosis(values)) < 4 * (24 / n) ** 0.5
    assert 4.5 < abs(values).max() < 6


def test_noise_is_white():
    values = noise().flatten(1).numpy()
    for lag in (1, 2, 5, 32, 1024, 2559, 2560, 2561):
        product = values[:, :-lag] * values[:, lag:]
        assert abs(product.mean()) < 4.5 / product.size**0.5, lag
    between = np.corrcoef(values)[np.triu_indices(len(values), 1)]
    assert abs(between).max() < 5.5 / values.shape[1] ** 0.5


def test_noise_depends_on_its_keys_alone(monkeypatch):
    everything = noise(sigma=0.3)
    torch.testing.assert_close(everything, 0.3 * noise(), rtol=1e-5, atol=0)
    assert torch.equal(everything[40:50], noise(KEYS[40:50], 0.3))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(everything, noise(sigma=0.3))


def test_noise_of_an_odd_number_of_pixels():
    assert (noise(KEYS[:3], shape=(1, 3, 3)) != 0).all()


def test_noise_is_added():
    images = torch.full((2, 1, 4, 4), 5.0)
    add_noise(images, 0.1, KEYS[:2])
    torch.testing.assert_close(images, 5 + noise(KEYS[:2], 0.1, (1, 4, 4)))
