"""Views of contrastive objectives: what each change does to the flux, the noise and the shape of a stamp."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astromae.settings.galaxy_views import EXTINCTION_PER_EBV, GalaxyViews
from astromae.training.blur import FWHM, blur, kernels
from astromae.training.contrastive_views import ContrastiveViews
from astromae.training.extinction import DereddenedStamps, excess_of, extinction_of, transmission
from astromae.training.parallel import WHOLE, Share
from astromae.training.scaling import Scaling
from astromae.training.sources import ResidentStamps
from scipy.ndimage import gaussian_filter
from training_inputs import BANDS, STAMPS

#: Noise of each band, nanomaggies a pixel, and a scaling by it.
NOISE = [0.043, 0.017, 0.028, 0.044, 0.173]
SOFTENING = 3.0
SCALING = Scaling([SOFTENING * sigma for sigma in NOISE], [0.0] * 5, [1.0] * 5, [0.0] * 5, np.eye(5).tolist(), STAMPS)
#: Nothing is changed.
OFF = GalaxyViews(deredden=False, ebv_max=0.0, rotation_deg=0.0, jitter_px=0, noise=None)


def on(**changes):
    return GalaxyViews.model_validate({**OFF.model_dump(), **changes})


def views_of(stamps, settings, batch_size=256, share=WHOLE, seed=7):
    common = {"augmentation": None, "crop": 32, "noise_sigma": 0.0, "batch_size": batch_size, "seed": seed}
    return ContrastiveViews(
        stamps=ResidentStamps(stamps),
        scaling=SCALING,
        share=share,
        galaxy_views=settings,
        softening_sigma=SOFTENING,
        **common,
    )


def fluxes(views, epoch=0, count=1):
    """Return positions and views of the first batch, in nanomaggies."""
    _, positions, found = next(views.several(epoch, 0, count))
    return positions, [SCALING.unscale_pixels(view) for view in found]


def spots(n, size=54, x=0.0, y=0.0, width=2.5):
    """Return noiseless stamps with a round spot off the centre, float32."""
    at = torch.arange(size) - (size - 1) / 2
    spot = torch.exp(-((at - x) ** 2 + (at[:, None] - y) ** 2) / (2 * width**2))
    return spot.expand(n, 5, size, size).contiguous()


def centroid(images):
    """Return x and y of the flux's centre from the image's, pixels, in the third band."""
    image = images[:, 2]
    axis = torch.arange(image.shape[-1]) - (image.shape[-1] - 1) / 2
    total = image.sum(dim=(1, 2))
    return (image.sum(dim=1) * axis).sum(dim=1) / total, (image.sum(dim=2) * axis).sum(dim=1) / total


def noise_of(n, size=54):
    random = torch.Generator().manual_seed(3)
    return (torch.randn(n, 5, size, size, generator=random) * torch.tensor(NOISE)[:, None, None]).half()


# Extinction


def test_coefficients_are_those_of_schlafly_and_finkbeiner():
    """The fractions of the flux that E(B-V) = 0.5 lets through, from Hayat et al.'s released code."""
    through = transmission(extinction_of(torch.tensor([0.0, 0.5], dtype=torch.float64), BANDS))
    expected = torch.tensor([[1.0] * 5, [0.14197, 0.21847, 0.34914, 0.45751, 0.55898]], dtype=torch.float64)
    torch.testing.assert_close(through, expected, atol=5e-6, rtol=0)


def test_reddening_shifts_colours():
    ebv = torch.tensor([0.1, 0.3], dtype=torch.float64)
    magnitudes = -2.5 * transmission(extinction_of(ebv, BANDS)).log10()
    for a in range(5):
        for b in range(5):
            shift = ebv * (EXTINCTION_PER_EBV[BANDS[a]] - EXTINCTION_PER_EBV[BANDS[b]])
            torch.testing.assert_close(magnitudes[:, a] - magnitudes[:, b], shift, rtol=1e-12, atol=1e-12)


def test_what_was_reddened_is_dereddened():
    stamps = torch.rand(6, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    extinction = extinction_of(torch.linspace(0, 0.5, 6), BANDS)
    observed = ResidentStamps(stamps * transmission(extinction)[:, :, None, None])
    source = DereddenedStamps(observed, extinction)
    order = [torch.tensor([4, 1]), torch.tensor([5])]
    for positions, images in zip(order, source.batches(order), strict=True):
        torch.testing.assert_close(images, stamps[positions])
    assert len(source) == 6 and source.device == observed.device


def test_the_colour_excess_is_read_back_from_a_catalogue():
    """As Hayat et al. 2021 do: by the coefficients of the catalogue, which are not those that views are reddened by."""
    ebv = np.array([0.0, 0.03, 0.4])
    catalogue = ebv[:, None] * [5.155, 3.793, 2.751, 2.086, 1.479]
    np.testing.assert_allclose(excess_of(catalogue, BANDS), ebv, rtol=1e-12, atol=0)
    np.testing.assert_allclose(excess_of(catalogue[:, 1:3], BANDS[1:3]), ebv, rtol=1e-12, atol=0)


def test_another_extinction_is_another_source():
    stamps, extinction = ResidentStamps(torch.ones(2, 5, 4, 4).half()), extinction_of(torch.ones(2), BANDS)
    same, other = DereddenedStamps(stamps, extinction), DereddenedStamps(stamps, extinction * 1.01)
    assert same.identity().tolist() == DereddenedStamps(stamps, extinction.clone()).identity().tolist()
    assert same.identity().tolist() != other.identity().tolist()


def test_all_bands_of_a_view_are_reddened_by_one_excess():
    _, (view, other) = fluxes(views_of(spots(200), on(ebv_max=0.5)), count=2)
    through = view[:, :, 15, 15] / spots(1)[0, 0, 26, 26]
    ebv = -2.5 * through.log10() / torch.tensor([EXTINCTION_PER_EBV[band] for band in BANDS])
    torch.testing.assert_close(ebv, ebv[:, :1].expand(-1, 5), atol=1e-3, rtol=0)
    assert 0 <= ebv.min() + 1e-3 and ebv.max() < 0.501
    assert abs(ebv.mean() - 0.25) < 0.03
    assert not torch.equal(view, other)


# Shape


def test_nothing_is_changed_where_all_is_off():
    stamps = noise_of(20)
    positions, (view,) = fluxes(views_of(stamps, OFF))
    torch.testing.assert_close(view, stamps[positions, :, 11:43, 11:43].float(), atol=1e-4, rtol=1e-3)
    assert OFF.source_size(32) == 32 and on(jitter_px=3).source_size(32) == 38


def test_a_quarter_turn_is_exact(monkeypatch):
    """The rotation is drawn as its largest value, 90 degrees."""
    stamps = noise_of(6)
    monkeypatch.setattr(torch, "rand", lambda n, *shape, generator, device: torch.ones(n, *shape))
    positions, (view,) = fluxes(views_of(stamps, on(rotation_deg=90.0)))
    monkeypatch.undo()
    plain = stamps[positions, :, 11:43, 11:43].float()
    # Positions in float32 are good to 1e-5 of a pixel; the noise that this loses is added back.
    turned = torch.rot90(plain, 1, (2, 3))
    torch.testing.assert_close(view, turned, atol=5e-3, rtol=0)


def test_angles_and_shifts_are_even():
    settings = on(rotation_deg=180.0, jitter_px=3)
    _, (view,) = fluxes(views_of(spots(600, x=6.0), settings, 600))
    x, y = centroid(view)
    angle, radius = torch.atan2(y, x), torch.hypot(x, y)
    assert torch.bincount(((angle + torch.pi) / (torch.pi / 4)).long().clamp(0, 7), minlength=8).min() > 45
    # The spot comes from a square of shifts around its place: 6 px out, to 3 px either way along both axes.
    assert 1.7 < radius.min() and radius.max() < 6 + 3 * 2**0.5 + 0.1
    assert radius.std() > 1


def test_jitter_without_rotation_is_by_whole_pixels():
    stamps = noise_of(200)
    positions, (view,) = fluxes(views_of(stamps, on(jitter_px=2), 200))
    found = set()
    for position, image in zip(positions.tolist(), view, strict=True):
        for dx in range(-2, 3):
            for dy in range(-2, 3):
                part = stamps[position, :, 11 + dy : 43 + dy, 11 + dx : 43 + dx].float()
                if (part - image).abs().max() < 0.01:
                    found.add((dx, dy))
    assert len(found) == 25


def test_sizes_are_scaled_and_surface_brightness_is_kept():
    _, (view,) = fluxes(views_of(spots(300), on(scale=(0.8, 1.25)), 300))
    area = view[:, 2].sum(dim=(1, 2)) / spots(1)[0, 0].sum()
    assert 0.63 < area.min() < 0.7 and 1.45 < area.max() < 1.57
    torch.testing.assert_close(view.amax(dim=(2, 3)), torch.ones(300, 5), atol=0.08, rtol=0)
    assert on(scale=(0.8, 1.25), rotation_deg=180.0).source_size(32) >= 31 / 0.8 * 2**0.5


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_the_source_holds_every_view(interpolation):
    settings = on(rotation_deg=180.0, jitter_px=3, scale=(0.9, 1.1), interpolation=interpolation)
    size = settings.source_size(32)
    _, (view,) = fluxes(views_of(torch.ones(100, 5, size, size), settings, 100))
    torch.testing.assert_close(view, torch.ones(100, 5, 32, 32), atol=1e-4, rtol=0)
    _, (view,) = fluxes(views_of(torch.ones(300, 5, size - 8, size - 8), settings, 300))
    assert (view < 0.9).any(), "a smaller one does not"


def test_a_view_of_magnified_stamps_wants_no_fewer_pixels_than_the_crop():
    assert on(scale=(1.5, 2.0)).source_size(32) == 32


def test_validation_draws_from_numbers_of_its_own():
    views = views_of(noise_of(20), GalaxyViews(deredden=False))
    other = replace(views, purpose="validation views")
    assert not torch.equal(*(next(each.several(0, 0, 1))[2][0] for each in (views, other)))


def test_sizes_of_the_defaults_fit_sdss():
    assert GalaxyViews().source_size(32) == 54
    assert GalaxyViews(jitter_px=7).source_size(32) == 62
    assert GalaxyViews(jitter_px=7, interpolation="bilinear").source_size(64) == 106


# Seeing


def test_a_blur_is_a_gaussian_filter():
    sigma = torch.tensor([0.0, 0.7, 2.0], dtype=torch.float64)
    stamps = spots(3, size=40).double()[:, :1]
    blurred = blur(stamps, kernels(sigma, 2.0)[:, None])
    torch.testing.assert_close(blurred[0], stamps[0])
    for stamp, image, width in zip(stamps[1:, 0].numpy(), blurred[1:, 0].numpy(), sigma[1:].numpy(), strict=True):
        # A kernel that is averaged over pixels is wider than a sampled one by a twelfth of a square pixel.
        expected = gaussian_filter(stamp, (width**2 + 1 / 12) ** 0.5, mode="nearest", truncate=5)
        np.testing.assert_allclose(image, expected, atol=2e-3)


def test_a_blur_keeps_flux_and_adds_variance():
    sigma = torch.tensor([1.5], dtype=torch.float64)
    stamps = spots(1, size=61, width=2.0).double()
    blurred = blur(stamps, kernels(sigma, 1.5)[:, None].expand(1, 5, -1))
    torch.testing.assert_close(blurred.sum(dim=(2, 3)), stamps.sum(dim=(2, 3)), rtol=1e-6, atol=0)
    axis = torch.arange(61.0, dtype=torch.float64) - 30
    for direction in (2, 3):
        profiles = [images[0, 0].sum(dim=direction - 2) for images in (stamps, blurred)]
        before, after = ((p * axis.square()).sum() / p.sum() for p in profiles)
        assert (after - before).item() == pytest.approx(1.5**2 + 1 / 12, rel=5e-3)


def test_views_have_the_seeing_that_was_drawn():
    """A star of the stamps' own seeing becomes one of 2 arcsec, by the difference in quadrature."""
    to_px = 1 / (FWHM * STAMPS.pixel_scale_arcsec)
    stars = spots(8, width=1.32 * to_px)
    _, (view,) = fluxes(views_of(stars, on(seeing_arcsec=(2.0, 2.0))))
    axis = torch.arange(32) - 15.5
    profile = view[:, 2].sum(dim=1)
    width = ((profile * axis.square()).sum(dim=1) / profile.sum(dim=1)).sqrt()
    torch.testing.assert_close(width / to_px, torch.full((8,), 2.0), atol=0.05, rtol=0)
    positions, (view,) = fluxes(views_of(stars, on(seeing_arcsec=(0.5, 1.0))))
    # No view is sharper than its stamp.
    torch.testing.assert_close(view, stars[positions, :, 11:43, 11:43], atol=1e-4, rtol=0)


# Noise


def spread(view):
    return view.std(dim=(0, 2, 3)) / torch.tensor(NOISE)


@pytest.mark.parametrize("changes", [{"rotation_deg": 180.0}, {"seeing_arcsec": (1.4, 2.0)}, {"ebv_max": 0.5}])
def test_other_changes_add_no_noise(changes):
    _, (view,) = fluxes(views_of(noise_of(300), on(**changes), 300))
    assert (spread(view) < 0.97).all()


def test_noise_is_added_in_quadrature():
    """In units of the median absolute deviation, which is 0.6745 of the standard deviation."""
    for level in (0.5, 3.0):
        expected = torch.full((5,), (1 + (0.6745 * level) ** 2) ** 0.5)
        _, (view,) = fluxes(views_of(noise_of(400), on(noise=(level, level)), 400))
        torch.testing.assert_close(spread(view), expected, atol=0.03, rtol=0)
    _, (view,) = fluxes(views_of(noise_of(400), on(noise=(1.0, 3.0)), 400))
    levels = view.std(dim=(2, 3)) / torch.tensor(NOISE)
    added = (levels.square() - 1).sqrt() / 0.6745
    assert 0.9 < added.quantile(0.03) < 1.2 and 2.8 < added.quantile(0.97) < 3.1
    assert abs(np.corrcoef(levels.T)[np.triu_indices(5, 1)]).max() < 0.2


# Draws

ALL = GalaxyViews(deredden=False, scale=(0.9, 1.1), seeing_arcsec=(1.0, 2.0), flips=True)


def test_views_depend_on_seed_epoch_batch_and_number_alone():
    stamps = noise_of(40, ALL.source_size(32))

    def epoch(seed, number, first=0):
        views = views_of(stamps, ALL, 16, seed=seed)
        return [view for _, _, several in views.several(number, first, 2) for view in several]

    first = epoch(1, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, epoch(1, 3), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first[2:], epoch(1, 3, 1), strict=True))
    for other in (epoch(1, 4), epoch(2, 3)):
        assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])


def test_processes_have_their_parts_of_one_batch():
    stamps = noise_of(15, ALL.source_size(32))
    whole = views_of(stamps, ALL)
    expected = whole.view(stamps, 2, 1, 15, 1)
    parts = [replace(whole, share=(share := Share(r, 2))).view(stamps[share.of(15)], 2, 1, 15, 1) for r in range(2)]
    torch.testing.assert_close(torch.cat(parts), expected)
