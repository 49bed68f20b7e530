"""The scaling of pixels: against numpy's in double precision, undone, and of pixels that are not finite."""

import numpy as np
import pytest
import torch
from astromae.training.scaling import Scaling
from training_inputs import STAMPS


def scaling(softening, mean, std):
    return Scaling(softening, mean, std, [18.0] * 5, torch.eye(5).tolist(), STAMPS)


def test_scaling_is_numpys():
    random = torch.Generator().manual_seed(2)
    images = torch.randn(9, 5, 7, 7, generator=random) * 10.0 ** torch.randint(-6, 5, (9, 5, 7, 7), generator=random)
    images[0, 0, 0, :3] = torch.tensor([0.0, 1e-30, -1e-30])
    softening, mean, std = [0.01, 0.1, 1.0, 3.0, 50.0], [0.1, 0.2, -0.3, 0.4, 0.5], [0.5, 1.0, 1.5, 2.0, 2.5]
    wide = [np.array(values)[None, :, None, None] for values in (softening, mean, std)]
    expected = (np.arcsinh(images.double().numpy() / wide[0]) - wide[1]) / wide[2]
    np.testing.assert_allclose(scaling(softening, mean, std).pixels(images), expected, rtol=1e-6, atol=1e-6)


def test_scaling_is_undone():
    images = torch.randn(4, 5, 8, 8, generator=torch.Generator().manual_seed(2)).half()
    there = scaling([0.1] * 5, [0.5] * 5, [0.7] * 5)
    torch.testing.assert_close(there.unscale_pixels(there.pixels(images)), images.float(), atol=1e-5, rtol=1e-5)


def test_what_is_not_finite_stays_so():
    images = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0]).view(1, 1, 2, 2)
    scaled = scaling([1.0], [0.0], [1.0]).pixels(images).flatten()
    assert scaled[0].isnan() and not scaled[1:3].isfinite().any()
    assert scaled[3] == pytest.approx(np.arcsinh(1.0), abs=1e-6)
