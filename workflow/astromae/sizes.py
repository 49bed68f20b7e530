"""Sizes that follow from the configuration, for its check and for the networks alike."""

import math
from collections.abc import Mapping
from typing import Any

#: Whole pixels that a resampling kernel reads beyond the two that enclose a position.
KERNEL_MARGIN = {"nearest": 0, "bilinear": 0, "bicubic": 1}


def source_size(crop: int, augmentation: Mapping[str, Any]) -> int:
    """Return how many pixels on a side a stamp must have so that no corner of a rotated crop is empty."""
    if not augmentation["rotate_before_crop"] or augmentation["rotation_deg"] == 0:
        return crop
    angle = math.radians(min(augmentation["rotation_deg"], 45.0))
    # The centre of a corner pixel comes this far out, and the kernel reads pixels beyond it.
    reach = (crop - 1) / 2 * (math.cos(angle) + math.sin(angle)) + KERNEL_MARGIN[augmentation["interpolation"]]
    size = math.ceil(2 * reach + 1)
    return size + (size - crop) % 2


def visible_patches(length: int, mask_ratio: float) -> int:
    """Return how many of a stamp's `length` patches stay visible when the fraction `mask_ratio` is hidden."""
    return round(length * (1 - mask_ratio))
