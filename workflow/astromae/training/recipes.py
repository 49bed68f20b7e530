"""Recipes: the settings of a training step, and all that its result may depend on besides its files and its seed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, model_validator

from astromae.encoders import ENCODERS, build_encoder
from astromae.objectives import OBJECTIVES
from astromae.settings.base import AnyOf, name_in
from astromae.settings.entries import Backbone, Pretraining
from astromae.settings.training import Augmentation, Budget, Finetuning, Runtime, Scaling
from astromae.tasks import TASKS
from astromae.tasks.branches import Branches
from astromae.typed import Typed

if TYPE_CHECKING:
    from astromae.objectives.learner import Learner


class Recipe(Typed):
    """What every recipe holds: how stamps become views, and what decides the arithmetic."""

    scaling: Scaling
    augmentation: Augmentation
    runtime: Runtime

    @property
    def crop(self) -> int:
        """Return the pixels on a side of what networks see."""
        return self.scaling.crop

    @property
    def source_size(self) -> int:
        """Return the pixels on a side of a stamp that hold every rotated crop."""
        return self.augmentation.source_size(self.crop)

    def sources(self) -> list[str | Path]:
        """Return modules and plugins of the entries that it names, as `astromae.sources.sources_of` takes them."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return self.model_dump(mode="json")


class EncoderRecipe(Recipe):
    """Recipe of an encoder: a backbone and an objective.

    Sections of the configuration that the objective reads stand beside its own keys, each under its name.
    """

    model_config = ConfigDict(extra="allow")

    experiment: str
    name: str
    backbone: Backbone
    pretrain_on: AnyOf[str]
    validate_on: AnyOf[str]
    pretraining: Pretraining

    @model_validator(mode="after")
    def _check_objective(self) -> "EncoderRecipe":
        superfluous = set(self.model_extra or {}) - set(OBJECTIVES[self.pretraining.objective].sections)
        if superfluous:
            raise ValueError(f"{self.pretraining.objective} reads no section {min(superfluous)}")
        self.objective_settings()
        return self

    def objective_settings(self) -> Typed:
        """Return the settings of the objective."""
        entry = OBJECTIVES[self.pretraining.objective]
        given = self.pretraining.model_dump(mode="json") | (self.model_extra or {})
        return entry.settings.model_validate({key: given[key] for key in entry.settings.model_fields if key in given})

    def sources(self) -> list[str | Path]:
        """Return the sources of its encoder and its objective."""
        return [ENCODERS.source(self.backbone.network), OBJECTIVES.source(self.pretraining.objective)]

    def build(self, bands: int) -> "Learner":
        """Build the encoder and what its objective adds."""
        encoder = build_encoder(self.backbone, bands, self.crop, "pretrain")
        return OBJECTIVES[self.pretraining.objective].build(encoder, self.objective_settings(), bands)


class Passes(Budget):
    """What of fine-tuning decides its views."""

    noise_sigma: float


class FeaturesRecipe(Recipe):
    """Recipe of a frozen encoder's features."""

    name: str
    backbone: Backbone
    finetuning: Passes

    def sources(self) -> list[str | Path]:
        """Return the source of its encoder."""
        return [ENCODERS.source(self.backbone.network)]


class ModelRecipe(Recipe):
    """Recipe of a model: branches and a task."""

    experiment: str
    model: str
    group: str
    task: name_in(TASKS)
    branches: Branches
    backbone: Backbone | None
    finetuning: Finetuning

    def sources(self) -> list[str | Path]:
        """Return the sources of its task and of the encoders of its branches."""
        encoders = [self.backbone.network] if self.branches.encoder else []
        encoders += ["inception"] * self.branches.inception
        return [TASKS.source(self.task), *map(ENCODERS.source, encoders)]


class BoostingRecipe(Typed):
    """Recipe of the classical method."""

    experiment: str
    model: str
    group: str
    task: name_in(TASKS)

    def sources(self) -> list[str | Path]:
        """Return the source of its task."""
        return [TASKS.source(self.task)]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return self.model_dump(mode="json")
