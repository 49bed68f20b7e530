"""What the steps of training have in common: device, cost, stamps and their views, and saved states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from astromae.flatness import still_falling
from astromae.progress import log
from astromae.training.checkpoint import Checkpoint
from astromae.training.deadline import Deadline
from astromae.training.fingerprint import fingerprint
from astromae.training.parallel import WHOLE, Share, share_of
from astromae.training.provenance import Cost, provenance
from astromae.training.recipes import Recipe
from astromae.training.runtime import compile_if_wanted, make_fabric
from astromae.training.scaling import Scaling
from astromae.training.sources import NoStamps, StampSource, open_stamps
from astromae.training.subsets import drawn_part, members
from astromae.training.tensorboard import TensorBoard
from astromae.training.trainer import Training, fit
from astromae.training.views import Views


@dataclass(frozen=True)
class Execution:
    """How a training step is run, which does not change what it makes.

    Attributes
    ----------
    checkpoints
        Folder of the states that a killed step continues from.
    minutes
        Time limit, before which the state is saved.
    events
        Folder of event files for TensorBoard.
    """

    checkpoints: Path = Path("results/checkpoints")
    minutes: float | None = None
    events: Path | None = None


class Session:
    """One run of a training step.

    Parameters
    ----------
    step
        Name of the step.
    recipe, seed
        Its settings.
    scaling
        How pixels and magnitudes are scaled.
    execution
        How it is run.
    """

    def __init__(self, step: str, recipe: Recipe, seed: int, scaling: Scaling, execution: Execution | None = None):
        self.execution = execution or Execution()
        self.deadline = Deadline(self.execution.minutes)
        self.step, self.recipe, self.seed, self.scaling = step, recipe, seed, scaling
        self.fabric = make_fabric(recipe.runtime)
        self.cost = Cost(self.fabric)
        self.share = share_of(self.fabric)
        self.fingerprint: dict[str, str] = {}

    @property
    def device(self) -> torch.device:
        """Return the training device."""
        return self.fabric.device

    def views(self, source: StampSource, batch_size: int, noise_sigma: float = 0.0, share: Share = WHOLE) -> Views:
        """Return the views of stamps by the recipe's augmentation."""
        recipe = self.recipe
        return Views(source, self.scaling, recipe.augmentation, recipe.crop, noise_sigma, batch_size, self.seed, share)

    def subset(
        self,
        stamps: Sequence[Path] | None,
        split: Path,
        subsets: Sequence[str],
        batch_size: int,
        noise_sigma: float = 0.0,
        part: float = 1.0,
    ) -> tuple[np.ndarray, Views]:
        """Return object ids and views of an experiment's subsets, or of a part of their galaxies that the seed draws.

        With no `stamps` they are views without pixels.
        """
        objid = members(split, subsets)
        if part < 1:
            objid = drawn_part(objid, part, self.seed)
        if stamps is None:
            source: StampSource = NoStamps(len(objid), self.device)
        else:
            size = min(self.recipe.source_size, self.scaling.stamps.size)
            source = open_stamps(stamps, objid, size, self.device)
        return objid, self.views(source, batch_size, noise_sigma, self.share)

    def identify(self, *data: np.ndarray | Mapping[str, Any]) -> dict[str, str]:
        """Fingerprint the step, and return it; `data` is what it learns from besides its scaling."""
        self.fingerprint = fingerprint(self.step, self.recipe, self.seed, self.scaling.as_json(), *data)
        return self.fingerprint

    def train(self, name: str, training: Training, part: str = "") -> list[dict[str, float]]:
        """Train a model, from the saved state of an earlier run of the same step if there is one; return its history.

        Parameters
        ----------
        name
            Name of the step's states, for example ``experiment1-pcm``.
        training
            Model, data and losses.
        part
            Which of several trainings of the step: a folder of its events.
        """
        self.checkpoint = self._state_of(name)
        events = self.execution.events
        board = TensorBoard(events / part if events and self.fabric.is_global_zero else None)
        compile_if_wanted(training.model, self.recipe.runtime)
        with self.deadline:
            rows = fit(self.fabric, training, self.checkpoint, self.deadline, board, self.cost)
        if still_falling(pd.DataFrame(rows)):
            log(
                f"warning: {training.label}: the validation loss was still falling over the last fifth of "
                f"{rows[-1]['update']} updates; a longer budget would lower it"
            )
        return rows

    def forget(self, name: str) -> None:
        """Remove what a killed training of that name left behind."""
        self._state_of(name).remove()

    def _state_of(self, name: str) -> Checkpoint:
        return Checkpoint(self.execution.checkpoints, f"{self.step}-{name}-seed{self.seed}", self.fingerprint)

    def provenance(self, seen: int) -> dict[str, Any]:
        """Return where the results come from, after `seen` stamps; every process has to call it at the same time."""
        return provenance(self.recipe.as_json(), self.seed, self.fingerprint, seen, self.cost)


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Return all weights and buffers of a model."""
    return {name: tensor.contiguous().cpu().numpy() for name, tensor in model.state_dict().items()}
