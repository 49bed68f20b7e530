"""Rotation, flips and crop of a batch of stamps in one resampling."""

import numpy as np
import pytest
import torch
from astromae.training.views import turn
from scipy.ndimage import map_coordinates

STILL = torch.eye(2)


@pytest.mark.parametrize("size", [48, 33, 32])
def test_a_map_leads_from_the_view_to_the_stamp(size):
    """Against scipy's linear interpolation at positions that the map gives in pixels about the centres."""
    random = torch.Generator().manual_seed(size)
    images = torch.randn(7, 5, size, size, generator=random).half()
    angle = 3 * (2 * torch.rand(7, generator=random) - 1)
    maps = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(7, 2, 2)
    maps[::2, :, 0] *= -1
    views = turn(images, maps, 32, "bilinear")
    offsets = np.stack(np.meshgrid(np.arange(32) - 15.5, np.arange(32) - 15.5)).reshape(2, -1)
    for image, matrix, view in zip(images.float().numpy(), maps.double().numpy(), views.numpy(), strict=True):
        x, y = matrix @ offsets + (size - 1) / 2
        for band in range(5):
            expected = map_coordinates(image[band], [y, x], order=1, mode="grid-constant").reshape(32, 32)
            np.testing.assert_allclose(view[band], expected, atol=2e-4)


def test_identity_is_the_central_crop():
    images = torch.randn(3, 5, 40, 40, generator=torch.Generator().manual_seed(0)).half()
    views = turn(images, STILL.expand(3, 2, 2), 32, "bicubic")
    torch.testing.assert_close(views, images[..., 4:36, 4:36].float(), atol=1e-4, rtol=0)


def test_a_nan_stays_in_its_stamp():
    images = torch.zeros(2, 5, 40, 40).half()
    images[0, 2, 20, 20] = torch.nan
    views = turn(images, STILL.expand(2, 2, 2), 32, "bicubic")
    assert views[0, 2].isnan().any()
    assert not views[1].isnan().any() and not views[0, 3].isnan().any()
