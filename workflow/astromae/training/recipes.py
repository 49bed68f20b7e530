"""Recipes: what a training step is told, and all that its result may depend on besides its files and its seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, model_validator

from astromae.encoders import ENCODERS, build_encoder, network_of
from astromae.objectives import OBJECTIVES
from astromae.settings.base import AnyOf, Count
from astromae.settings.entries import Backbone, Pretraining
from astromae.settings.training import Augmentation, Finetuning, Runtime, Scaling
from astromae.tasks import TASKS
from astromae.tasks.branches import Branches
from astromae.typed import Typed

if TYPE_CHECKING:
    from astromae.objectives.learner import Learner
    from astromae.tasks.model import Model


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

    def told(self) -> dict[str, Any]:
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


class Passes(Typed):
    """What of fine-tuning decides its views."""

    epochs: Count
    batch_size: Count
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
    task: str
    branches: Branches
    backbone: Backbone | None
    finetuning: Finetuning

    def sources(self) -> list[str | Path]:
        """Return the sources of its task and of the encoders of its branches."""
        encoders = [self.backbone.network] if self.branches.encoder else []
        encoders += ["inception"] * self.branches.inception
        return [TASKS.source(self.task), *map(ENCODERS.source, encoders)]

    def build(self, bands: int) -> "Model":
        """Build the network."""
        from astromae.tasks.model import Model

        return Model(self.branches, self.backbone, bands, self.crop, TASKS[self.task].outputs)


class BoostingRecipe(Typed):
    """Recipe of the classical method."""

    experiment: str
    model: str
    group: str
    task: str

    def sources(self) -> list[str | Path]:
        """Return the source of its task."""
        return [TASKS.source(self.task)]

    def told(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return self.model_dump(mode="json")


def _common(config: Mapping[str, Any]) -> dict[str, Any]:
    runtime = {key: config["training"][key] for key in Runtime.model_fields}
    return {"scaling": config["scaling"], "augmentation": config["augmentation"], "runtime": runtime}


def encoder_recipe(config: Mapping[str, Any], experiment: str, encoder: str) -> EncoderRecipe:
    """Return the recipe of an encoder of an experiment, from a whole, checked configuration."""
    settings = config["experiments"][experiment]
    objective = OBJECTIVES[settings["pretraining"].get("objective", "mae")]
    return EncoderRecipe(
        **_common(config),
        **{name: config[name] for name in objective.sections},
        experiment=experiment,
        name=encoder,
        backbone=config["backbones"][encoder],
        pretrain_on=settings["pretrain_on"],
        validate_on=settings["validate_on"],
        pretraining=settings["pretraining"],
    )


def features_recipe(config: Mapping[str, Any], experiment: str, encoder: str) -> FeaturesRecipe:
    """Return the recipe of the features of an experiment's frozen encoder."""
    finetuning = config["experiments"][experiment]["finetuning"]
    common = _common(config)
    # Features need no gradient, and one GPU is enough.
    common["runtime"]["gpus"] = min(common["runtime"]["gpus"], 1)
    return FeaturesRecipe(
        **common,
        name=encoder,
        backbone=config["backbones"][encoder],
        finetuning={key: finetuning[key] for key in Passes.model_fields},
    )


def model_recipe(config: Mapping[str, Any], experiment: str, model: str) -> ModelRecipe:
    """Return the recipe of a model of an experiment."""
    settings, chosen = config["experiments"][experiment], config["models"][model]
    return ModelRecipe(
        **_common(config),
        experiment=experiment,
        model=model,
        group=chosen["group"],
        task=settings.get("task", "redshift"),
        branches={key: chosen[key] for key in Branches.model_fields},
        backbone=config["backbones"].get(chosen["encoder"]),
        finetuning=settings["finetuning"],
    )


def boosting_recipe(config: Mapping[str, Any], experiment: str, model: str) -> BoostingRecipe:
    """Return the recipe of a classical method of an experiment."""
    task = config["experiments"][experiment].get("task", "redshift")
    return BoostingRecipe(experiment=experiment, model=model, group="classical", task=task)


def networks_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a configuration decides its networks."""
    described = {key: config[key] for key in ("models", "backbones", "scaling", "decoder") if key in config}
    tasks = {
        name: {"task": settings.get("task", "redshift"), "models": settings["models"]}
        for name, settings in config["experiments"].items()
    }
    return {**described, "experiments": tasks}


def network_sources(config: Mapping[str, Any]) -> list[str | Path]:
    """Return the sources of the encoders and tasks that a configuration names."""
    networks = {network_of(backbone) for backbone in config["backbones"].values()}
    networks |= {"inception"} if any(model["inception"] for model in config["models"].values()) else set()
    tasks = {settings.get("task", "redshift") for settings in config["experiments"].values()}
    return [*map(ENCODERS.source, sorted(networks)), *map(TASKS.source, sorted(tasks))]
