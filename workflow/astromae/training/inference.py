"""A network that is asked and no longer trained: where it runs, and how it sees stamps."""

import contextlib
from dataclasses import dataclass

import torch

from astromae.training.memory import keep_freed_memory
from astromae.training.precision import choose_precision, require_gpu
from astromae.training.recipes import Recipe
from astromae.training.scaling import Scaling
from astromae.training.sources import StampSource
from astromae.training.views import Views

#: Types of mixed precisions.
_MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Inference:
    """Device, precision and scaling of a trained network, as in its training.

    Attributes
    ----------
    recipe, seed, scaling
        What it was trained with.
    gpus
        0 for the processor, 1 for a GPU.

    Raises
    ------
    InputError
        If there is no GPU, and one is wanted.
    """

    recipe: Recipe
    seed: int
    scaling: Scaling
    gpus: int = 0

    def __post_init__(self):
        """Check that its device is there."""
        require_gpu("gpus", self.gpus)
        if not self.gpus:
            keep_freed_memory()

    @property
    def device(self) -> torch.device:
        """Return where it runs."""
        return torch.device("cuda", torch.cuda.current_device()) if self.gpus else torch.device("cpu")

    def autocast(self) -> contextlib.AbstractContextManager:
        """Return the context in which its precision holds."""
        kind = _MIXED.get(choose_precision(self.recipe.runtime.precision, self.gpus))
        return contextlib.nullcontext() if kind is None else torch.autocast(self.device.type, kind)

    def views(self, source: StampSource, batch_size: int) -> Views:
        """Return the views of stamps."""
        recipe = self.recipe
        return Views(source, self.scaling, recipe.augmentation, recipe.crop, 0.0, batch_size, self.seed)
