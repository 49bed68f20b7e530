"""The recipes of a run's trainings, from its configuration."""

from pathlib import Path
from typing import Any

from astromae.classical import METHODS
from astromae.classical.recipe import ClassicalRecipe
from astromae.encoders import ENCODERS
from astromae.objectives import OBJECTIVES
from astromae.settings.configuration import Configuration
from astromae.tasks import TASKS
from astromae.tasks.branches import Branches
from astromae.training.recipes import EncoderRecipe, FeaturesRecipe, ModelRecipe, Passes


def _common(configuration: Configuration) -> dict[str, Any]:
    return {
        "scaling": configuration.scaling,
        "augmentation": configuration.augmentation,
        "runtime": configuration.training.runtime(),
    }


def encoder_recipe(configuration: Configuration, experiment: str, encoder: str) -> EncoderRecipe:
    """Return the recipe of an encoder of an experiment."""
    settings = configuration.experiments[experiment]
    sections = OBJECTIVES[settings.pretraining.objective].sections
    return EncoderRecipe(
        **_common(configuration),
        **{name: configuration.section(name) for name in sections},
        experiment=experiment,
        name=encoder,
        backbone=configuration.backbones[encoder],
        pretrain_on=settings.pretrain_on,
        validate_on=settings.validate_on,
        pretraining=settings.pretraining,
    )


def features_recipe(configuration: Configuration, experiment: str, encoder: str) -> FeaturesRecipe:
    """Return the recipe of the features of an experiment's frozen encoder."""
    finetuning = configuration.experiments[experiment].finetuning
    # Features need no gradient, and one GPU is enough.
    runtime = configuration.training.runtime()
    runtime = runtime.model_copy(update={"gpus": min(runtime.gpus, 1)})
    return FeaturesRecipe(
        **{**_common(configuration), "runtime": runtime},
        name=encoder,
        backbone=configuration.backbones[encoder],
        finetuning=Passes(**finetuning.model_dump(include=set(Passes.model_fields))),
    )


def model_recipe(configuration: Configuration, experiment: str, model: str) -> ModelRecipe:
    """Return the recipe of a model of an experiment."""
    settings, chosen = configuration.experiments[experiment], configuration.models[model]
    return ModelRecipe(
        **_common(configuration),
        experiment=experiment,
        model=model,
        group=chosen.group,
        task=settings.task,
        branches=Branches(**chosen.model_dump(include=set(Branches.model_fields))),
        backbone=configuration.backbones.get(chosen.encoder),
        finetuning=settings.finetuning,
    )


def classical_recipe(configuration: Configuration, experiment: str, method: str) -> ClassicalRecipe:
    """Return the recipe of a classical method of an experiment."""
    crop = configuration.scaling.crop if METHODS[method].stamps else None
    task = configuration.experiments[experiment].task
    return ClassicalRecipe(experiment=experiment, model=method, group="classical", task=task, crop=crop)


def networks_of(configuration: Configuration) -> dict[str, Any]:
    """Return what of a configuration decides its networks."""
    described = configuration.model_dump(mode="json", include={"models", "backbones", "scaling", "decoder"})
    tasks = {
        name: {"task": settings.task, "models": settings.models} for name, settings in configuration.experiments.items()
    }
    return {**{name: value for name, value in described.items() if value is not None}, "experiments": tasks}


def network_sources(configuration: Configuration) -> list[str | Path]:
    """Return the sources of the encoders and tasks that a configuration names."""
    networks = {backbone.network for backbone in configuration.backbones.values()}
    networks |= {"inception"} if any(model.inception for model in configuration.models.values()) else set()
    tasks = {settings.task for settings in configuration.experiments.values()}
    return [*map(ENCODERS.source, sorted(networks)), *map(TASKS.source, sorted(tasks))]
