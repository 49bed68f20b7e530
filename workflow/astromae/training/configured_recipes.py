"""The recipes of a run's trainings, from its configuration."""

from pathlib import Path
from typing import Any

from astromae.classical import METHODS
from astromae.classical.recipe import ClassicalRecipe
from astromae.encoders import ENCODERS
from astromae.objectives import OBJECTIVES
from astromae.settings.configuration import Configuration
from astromae.tasks import task_of, task_source
from astromae.tasks.branches import Branches
from astromae.training.recipes import CurveRecipe, EncoderRecipe, FeaturesRecipe, ModelRecipe, Passes


def _common(configuration: Configuration, gpus: int | None = None) -> dict[str, Any]:
    """Return what all recipes have in common; with `gpus` at most so many."""
    runtime = configuration.training.runtime()
    if gpus is not None:
        runtime = runtime.model_copy(update={"gpus": min(runtime.gpus, gpus)})
    return {"scaling": configuration.scaling, "augmentation": configuration.augmentation, "runtime": runtime}


def encoder_recipe(configuration: Configuration, experiment: str, encoder: str) -> EncoderRecipe:
    """Return the recipe of an encoder of an experiment or of a study."""
    sample, pretraining = configuration.sample(experiment), configuration.pretraining(experiment, encoder)
    own, objective = configuration.of_sample(experiment), OBJECTIVES[pretraining.objective]
    task = configuration.task(experiment)
    return EncoderRecipe(
        **_common(own),
        **{name: own.section(name) for name in objective.sections},
        experiment=experiment,
        name=encoder,
        backbone=own.backbones[encoder],
        pretrain_on=sample.pretrain_on,
        validate_on=sample.validate_on,
        pretraining=pretraining,
        task=task if objective.labels else None,
        probe=task if task_of(task).regression else None,
    )


def features_recipe(configuration: Configuration, experiment: str, encoder: str) -> FeaturesRecipe:
    """Return the recipe of the features of an experiment's frozen encoder."""
    finetuning = configuration.experiments[experiment].finetuning
    # Features need no gradient, and one GPU is enough.
    return FeaturesRecipe(
        **_common(configuration, gpus=1),
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
        task=configuration.task(experiment),
        branches=Branches(**chosen.model_dump(include=set(Branches.model_fields))),
        backbone=configuration.backbones.get(chosen.encoder),
        finetuning=settings.finetuning,
    )


def curve_recipe(configuration: Configuration, study: str, curve: str) -> CurveRecipe:
    """Return the recipe of a line of a study."""
    settings = configuration.studies[study]
    line = settings.curves()[curve]
    # One GPU is enough for the few updates of a number of labels.
    return CurveRecipe(
        **_common(configuration.of_sample(study), gpus=1),
        study=study,
        objective=line.objective,
        network=line.network,
        task=configuration.task(study),
        branches=Branches(
            encoder=line.network,
            pretrained=line.encoder is not None,
            frozen=line.frozen,
            inception=False,
            magnitude=False,
        ),
        backbone=settings.networks[line.network],
        labels=settings.labels,
        finetuning=settings.finetuning.frozen if line.frozen else settings.finetuning.unfrozen,
    )


def classical_recipe(configuration: Configuration, experiment: str, method: str) -> ClassicalRecipe:
    """Return the recipe of a classical method of an experiment or of a study."""
    crop = configuration.of_sample(experiment).scaling.crop if METHODS[method].stamps else None
    task = configuration.task(experiment)
    return ClassicalRecipe(experiment=experiment, model=method, group="classical", task=task, crop=crop)


def networks_of(configuration: Configuration) -> dict[str, Any]:
    """Return what of a configuration decides its networks, but for those that only studies train."""
    described = configuration.model_dump(mode="json", include={"models", "backbones", "scaling", "decoder"})
    of_run = {name: settings for name, settings in configuration.experiments.items() if settings.study is None}
    tasks = {name: {"task": configuration.task(name), "models": given.models} for name, given in of_run.items()}
    named = {model for settings in of_run.values() for model in settings.models}
    of_studies = {model for settings in configuration.experiments.values() for model in settings.models} - named
    described["models"] = {name: model for name, model in described["models"].items() if name not in of_studies}
    return {**{name: value for name, value in described.items() if value is not None}, "experiments": tasks}


def network_sources(configuration: Configuration) -> list[str | Path]:
    """Return the sources of the encoders and tasks that a configuration names."""
    networks = {backbone.network for backbone in configuration.backbones.values()}
    networks |= {"inception"} if any(model.inception for model in configuration.models.values()) else set()
    tasks = {settings.task for settings in configuration.experiments.values() if settings.study is None}
    return [*map(ENCODERS.source, sorted(networks)), *map(task_source, sorted(tasks))]
