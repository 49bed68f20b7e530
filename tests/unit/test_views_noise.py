"""The pixel noise of views against that of the stamps that are evaluated."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astromae.training.parallel import Share
from astromae.training.scaling import Scaling
from astromae.training.sources import ResidentStamps
from astromae.training.views import KEYS_SQUARES, Views, lost_variance, pixel_noise, random_maps, turn
from scipy import stats
from training_inputs import AUGMENTATION, STAMPS

#: Noise of each band, nanomaggies a pixel, as of real stamps; and a scaling that is linear for it.
NOISE = [0.043, 0.017, 0.028, 0.044, 0.173]
LINEAR = Scaling([1e3] * 5, [0.0] * 5, [1.0] * 5, [0.0] * 5, np.eye(5).tolist(), STAMPS)


def noise_of(kind, n=1200):
    """Draw stamps (n, 5, 48, 48) of noise, white or resampled with a Lanczos kernel as a survey's stamps are."""
    random = np.random.default_rng(4)
    noise = random.normal(size=(n, 5, 54, 54)) * np.array(NOISE)[:, None, None]
    if kind == "lanczos3":
        taps = np.arange(-2, 4)
        for axis in (2, 3):
            weights = [np.sinc(taps - s) * np.sinc((taps - s) / 3) for s in random.uniform(size=n)]
            weights = np.array(weights) / np.sum(weights, axis=1, keepdims=True)
            rolled = [np.roll(noise, -tap, axis) * weights[:, i, None, None, None] for i, tap in enumerate(taps)]
            noise = sum(rolled)
    return torch.from_numpy(noise[:, :, 2:50, 2:50].astype(np.float16))


def views_of(stamps, **changes):
    return Views(ResidentStamps(stamps), LINEAR, AUGMENTATION.model_copy(update=changes), 32, 0.0, 256, 7)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("kind", ["white", "lanczos3"])
def test_views_are_as_noisy_as_evaluated_stamps(kind, interpolation):
    views = views_of(noise_of(kind), interpolation=interpolation)
    seen = torch.cat([view for _, _, view in views.epoch(0)]).std(dim=(0, 2, 3))
    evaluated = torch.cat([stamps for _, _, stamps in views.plain()]).std(dim=(0, 2, 3))
    # Without what is added back, 0.86 of the white noise with the bicubic kernel.
    torch.testing.assert_close(seen / evaluated, torch.ones(5), atol=0.02, rtol=0)


def test_noise_is_even_over_the_view():
    views = views_of(noise_of("white", 3000), rotation_deg=2.0)
    noise = 1e3 * torch.cat([view for _, _, view in views.epoch(0)]) / torch.tensor(NOISE)[:, None, None]
    blocks = noise.unflatten(2, (8, 4)).unflatten(4, (8, 4)).std(dim=(0, 1, 3, 5))
    torch.testing.assert_close(blocks, torch.ones(8, 8), atol=0.02, rtol=0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_lost_variance_is_what_resampling_takes(interpolation):
    stamps = torch.randn(1, 4000, 48, 48, generator=torch.Generator().manual_seed(1)).reshape(800, 5, 48, 48)
    maps = random_maps(1, AUGMENTATION, torch.Generator().manual_seed(2)).expand(800, 2, 2)
    kept = turn(stamps, maps, 32, interpolation).square().mean(dim=(0, 1))
    lost = lost_variance(maps[:1], 32, 48, interpolation)[0]
    torch.testing.assert_close(1 - lost, kept, atol=6 * (2 / 4000) ** 0.5, rtol=0)


def test_sum_of_squared_weights_is_the_kernel_s():
    t = np.linspace(0, 1, 21)
    near, far = (lambda x: (1.25 * x - 2.25) * x**2 + 1), (lambda x: ((-0.75 * x + 3.75) * x - 6) * x + 3)
    u = t * (1 - t)
    expected = far(1 + t) ** 2 + near(t) ** 2 + near(1 - t) ** 2 + far(2 - t) ** 2
    np.testing.assert_allclose(1 + KEYS_SQUARES[0] * u**2 + KEYS_SQUARES[1] * u**3, expected, atol=1e-12)


def test_nothing_is_added_where_nothing_was_lost():
    stamps = noise_of("white", 8)
    still = views_of(stamps, rotation_deg=0.0, flips=False)
    ((_, positions, view),) = still.epoch(0)
    ((_, _, plain),) = still.plain()
    torch.testing.assert_close(view, plain[positions], atol=1e-5, rtol=1e-3)


def test_corners_beyond_the_stamp_stay_empty():
    ((_, _, view),) = views_of(noise_of("white", 64)[..., 8:40, 8:40], rotate_before_crop=False).epoch(0)
    assert (view[:, :, 0, 0] == 0).all(dim=1).any()


def test_noise_is_found_beside_a_galaxy_and_its_neighbour():
    stamps = noise_of("white", 64).float()
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    stamps += 5 * torch.exp(-torch.hypot(y - 23.5, x - 23.5) / 3) + 3 * torch.exp(-((y - 1) ** 2 + (x - 9) ** 2) / 6)
    torch.testing.assert_close(pixel_noise(stamps).mean(dim=0), torch.tensor(NOISE), atol=0, rtol=0.1)


def test_noise_is_that_of_the_whole_batch_whichever_part_a_process_has():
    stamps, noisy = noise_of("white", 64), {"noise_sigma": 0.3}
    whole = replace(views_of(stamps), **noisy).view(stamps, 0, 0, 64)
    parts = [
        replace(views_of(stamps), share=(share := Share(rank, 2)), **noisy).view(stamps[share.of(64)], 0, 0, 64)
        for rank in range(2)
    ]
    torch.testing.assert_close(torch.cat(parts), whole)
    noise = (whole - views_of(stamps).view(stamps, 0, 0, 64)).flatten()
    assert stats.kstest(noise / 0.3, "norm").pvalue > 0.001
    between = np.corrcoef(noise.view(64, -1))[np.triu_indices(64, 1)]
    assert abs(between).max() < 5.5 / (5 * 32 * 32) ** 0.5
