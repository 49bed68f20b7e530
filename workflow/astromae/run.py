"""A run as its configuration describes it: the models and encoders of each experiment, and where their files lie."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from astromae.classical import METHODS
from astromae.objectives import OBJECTIVES
from astromae.settings.configuration import Configuration
from astromae.settings.experiments import Experiment
from astromae.tasks import NamedTask, Task, task_name, task_of


@dataclass(frozen=True)
class Run:
    """A run of the workflow.

    Attributes
    ----------
    configuration
        Its whole configuration.
    stamps, missing
        Every shard of stamps, and the tables of galaxies without a stamp.
    catalog
        The catalogue of galaxies.
    """

    configuration: Configuration
    stamps: Sequence[str] = ()
    missing: Sequence[str] = ()
    catalog: str = "results/catalog/galaxies.parquet"

    @property
    def survey(self) -> str:
        """Return the name of the survey."""
        return self.configuration.survey

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        """Return the settings of every experiment that belongs to no study, by its name."""
        return {name: settings for name, settings in self.configuration.experiments.items() if settings.study is None}

    def experiment(self, name: str) -> Experiment:
        """Return the settings of an experiment, one of a study too."""
        return self.configuration.experiments[name]

    def tables(self, study: str | None = None) -> list[str]:
        """Return the names of the tables of a study's experiments, or of those that belong to no study."""
        return [settings.table for settings in self.configuration.experiments.values() if settings.study == study]

    def with_task(self, task: str) -> list[str]:
        """Return the experiments that have a task."""
        return [name for name in self.experiments if task_name(self.task(name)) == task]

    def with_redshifts(self) -> list[str]:
        """Return the experiments whose task estimates redshifts, with distributions or without."""

        def estimates(task: Task) -> bool:
            return "z_pred" in task.columns and "z_spec" in task.targets.values()

        return [name for name in self.experiments if estimates(task_of(self.task(name)))]

    def with_density(self) -> list[str]:
        """Return the experiments whose task predicts distributions of one number."""
        tasks = {name: task_of(self.task(name)) for name in self.experiments}
        return [name for name, task in tasks.items() if task.density is not None and len(task.targets) == 1]

    def task(self, experiment: str) -> NamedTask:
        """Return an experiment's task."""
        return self.configuration.task(experiment)

    def pretrained_models(self, experiment: str) -> list[str]:
        """Return the experiment's models that start from a pretrained encoder."""
        models = self.configuration.models
        return [name for name in self.experiment(experiment).models if models[name].pretrained]

    def encoders(self, experiment: str) -> list[str]:
        """Return the backbones that are pretrained for an experiment."""
        return self.configuration.pretrained_encoders(experiment)

    @cached_property
    def pretrained(self) -> list[str]:
        """Return the experiments that pretrain an encoder."""
        return [name for name in self.experiments if self.pretrained_models(name)]

    def with_objective(self, objective: str) -> list[str]:
        """Return the experiments that pretrain an encoder by an objective."""
        return [name for name in self.pretrained if self.experiments[name].pretraining.objective == objective]

    @cached_property
    def reconstructing(self) -> list[str]:
        """Return the experiments whose objective reconstructs stamps."""
        return [
            name
            for objective in OBJECTIVES
            for name in self.with_objective(objective)
            if OBJECTIVES[objective].reconstructs
        ]

    @cached_property
    def used_models(self) -> list[str]:
        """Return the models that some experiment trains, in the order of the configuration."""
        used = {name for settings in self.experiments.values() for name in settings.models}
        return [name for name in self.configuration.models if name in used]

    def astromae_models(self, experiment: str) -> list[str]:
        """Return the models with all that AstroMAE has: a pretrained encoder, Inception and magnitudes."""
        models = self.configuration.models
        return [
            name for name in self.pretrained_models(experiment) if models[name].inception and models[name].magnitude
        ]

    def shares_features(self, model: str) -> bool:
        """Return whether a model reads a frozen encoder's features, computed once for all models, from a file."""
        chosen = self.configuration.models[model]
        return chosen.pretrained and chosen.frozen and self.configuration.training.share_features

    def shared_encoders(self, experiment: str) -> list[str]:
        """Return an experiment's encoders whose features are computed once for all models that read them."""
        shared = {
            self.configuration.models[name].encoder
            for name in self.experiment(experiment).models
            if self.shares_features(name)
        }
        return [encoder for encoder in self.encoders(experiment) if encoder in shared]

    def with_features(self) -> list[str]:
        """Return the experiments that have files of a frozen encoder's features."""
        return [name for name in self.pretrained if self.shared_encoders(name)]

    def encoder_folders(self, experiment: str, seeds: Sequence[int] | None = None) -> list[str]:
        """Return the folders of an experiment's encoders, encoder by encoder; of all seeds unless some are given."""
        return [
            f"results/encoders/{encoder}/{experiment}/seed{seed}"
            for encoder in self.encoders(experiment)
            for seed in (self.configuration.seeds if seeds is None else seeds)
        ]

    def model_folders(self, experiment: str, models: Sequence[str] | None = None) -> list[str]:
        """Return the folders of an experiment's models, model by model; of all trained ones unless some are given."""
        return [
            f"results/models/{experiment}/{model}/seed{seed}"
            for model in (self.experiment(experiment).models if models is None else models)
            for seed in self.configuration.seeds
        ]

    def _classical_folders(self, experiment: str) -> list[str]:
        return self.model_folders(experiment, self.experiment(experiment).classical)

    def predictions(self, experiment: str, models: Sequence[str] | None = None) -> list[str]:
        """Return the predictions of some models, or all of an experiment, classical methods last."""
        folders = self.model_folders(experiment, models)
        folders += self._classical_folders(experiment) if models is None else []
        return [f"{folder}/predictions.parquet" for folder in folders]

    def trained(self, experiment: str, name: str) -> list[str]:
        """Return a file of every training of an experiment: its encoders', then its models'."""
        return [f"{folder}/{name}" for folder in self.encoder_folders(experiment) + self.model_folders(experiment)]

    def histories(self, experiment: str, phase: str) -> list[str]:
        """Return the histories of a phase's trainings: ``pretraining`` or ``finetuning``."""
        folders = self.encoder_folders if phase == "pretraining" else self.model_folders
        return [f"{folder}/history.csv" for folder in folders(experiment)]

    def provenance(self, experiment: str) -> list[str]:
        """Return what every training and classical fit of an experiment says of itself."""
        classical = [f"{folder}/provenance.json" for folder in self._classical_folders(experiment)]
        return self.trained(experiment, "provenance.json") + classical

    def label_curves(self, study: str) -> list[str]:
        """Return the predictions of all lines of a study, line by line."""
        settings = self.configuration.studies[study]
        return [
            f"results/{study}/curves/{curve}/seed{seed}/predictions.parquet"
            for curve in [*settings.curves(), *settings.classical]
            for seed in settings.seeds
        ]

    @property
    def values(self) -> list[str]:
        """Return the named values of the survey and of every experiment."""
        return [f"results/values/{name}.json" for name in ("survey", *self.experiments)]

    def wildcards(self) -> dict[str, str]:
        """Return the pattern of each wildcard: a name stands for nothing that the run does not have."""
        studies = self.configuration.studies
        of_studies = [name for study in studies.values() for name in study.encoders()]
        names = {
            "experiment": [*self.configuration.experiments, *studies],
            "encoder": [*self.configuration.backbones, *of_studies],
            "model": self.configuration.models,
            "study": studies,
            "curve": [name for study in studies.values() for name in study.curves()],
            "method": METHODS,
        }
        return {
            "chunk": r"\d{4}",
            "seed": r"\d+",
            **{wildcard: "|".join(map(re.escape, values)) for wildcard, values in names.items()},
        }
