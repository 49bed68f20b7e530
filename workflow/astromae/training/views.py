"""Views: augmented, scaled batches of stamps, each determined by seed, epoch and batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from astromae.settings.training import Augmentation
from astromae.training.parallel import WHOLE, Share
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator
from astromae.training.sources import StampSource

#: Standard deviation of a normal distribution over the median of its absolute values.
NORMAL_MAD = 1.4826

#: Coefficients of u^2 and u^3 in the sum of the squares of the bicubic kernel's four weights, where u = t (1 - t) for a
#: position t between two pixels: exact for Keys' kernel with torch's parameter, -3/4.
KEYS_SQUARES = -27 / 8, -17 / 4


def random_maps(n: int, augmentation: Augmentation, random: torch.Generator) -> Tensor:
    """Draw the rotation and the flips of every stamp of a batch.

    Parameters
    ----------
    n
        Number of stamps.
    augmentation
        The configuration's section `augmentation`: rotation by up to `rotation_deg` either way,
        `flips` along both axes with probability one half each.
    random
        Source of angles and flips.

    Returns
    -------
    Tensor
        Matrices (n, 2, 2) from offsets (x, y) in the view to offsets in the stamp, on the generator's device.
    """
    device = random.device
    angle = (2 * torch.rand(n, generator=random, device=device) - 1) * math.radians(augmentation.rotation_deg)
    flip_x, flip_y = torch.ones(2, n, device=device)
    if augmentation.flips:
        flip_x, flip_y = 1.0 - 2 * torch.randint(0, 2, (2, n), generator=random, device=device)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * flip_x, -sin * flip_y, sin * flip_x, cos * flip_y], dim=1).view(n, 2, 2)


def offsets(maps: Tensor, crop: int, shifts: Tensor | None = None) -> Tensor:
    """Return where the pixels of views lie in their stamps, as offsets from the centre, pixels.

    Parameters
    ----------
    maps
        Matrices (n, 2, 2), from `random_maps`.
    crop
        Pixels on a side of a view.
    shifts
        Offsets (n, 2) in x and y of the view's centre from the stamp's, pixels; None for none.

    Returns
    -------
    Tensor
        Shape (n, x or y, crop, crop).
    """
    axis = torch.arange(crop, device=maps.device, dtype=maps.dtype) - (crop - 1) / 2
    at = maps[:, :, :1, None] * axis + maps[:, :, 1:, None] * axis[:, None]
    return at if shifts is None else at + shifts[:, :, None, None]


def turn(images: Tensor, maps: Tensor, crop: int, interpolation: str, shifts: Tensor | None = None) -> Tensor:
    """Rotate and flip a whole batch in one resampling, and crop it.

    Parameters
    ----------
    images
        Stamps (n, bands, size, size), nanomaggies a pixel; at least `Augmentation.source_size` on a side.
    maps
        Matrices (n, 2, 2), from `random_maps`.
    crop
        Pixels on a side of the result.
    interpolation
        Of the resampling: nearest, bilinear or bicubic.
    shifts
        Offsets (n, 2) in x and y of the view's centre from the stamp's, pixels; None for none.

    Returns
    -------
    Tensor
        Shape (n, bands, crop, crop), float32.
    """
    # From -1 to 1 between a stamp's edges. torch's affine_grid makes the same by a product of matrices that are too
    # small for one, which takes a quarter of the time of the whole resampling.
    grid = (offsets(maps, crop, shifts) * (2 / images.shape[-1])).permute(0, 2, 3, 1)
    return F.grid_sample(images.float(), grid, interpolation, "zeros", align_corners=False)


def pixel_noise(images: Tensor) -> Tensor:
    """Estimate the white part of the pixel noise of stamps (n, bands, size, size): deviations (n, bands), float32.

    From the differences between the outermost pixels and their inner neighbours, which galaxies hardly reach; the
    median passes over companions.
    """
    x = images.float()
    steps = [x[..., a, :] - x[..., b, :] for a, b in ((0, 1), (-1, -2))]
    steps += [x[..., a] - x[..., b] for a, b in ((0, 1), (-1, -2))]
    return torch.cat(steps, dim=-1).abs().median(dim=-1).values * (NORMAL_MAD / math.sqrt(2))


def lost_variance(maps: Tensor, crop: int, size: int, interpolation: str) -> Tensor:
    """Return the fraction of white noise's variance that resampling takes from each pixel of a view.

    A pixel is a sum of pixels with weights that add up to one; their squares add up to less, by how much depends on
    where between the pixels it lies. Neighbours that are correlated keep more: `pixel_noise` then finds less noise,
    and the product of the two is right to first order in their correlation.

    Parameters
    ----------
    maps, crop, interpolation
        As for `turn`.
    size
        Pixels on a side of the stamps.

    Returns
    -------
    Tensor
        Shape (n, crop, crop); zero where a view shows nothing of its stamp.
    """
    from_centre, reach = offsets(maps, crop), (size - 1) / 2
    at = from_centre + reach
    t = at - at.floor()
    if interpolation == "bilinear":
        kept = t.square() + (1 - t).square()
    elif interpolation == "bicubic":
        u = t * (1 - t)
        kept = 1 + u.square() * (KEYS_SQUARES[0] + KEYS_SQUARES[1] * u)
    else:
        kept = torch.ones_like(t)
    inside = from_centre.abs().amax(dim=1) <= reach
    return (1 - kept[:, 0] * kept[:, 1]).clamp_(min=0) * inside


def centre(images: Tensor, crop: int) -> Tensor:
    """Return the central `crop` pixels of images (n, bands, size, size)."""
    start = (images.shape[-1] - crop) // 2
    return images[..., start : start + crop, start : start + crop]


def batches(n: int, batch_size: int) -> list[range]:
    """Deal `n` positions to batches of nearly equal size, none larger than `batch_size`.

    A small last batch would give BatchNorm noisy statistics and its galaxies a larger weight.
    """
    count = max(1, -(-n // batch_size))
    edges = [n * k // count for k in range(count + 1)]
    return [range(a, b) for a, b in pairwise(edges)]


@dataclass
class Views:
    """Batches of one subset's stamps.

    Attributes
    ----------
    stamps
        Where the stamps come from; `Augmentation.source_size` pixels on a side. Views of `NoStamps` are None.
    scaling, augmentation, crop, noise_sigma
        How stamps become views; the noise is Gaussian, in scaled pixels.
    batch_size
        Largest number of stamps in a batch.
    seed
        Seed of the order and of the augmentation.
    share
        Which part of every batch is this process's.
    """

    stamps: StampSource
    scaling: Scaling
    augmentation: Augmentation
    crop: int
    noise_sigma: float
    batch_size: int
    seed: int
    share: Share = WHOLE

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(batches(len(self.stamps), self.batch_size))

    def order(self, epoch: int) -> list[Tensor]:
        """Return the positions (on the CPU) of each batch of an epoch."""
        order = torch.randperm(len(self.stamps), generator=generator(self.seed, "order", epoch))
        return [order[b.start : b.stop] for b in batches(len(order), self.batch_size)]

    def view(self, stamps: Tensor | None, epoch: int, batch: int, n: int, number: int = 0) -> Tensor | None:
        """Return one augmented view (part, bands, crop, crop), float32, of this process's stamps of a batch of `n`.

        What resampling takes from the pixel noise is added back as Gaussian noise, so that networks are trained on
        stamps as noisy as those that they are tested on.
        """
        if stamps is None or not len(stamps):
            return stamps
        random = generator(self.seed, "augment", epoch, batch, *[number] * (number > 0), device=stamps.device)
        interpolation = self.augmentation.interpolation
        maps = random_maps(n, self.augmentation, random)[self.share.of(n)]
        view = turn(stamps, maps, self.crop, interpolation)
        lost = lost_variance(maps, self.crop, stamps.shape[-1], interpolation).sqrt_()
        noise = self._noise(view, n, random) * lost[:, None]
        view.addcmul_(noise, pixel_noise(stamps)[:, :, None, None])
        scaled = self.scaling.pixels(view)
        return scaled.add_(self._noise(view, n, random), alpha=self.noise_sigma) if self.noise_sigma else scaled

    def _noise(self, view: Tensor, n: int, random: torch.Generator) -> Tensor:
        """Draw normal noise for a batch of `n`, and return this process's part of it, as large as `view`."""
        return torch.randn((n, *view.shape[1:]), generator=random, device=view.device)[self.share.of(n)]

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """Yield number, positions (on the CPU) and this process's view of every batch of an epoch from `first` on."""
        for batch, positions, (view,) in self.several(epoch, first, 1):
            yield batch, positions, view

    def several(
        self, epoch: int, first: int, count: int, step: int = 1
    ) -> Iterator[tuple[int, Tensor, list[Tensor | None]]]:
        """Yield as `epoch` does, with `count` views of every stamp, the first of which is that of `epoch`.

        Of the batches only every `step`-th.
        """
        order = self.order(epoch)[first::step]
        own = [positions[self.share.of(len(positions))] for positions in order]
        for index, (positions, stamps) in enumerate(zip(order, self.stamps.batches(own), strict=True)):
            batch = first + index * step
            n = len(positions)
            yield batch, positions, [self.view(stamps, epoch, batch, n, number) for number in range(count)]

    def plain(self, first: int = 0, step: int = 1) -> Iterator[tuple[slice, int, Tensor | None]]:
        """Yield stamps in order, batch by batch, cropped and scaled but not augmented.

        Parameters
        ----------
        first, step
            Which batches: every `step`-th, from the `first` on.

        Yields
        ------
        tuple
            Positions and number of a batch's stamps, and the stamps (n, bands, crop, crop).
        """
        wanted = batches(len(self.stamps), max(self.batch_size, 256))[first::step]
        order = [torch.arange(batch.start, batch.stop) for batch in wanted]
        for batch, stamps in zip(wanted, self.stamps.batches(order), strict=True):
            images = None if stamps is None else self.scaling.pixels(centre(stamps, self.crop))
            yield slice(batch.start, batch.stop), len(batch), images
