"""Recipes: the settings of a training step, and all that its result may depend on besides its files and its seed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, model_validator

from astromae.encoders import ENCODERS, build_encoder
from astromae.objectives import OBJECTIVES, Objective
from astromae.settings.base import AnyOf
from astromae.settings.entries import Backbone, Pretraining
from astromae.settings.galaxy_views import GalaxyViews
from astromae.settings.studies import FrozenTraining
from astromae.settings.training import Augmentation, Budget, Finetuning, Runtime, Scaling
from astromae.tasks import NamedTask, task_of, task_source
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

    Sections of the configuration that the objective reads stand beside its own keys, each under its name. `task` is
    what it learns, if it reads labels. Of `probe`, a regression task, the labels of validation galaxies tell at each
    validation how much the features know of it (`astromae.training.collapse`); nothing is learnt from them.
    """

    model_config = ConfigDict(extra="allow")

    experiment: str
    name: str
    backbone: Backbone
    pretrain_on: AnyOf[str]
    validate_on: AnyOf[str]
    pretraining: Pretraining
    task: NamedTask | None = None
    probe: NamedTask | None = None

    @property
    def objective(self) -> Objective:
        """Return what the encoder learns by."""
        return OBJECTIVES[self.pretraining.objective]

    @property
    def galaxy_views(self) -> GalaxyViews | None:
        """Return how the objective changes galaxies from view to view; None where it is by `augmentation`."""
        own = self.objective.galaxy_views
        return None if own is None else own(self.objective_settings())

    @property
    def source_size(self) -> int:
        """Return the pixels on a side of a stamp that hold every view."""
        return super().source_size if self.galaxy_views is None else self.galaxy_views.source_size(self.crop)

    @property
    def targets(self) -> dict[str, str]:
        """Return the columns of the catalogue that hold the labels that it reads: the keys; none without labels."""
        return dict(task_of(self.task).targets) if self.objective.labels else {}

    @property
    def reads_catalog(self) -> bool:
        """Return whether it wants the catalogue: labels, or extinctions to take away."""
        return bool(self.targets or self.probe) or (self.galaxy_views is not None and self.galaxy_views.deredden)

    @model_validator(mode="after")
    def _check_objective(self) -> "EncoderRecipe":
        superfluous = set(self.model_extra or {}) - set(self.objective.sections)
        if superfluous:
            raise ValueError(f"{self.pretraining.objective} reads no section {min(superfluous)}")
        if self.objective.labels != (self.task is not None):
            raise ValueError(f"{self.pretraining.objective} learns {'a' if self.objective.labels else 'no'} task")
        self.objective_settings()
        return self

    def objective_settings(self) -> Typed:
        """Return the settings of the objective."""
        entry = self.objective
        given = self.pretraining.model_dump(mode="json") | (self.model_extra or {})
        return entry.settings.model_validate({key: given[key] for key in entry.settings.model_fields if key in given})

    def sources(self) -> list[str | Path]:
        """Return the sources of its encoder, its objective, and the tasks whose labels are read."""
        named = [ENCODERS.source(self.backbone.network), OBJECTIVES.source(self.pretraining.objective)]
        return [*named, *(task_source(task) for task in (self.task, self.probe) if task)]

    def build(self, bands: int) -> "Learner":
        """Build the encoder and what its objective adds."""
        encoder = build_encoder(self.backbone, bands, self.crop, self.objective.phase)
        task = [task_of(self.task)] if self.task else []
        return self.objective.build(encoder, self.objective_settings(), bands, *task)


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
    task: NamedTask
    branches: Branches
    backbone: Backbone | None
    finetuning: Finetuning

    def sources(self) -> list[str | Path]:
        """Return the sources of its task and of the encoders of its branches."""
        encoders = [self.backbone.network] if self.branches.encoder else []
        encoders += ["inception"] * self.branches.inception
        return [task_source(self.task), *map(ENCODERS.source, encoders)]


class CurveRecipe(Recipe):
    """Recipe of one line of a study: an encoder and a task, over numbers of labels."""

    study: str
    objective: str
    network: str
    task: NamedTask
    branches: Branches
    backbone: Backbone
    labels: AnyOf[float]
    finetuning: FrozenTraining | Finetuning

    def sources(self) -> list[str | Path]:
        """Return the sources of its task and its encoder."""
        return [task_source(self.task), ENCODERS.source(self.backbone.network)]
