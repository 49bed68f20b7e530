"""Views: augmented, scaled batches of stamps, each determined by seed, epoch and batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from astromae.training.bicubic import resample
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator
from astromae.training.sources import StampSource

#: Whole pixels that a resampling kernel reads beyond the two that enclose a position.
KERNEL_MARGIN = {"nearest": 0, "bilinear": 0, "bicubic": 1}


def source_size(crop: int, augmentation: dict[str, Any]) -> int:
    """Return how many pixels on a side a stamp must have so that no corner of a rotated crop is empty."""
    if not augmentation["rotate_before_crop"]:
        return crop
    angle = math.radians(min(augmentation["rotation_deg"], 45.0))
    # The centre of a corner pixel comes this far out, and the kernel reads pixels beyond it.
    reach = (crop - 1) / 2 * (math.cos(angle) + math.sin(angle)) + KERNEL_MARGIN[augmentation["interpolation"]]
    size = math.ceil(2 * reach + 1)
    return size + (size - crop) % 2


def augment(images: Tensor, crop: int, augmentation: dict[str, Any], random: torch.Generator) -> Tensor:
    """Rotate and flip a whole batch in one resampling, and crop it.

    Parameters
    ----------
    images
        Stamps (n, 5, size, size), nanomaggies a pixel; at least `source_size` on a side.
    crop
        Pixels on a side of the result.
    augmentation
        The configuration's section `augmentation`: rotation by up to `rotation_deg` either way,
        `flips` along both axes with probability one half each, `interpolation` of the resampling.
    random
        Source of angles and flips, on the images' device.

    Returns
    -------
    Tensor
        Shape (n, 5, crop, crop), float32.
    """
    n, _, size, _ = images.shape
    device = images.device
    angle = (2 * torch.rand(n, generator=random, device=device) - 1) * math.radians(augmentation["rotation_deg"])
    flip_x, flip_y = torch.ones(2, n, device=device)
    if augmentation["flips"]:
        flip_x, flip_y = 1.0 - 2 * torch.randint(0, 2, (2, n), generator=random, device=device)
    cos, sin = angle.cos(), angle.sin()
    maps = torch.stack([cos * flip_x, -sin * flip_y, sin * flip_x, cos * flip_y], dim=1).view(n, 2, 2)
    if augmentation["interpolation"] == "bicubic" and device.type == "cpu":
        return resample(images, maps, crop)
    theta = F.pad(maps * (crop / size), (0, 1))  # (n, 2, 3): no translation
    grid = F.affine_grid(theta, [n, 1, crop, crop], align_corners=False)
    return F.grid_sample(images.float(), grid, augmentation["interpolation"], "zeros", align_corners=False)


def centre(images: Tensor, crop: int) -> Tensor:
    """Return the central `crop` pixels of images (n, 5, size, size)."""
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
        Where the stamps come from; `source_size` pixels on a side.
    scaling, augmentation, crop, noise_sigma
        How stamps become views; the noise is Gaussian, in scaled pixels.
    batch_size
        Largest number of stamps in a batch.
    seed
        Seed of the order and of the augmentation.
    """

    stamps: StampSource
    scaling: Scaling
    augmentation: dict[str, Any]
    crop: int
    noise_sigma: float
    batch_size: int
    seed: int

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(batches(len(self.stamps), self.batch_size))

    def order(self, epoch: int) -> list[Tensor]:
        """Return the positions (on the CPU) of each batch of an epoch."""
        order = torch.randperm(len(self.stamps), generator=generator(self.seed, "order", epoch))
        return [order[b.start : b.stop] for b in batches(len(order), self.batch_size)]

    def view(self, stamps: Tensor, epoch: int, batch: int) -> Tensor:
        """Return the augmented view (n, 5, crop, crop), float32, of a batch's stamps."""
        random = generator(self.seed, "augment", epoch, batch, device=stamps.device)
        scaled = self.scaling.pixels(augment(stamps, self.crop, self.augmentation, random))
        if self.noise_sigma:
            noise = torch.randn(scaled.shape, generator=random, device=stamps.device)
            scaled.add_(noise, alpha=self.noise_sigma)
        return scaled

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield number, positions (on the CPU) and view of every batch of an epoch from `first` on."""
        order = self.order(epoch)[first:]
        for batch, (positions, stamps) in enumerate(zip(order, self.stamps.batches(order), strict=True), first):
            yield batch, positions, self.view(stamps, epoch, batch)

    def plain(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield every stamp once in order, cropped and scaled but not augmented, with its position."""
        parts = batches(len(self.stamps), max(self.batch_size, 256))
        order = [torch.arange(b.start, b.stop) for b in parts]
        for b, stamps in zip(parts, self.stamps.batches(order), strict=True):
            yield slice(b.start, b.stop), self.scaling.pixels(centre(stamps, self.crop))
