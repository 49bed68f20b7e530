"""A run as its configuration describes it: the models and encoders of each experiment, and where their files lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from astromae.objectives import OBJECTIVES


@dataclass(frozen=True)
class Run:
    """A run of the workflow.

    Attributes
    ----------
    config
        Its whole configuration.
    stamps, missing
        Every shard of stamps, and the tables of galaxies without a stamp.
    catalog
        The catalogue of galaxies.
    """

    config: Mapping[str, Any]
    stamps: Sequence[str] = ()
    missing: Sequence[str] = ()
    catalog: str = "results/catalog/galaxies.parquet"

    @property
    def survey(self) -> str:
        """Return the name of the survey."""
        return self.config["survey"]

    @property
    def experiments(self) -> Mapping[str, Any]:
        """Return the settings of every experiment, by its name."""
        return self.config["experiments"]

    def with_task(self, task: str) -> list[str]:
        """Return the experiments that have a task."""
        return [name for name in self.experiments if self.task(name) == task]

    def task(self, experiment: str) -> str:
        """Return the name of an experiment's task."""
        return self.experiments[experiment].get("task", "redshift")

    def pretrained_models(self, experiment: str) -> list[str]:
        """Return the experiment's models that start from a pretrained encoder."""
        models = self.config["models"]
        return [name for name in self.experiments[experiment]["models"] if models[name]["pretrained"]]

    def encoders(self, experiment: str) -> list[str]:
        """Return the backbones that are pretrained for an experiment."""
        wanted = {self.config["models"][name]["encoder"] for name in self.pretrained_models(experiment)}
        return [name for name in self.config["backbones"] if name in wanted]

    @cached_property
    def pretrained(self) -> list[str]:
        """Return the experiments that pretrain an encoder."""
        return [name for name in self.experiments if self.pretrained_models(name)]

    def with_objective(self, objective: str) -> list[str]:
        """Return the experiments that pretrain an encoder by an objective."""
        settings = self.experiments
        return [name for name in self.pretrained if settings[name]["pretraining"].get("objective", "mae") == objective]

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
        used = {name for settings in self.experiments.values() for name in settings["models"]}
        return [name for name in self.config["models"] if name in used]

    def astromae_models(self, experiment: str) -> list[str]:
        """Return the models with all that AstroMAE has: a pretrained encoder, Inception and magnitudes."""
        models = self.config["models"]
        return [
            name
            for name in self.pretrained_models(experiment)
            if models[name]["inception"] and models[name]["magnitude"]
        ]

    def encoder_folders(self, experiment: str, seeds: Sequence[int] | None = None) -> list[str]:
        """Return the folders of an experiment's encoders, encoder by encoder; of all seeds unless some are given."""
        return [
            f"results/encoders/{encoder}/{experiment}/seed{seed}"
            for encoder in self.encoders(experiment)
            for seed in (self.config["seeds"] if seeds is None else seeds)
        ]

    def model_folders(self, experiment: str, models: Sequence[str] | None = None) -> list[str]:
        """Return the folders of an experiment's models, model by model; of all trained ones unless some are given."""
        return [
            f"results/models/{experiment}/{model}/seed{seed}"
            for model in (self.experiments[experiment]["models"] if models is None else models)
            for seed in self.config["seeds"]
        ]

    def _classical_folders(self, experiment: str) -> list[str]:
        return self.model_folders(experiment, self.experiments[experiment]["classical"])

    def predictions(self, experiment: str, models: Sequence[str] | None = None) -> list[str]:
        """Return the predictions of some models, or all of an experiment, the classical ones last."""
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

    @property
    def values(self) -> list[str]:
        """Return the named values of the survey and of every experiment."""
        return [f"results/values/{name}.json" for name in ("survey", *self.experiments)]
