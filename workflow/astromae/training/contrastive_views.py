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
from astromae.training.extinction import DereddenedStamps, extinction_of, transmission
from astromae.training.recipes import EncoderRecipe
from astromae.training.seeding import generator
from astromae.training.transfer import constants
from astromae.training.views import NORMAL_MAD, Views, random_maps, turn


@dataclass(kw_only=True)
class ContrastiveViews(Views):
    """Batches of one subset's stamps, changed as `galaxy_views` says.

    Attributes
    ----------
    galaxy_views
        Which changes, and how large.
    softening_sigma
        Softening of the scaling in units of the sky's noise, which follows from both.
    purpose
        What its random numbers are for; each purpose has its own.
    """

    galaxy_views: GalaxyViews
    softening_sigma: float
    purpose: str = "galaxy views"

    def view(self, stamps: Tensor | None, epoch: int, batch: int, n: int, number: int = 0) -> Tensor | None:
        """Return one view (part, bands, crop, crop), float32, of this process's stamps of a batch of `n`.

        Noise comes last and is Gaussian. Reddening dims the stamp's own; resampling and blurring smooth it.
        """
        if stamps is None or not len(stamps):
            return stamps
        given, own = self.galaxy_views, self.share.of(n)
        random = generator(self.seed, self.purpose, epoch, batch, number, device=stamps.device)
        bands = stamps.shape[1]

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

        if given.seeing_arcsec is not None:
            to_px = 1 / (FWHM * self.scaling.stamps.pixel_scale_arcsec)
            target = uniform(given.seeing_arcsec, bands)
            sigma = (target.square() - given.stamp_seeing_arcsec**2).clamp_min(0).sqrt() * to_px
            largest = math.sqrt(max(0.0, given.seeing_arcsec[1] ** 2 - given.stamp_seeing_arcsec**2)) * to_px
            kernel = kernels(sigma.flatten(), largest).view(len(stamps), bands, -1)
            view = blur(view, kernel)
        if given.ebv_max > 0:
            through = transmission(extinction_of(uniform((0.0, given.ebv_max)), self.scaling.bands))[:, :, None, None]
            view = view * through
        if given.noise is not None:
            softening = constants(tuple(self.scaling.softening), torch.float32, stamps.device)
            deviation = softening / self.softening_sigma
            added = uniform(given.noise, bands) * deviation / NORMAL_MAD
            view = view.addcmul_(self._noise(view, n, random), added[:, :, None, None])
        return self.scaling.pixels(view)


def galaxy_views(observed: Views, recipe: EncoderRecipe, purpose: str, excess: Tensor | None) -> ContrastiveViews:
    """Return the views by which a recipe's objective changes galaxies.

    Parameters
    ----------
    observed
        Their stamps.
    recipe
        A recipe with `galaxy_views`.
    purpose
        What the random numbers are for.
    excess
        Colour excess E(B-V) of each galaxy (n,), mag, to be taken away; None where `deredden` is off.
    """
    given, bands = recipe.galaxy_views, observed.scaling.bands
    stamps = (
        observed.stamps if excess is None else DereddenedStamps(observed.stamps, extinction_of(excess, bands).float())
    )
    sky = {"galaxy_views": given, "softening_sigma": recipe.scaling.softening_sigma, "purpose": purpose}
    return ContrastiveViews(**{**vars(observed), "stamps": stamps}, **sky)
