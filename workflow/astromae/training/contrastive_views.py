"""Views of galaxies for contrastive objectives: each another sky, seeing and position on the detector.

Hayat et al. 2021 (extinction, rotation, jitter, noise); sizes and seeing as Stein et al. 2022 vary them. All is done to
linear flux, on the device, for a whole batch at once.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from astromae.settings.galaxy_views import GalaxyViews
from astromae.settings.training import Augmentation
from astromae.training.blur import FWHM, blur, kernels
from astromae.training.extinction import extinction_of, transmission
from astromae.training.seeding import generator
from astromae.training.views import NORMAL_MAD, Views, lost_variance, pixel_noise, random_maps, turn


@dataclass(kw_only=True)
class ContrastiveViews(Views):
    """Batches of one subset's stamps, changed as `galaxy_views` says.

    Attributes
    ----------
    galaxy_views
        Which changes, and how large.
    softening_sigma
        Softening of the scaling in units of the sky's noise, which follows from both.
    """

    galaxy_views: GalaxyViews
    softening_sigma: float

    def view(self, stamps: Tensor | None, epoch: int, batch: int, n: int, number: int = 0) -> Tensor | None:
        """Return one view (part, bands, crop, crop), float32, of this process's stamps of a batch of `n`.

        Noise of a view is Gaussian, and brings what reddening, resampling and blurring have left of the stamp's own
        up to the noise that was drawn for it, at least to the stamp's own.
        """
        if stamps is None or not len(stamps):
            return stamps
        given, own = self.galaxy_views, self.share.of(n)
        random = generator(self.seed, "galaxy views", epoch, batch, number, device=stamps.device)
        bands, size = stamps.shape[1], stamps.shape[-1]

        def uniform(limits: tuple[float, float], *shape: int) -> Tensor:
            low, high = limits
            return (low + (high - low) * torch.rand(n, *shape, generator=random, device=stamps.device))[own]

        rotation = Augmentation(rotation_deg=given.rotation_deg, flips=given.flips, interpolation=given.interpolation)
        maps, shifts = random_maps(n, rotation, random)[own], None
        if given.scale is not None:
            maps = maps / uniform(given.scale)[:, None, None]
        if given.jitter_px:
            limit, shape = given.jitter_px, (n, 2)
            shifts = torch.randint(-limit, limit + 1, shape, generator=random, device=stamps.device)[own].float()
        view = turn(stamps, maps, self.crop, given.interpolation, shifts)
        before = pixel_noise(stamps).square()
        kept = 1 - lost_variance(maps, self.crop, size, given.interpolation, shifts)[:, None]  # (n, 1, crop, crop)
        kept = kept * before[:, :, None, None]

        if given.seeing_arcsec is not None:
            to_px = 1 / (FWHM * self.scaling.stamps.pixel_scale_arcsec)
            target = uniform(given.seeing_arcsec, bands)
            sigma = (target.square() - given.stamp_seeing_arcsec**2).clamp_min(0).sqrt() * to_px
            largest = math.sqrt(max(0.0, given.seeing_arcsec[1] ** 2 - given.stamp_seeing_arcsec**2)) * to_px
            kernel = kernels(sigma.flatten(), largest).view(len(stamps), bands, -1)
            view = blur(view, kernel)
            kept = kept * kernel.square().sum(dim=-1).square()[:, :, None, None]
        if given.ebv_max > 0:
            through = transmission(extinction_of(uniform((0.0, given.ebv_max)), self.scaling.bands))[:, :, None, None]
            view = view * through
            kept = kept * through.square()
        wanted = before
        if given.noise is not None:
            sky = torch.tensor(self.scaling.softening, device=stamps.device) / self.softening_sigma
            wanted = (uniform(given.noise, bands) * sky / NORMAL_MAD).square().maximum(before)
        added = (wanted[:, :, None, None] - kept).clamp_min_(0).sqrt_()
        return self.scaling.pixels(view.addcmul_(self._noise(view, n, random), added))
