"""The whole configuration: its sections, and the checks that look at several of them."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model, model_validator

from astromae.contracts.stamp_format import StampFormat
from astromae.encoders import ENCODERS
from astromae.errors import InputError
from astromae.objectives import OBJECTIVES
from astromae.settings.base import (
    HERE,
    AnyOf,
    Count,
    Fraction,
    Name,
    Seed,
    SomeOf,
    Text,
    missing,
    name_in,
    near,
    problem,
    section,
    setting,
    wrong,
)
from astromae.settings.entries import Backbone
from astromae.settings.evaluation import Evaluation
from astromae.settings.experiments import Experiment, Model
from astromae.settings.messages import in_one_line
from astromae.settings.training import Augmentation, Scaling, Training
from astromae.survey import SURVEYS
from astromae.typed import Typed

# The Inception branch pools 32 pixels to 4, which its 192 features take for granted (figure 3 of the paper).
_INCEPTION_SIDE = 32

# Names of files beside those that carry the name of an experiment, a table or a model.
_TAKEN = {
    "experiment": {"survey": "results/values/survey.json holds the survey's numbers"},
    "table": {
        "cost": "results/tables/cost.csv is the table of cost",
        "realism": "results/tables/realism.csv holds simulated stamps against real ones",
    },
    "model": {"hgb-magnitudes": "it is the classical method"},
}


class Stamps(Typed):
    """The cutting of stamps."""

    size: Annotated[int, Field(ge=2, multiple_of=2)] | None = setting(
        "Side of a stamp; null for the survey's own.", None, unit="px"
    )
    max_missing_fraction: Fraction = setting(
        "The run stops when a larger fraction of the catalogue gets no stamp.", 0.06
    )
    threads: Count = setting("Threads of a stamps job, each reading a field.", 1)


class Configuration(Typed):
    """The settings of a run, as laid together from config.yaml, presets and the command line.

    The sections of surveys and objectives are added to it by `configuration_model`.
    """

    bundle: Text | None = setting(
        "Rebuild tables, figures and the paper from this archive, made by `make bundle`, and run nothing before them.",
        None,
    )
    plugins: AnyOf[Text] = setting("Python files that add surveys, encoders, objectives, tasks or figures.", ())
    survey: name_in(SURVEYS) = setting("Where galaxies and pixels come from.", "embedded")
    seeds: SomeOf[Seed] = setting("Every stochastic training step runs once for each of these seeds.", (42,))
    stamps: Stamps = setting("The cutting of stamps.", Stamps())
    backbones: Annotated[dict[Name, Backbone], Field(min_length=1)] = setting("Encoders that models can name.")
    models: Annotated[dict[Name, Model], Field(min_length=1)] = setting("Models, each a choice of branches.")
    scaling: Scaling = setting("Scaling of pixels.", Scaling())
    augmentation: Augmentation = setting("Augmentation in both phases of training.", Augmentation())
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)] = setting(
        "Experiments, each with its split, its models and its optimisation."
    )
    training: Training = setting("How training jobs run.", Training())
    evaluation: Evaluation = setting("Metrics and their intervals.", Evaluation())

    def section(self, name: str) -> Any:
        """Return the section of a survey or of an objective."""
        return getattr(self, name)

    def stamp_format(self) -> StampFormat:
        """Return bands, pixel scale and size of the survey's stamps."""
        return SURVEYS[self.survey].stamps(self.section(self.survey), self.stamps.size)

    def pretrained_encoders(self, experiment: str) -> list[str]:
        """Return the backbones that are pretrained for an experiment."""
        models = [self.models[name] for name in self.experiments[experiment].models]
        wanted = {model.encoder for model in models if model.pretrained}
        return [name for name in self.backbones if name in wanted]

    @model_validator(mode="after")
    def _check(self) -> "Configuration":
        if self.section(self.survey) is None:
            raise missing(self.survey)
        self._check_references()
        self._check_sizes()
        for name in self.experiments:
            with section(f"experiments.{name}"):
                self._check_experiment(name)
        self._check_names()
        return self

    def _check_references(self) -> None:
        """Check that names of other sections stand there."""
        for name, model in self.models.items():
            if model.encoder is not None and model.encoder not in self.backbones:
                allowed = f"null or a name in section backbones: {', '.join(self.backbones)}"
                raise wrong(f"models.{name}.encoder", model.encoder, allowed)
        for name, experiment in self.experiments.items():
            for model in experiment.models:
                if model not in self.models:
                    allowed = f"names in section models: {', '.join(self.models)}{near(model, self.models)}"
                    raise wrong(f"experiments.{name}.models", model, allowed)

    def _check_sizes(self) -> None:
        """Check that stamps, crop, rotation and networks fit together."""
        crop = self.scaling.crop
        for name, backbone in self.backbones.items():
            with section(f"backbones.{name}"):
                for key, allowed in ENCODERS[backbone.network].problems(backbone, crop):
                    raise wrong(key, _value(backbone, key), allowed)
        size = self.stamp_format().size
        rotated = self.augmentation.rotation_deg > 0 and self.augmentation.rotate_before_crop
        # A stamp has no middle pixel that an odd crop could have for its own.
        fitting = [side for side in range(2, size + 1, 2) if self.augmentation.source_size(side) <= size]
        if crop not in fitting:
            why = "so that a rotated crop stays inside the stamp" if rotated else "the stamp's size"
            raise wrong("scaling.crop", crop, f"an even number, at most {fitting[-1]}, {why}")
        inception = [name for name, model in self.models.items() if model.inception]
        if inception and crop != _INCEPTION_SIDE:
            allowed = f"{_INCEPTION_SIDE} while a model has inception: true ({inception[0]})"
            raise wrong("scaling.crop", crop, allowed)

    def _check_experiment(self, name: str) -> None:
        """Check an experiment with what it names."""
        experiment = self.experiments[name]
        encoders = self.pretrained_encoders(name)
        if encoders:
            experiment.check_subsets()
            self._check_objective(experiment, encoders)
        galaxies = getattr(self.section(self.survey), "galaxies", None)
        for subset, fraction in experiment.fractions.model_dump().items():
            if isinstance(galaxies, int) and 0 < fraction * galaxies < 1:
                least = f"at least {1 / galaxies:.2g}: one of {self.survey}.galaxies ({galaxies})"
                allowed = f"0, or {least}" if subset.startswith("pretrain") else least
                raise wrong(f"fractions.{subset}", fraction, allowed)
        processes = self.training.gpus * self.training.nodes
        for phase in ("pretraining", "finetuning"):
            size = experiment.phase(phase).batch_size
            if size < processes:
                raise wrong(f"{phase}.batch_size", size, f"at least {processes}, one stamp for each GPU")

    def _check_objective(self, experiment: Experiment, encoders: list[str]) -> None:
        """Check that an objective has all that it reads, and can teach each encoder."""
        pretraining = experiment.pretraining
        entry = OBJECTIVES[pretraining.objective]
        for name in entry.sections:
            if self.section(name) is None:
                raise problem(f"{name} is missing; {HERE}pretraining.objective {pretraining.objective} reads it")
        settings = self.objective_settings(pretraining)
        if entry.labels:
            experiment.check_labelled()
        if entry.galaxy_views is not None:
            stamps = self.stamp_format()
            views = entry.galaxy_views(settings)
            for key, allowed in views.problems(stamps.bands, stamps.size, self.scaling.crop):
                with section("pretraining.views"):
                    raise wrong(key, getattr(views, key), allowed)
        for encoder in encoders:
            backbone = self.backbones[encoder]
            network = ENCODERS[backbone.network]
            for key, allowed in entry.problems(settings, network, backbone, self.scaling.crop):
                value = pretraining.objective if key == "objective" else _value(settings, key)
                if key.partition(".")[0] in entry.sections:
                    raise problem(f"{key} is {value}; allowed: {allowed}")
                raise wrong(f"pretraining.{key}", value, allowed)

    def objective_settings(self, pretraining: Any) -> Typed:
        """Return the settings of a pretraining's objective, its sections of the configuration among them."""
        entry = OBJECTIVES[pretraining.objective]
        own = {name: getattr(pretraining, name) for name in entry.settings.model_fields if name not in entry.sections}
        return entry.settings.model_validate({**own, **{name: self.section(name) for name in entry.sections}})

    def _check_names(self) -> None:
        """Check that no two files of a run would have the same name."""
        named = {
            "experiment": {f"experiments.{name}": name for name in self.experiments},
            "table": {f"experiments.{name}.table": experiment.table for name, experiment in self.experiments.items()},
            "model": {f"models.{name}": name for name in self.models},
        }
        for kind, names in named.items():
            for key, name in names.items():
                if name in _TAKEN[kind]:
                    raise problem(f"{key}: {name} names no {kind}, since {_TAKEN[kind][name]}; rename it")
        for name in self.experiments:
            # The figures of a large experiment are divided by group.
            stem, _, group = name.rpartition("-")
            if group in ("scratch", "pretrained") and stem in self.experiments:
                raise problem(f"experiments.{name} would share figures with experiments.{stem}; rename it")
        owner: dict[str, str] = {}
        for name, experiment in self.experiments.items():
            if experiment.table in owner:
                allowed = f"a name that {owner[experiment.table]} does not use"
                raise wrong(f"experiments.{name}.table", experiment.table, allowed)
            owner[experiment.table] = name


def _value(settings: Any, key: str) -> Any:
    """Return the value of a key, with dots for sections."""
    return functools.reduce(getattr, key.split("."), settings)


def configuration_model() -> type[Configuration]:
    """Return the model of the configuration, with a section for each survey and objective that has one."""
    return _configuration_model(tuple(SURVEYS), tuple(OBJECTIVES))


@functools.cache
def _configuration_model(surveys: tuple[str, ...], objectives: tuple[str, ...]) -> type[Configuration]:
    sections: dict[str, Any] = {}
    for name in surveys:
        model = SURVEYS[name].settings
        wanted = any(field.is_required() for field in model.model_fields.values())
        sections[name] = (
            (model | None, setting(_meaning(model), None))
            if wanted
            else (
                model,
                setting(_meaning(model), model()),
            )
        )
    for objective in objectives:
        entry = OBJECTIVES[objective]
        for name in entry.sections:
            field = entry.settings.model_fields[name]
            sections[name] = (field.annotation | None, setting(field.description, None))
    for name in sections.keys() & Configuration.model_fields.keys():
        raise InputError(f"{name}: a survey or an objective may not have the name of a section of the configuration")
    return create_model("Configuration", __base__=Configuration, **sections)


def _meaning(model: type[Typed]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def check_configuration(config: Mapping[str, Any]) -> Configuration:
    """Check a configuration, as laid together from config.yaml, presets and the command line.

    Parameters
    ----------
    config
        The whole configuration.

    Raises
    ------
    InputError
        At the first thing that is wrong: one line with the key, its value and what is allowed.
    """
    model = configuration_model()
    try:
        checked = model.model_validate(config)
    except ValidationError as error:
        raise InputError(in_one_line(model, error)) from None
    # A bundle reads nothing of the survey.
    if checked.bundle is None:
        SURVEYS[checked.survey].check(checked.section(checked.survey))
    return checked
