"""The CPU's resampling of views against torch's."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from astromae.training.bicubic import _widen, resample


@pytest.mark.parametrize("size", [48, 33, 32])
@pytest.mark.parametrize("threads", [1, 2])
def test_resampling_is_torchs(size, threads, monkeypatch):
    random = torch.Generator().manual_seed(size)
    n, crop = 23, 32
    images = torch.randn(n, 5, size, size, generator=random).half()
    angle = math.pi * (2 * torch.rand(n, generator=random) - 1)
    maps = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(n, 2, 2)
    maps[::2, :, 0] *= -1
    grid = F.affine_grid(F.pad(maps * (crop / size), (0, 1)), [n, 1, crop, crop], align_corners=False)
    expected = F.grid_sample(images.float(), grid, "bicubic", "zeros", align_corners=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    # Positions in float32 are good to 1e-5 of a pixel, and neighbours here differ by several units.
    torch.testing.assert_close(resample(images, maps, crop), expected, atol=2e-4, rtol=0)


def test_identity_is_the_central_crop():
    images = torch.randn(3, 5, 40, 40, generator=torch.Generator().manual_seed(0)).half()
    still = torch.eye(2).expand(3, 2, 2)
    torch.testing.assert_close(resample(images, still, 32), images[..., 4:36, 4:36].float(), atol=1e-5, rtol=0)


def test_a_nan_stays_in_its_stamp():
    images = torch.zeros(2, 5, 40, 40).half()
    images[0, 2, 20, 20] = torch.nan
    views = resample(images, torch.eye(2).expand(2, 2, 2), 32)
    assert views[0, 2].isnan().any()
    assert not views[1].isnan().any() and not views[0, 3].isnan().any()


def test_an_empty_batch_is_empty():
    assert resample(torch.zeros(0, 5, 40, 40).half(), torch.zeros(0, 2, 2), 32).shape == (0, 5, 32, 32)


def test_every_half_is_read():
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.uint16)
    halves = bits.view(torch.float16)
    pixels = torch.empty(2**16)
    _widen(bits.numpy(), pixels.numpy(), pixels.numpy().view(np.uint32))
    torch.testing.assert_close(pixels, halves.float(), rtol=0, atol=0, equal_nan=True)
