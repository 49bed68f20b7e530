"""The whole configuration: its sections, and the checks that look at several of them."""

import functools
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo

from astromae.classical import METHODS
from astromae.contracts.stamp_format import StampFormat
from astromae.contracts.votes import voted
from astromae.encoders import ENCODERS
from astromae.errors import InputError
from astromae.objectives import OBJECTIVES
from astromae.settings.base import (
    HERE,
    AnyOf,
    Count,
    Fraction,
    Name,
    Refused,
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
from astromae.settings.experiments import Experiment, Model, Sample
from astromae.settings.messages import in_one_line
from astromae.settings.studies import OWN, Study
from astromae.settings.training import Augmentation, Finetuning, Phase, Scaling, Training
from astromae.survey import SURVEYS
from astromae.tasks import TASKS, NamedTask, task_of
from astromae.typed import Typed

# The Inception branch pools 32 pixels to 4, which its 192 features take for granted (figure 3 of the paper).
_INCEPTION_SIDE = 32

# Names of files beside those that carry the name of an experiment or a table.
_TAKEN = {
    "experiment": {"survey": "results/values/survey.json holds the survey's numbers"},
    "table": {
        "cost": "results/tables/cost.csv is the table of cost",
        "realism": "results/tables/realism.csv holds simulated stamps against real ones",
    },
}


# Folders of results, where a study has one of its own name.
_FOLDERS = (
    *("catalog", "checkpoints", "encoders", "figures", "logs", "models", "paper", "preflight", "rebuilt", "report"),
    *("samples", "splits", "stamps", "survey", "tables", "values"),
)


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
    predict: Text | None = setting("A list of galaxies, for the target `predictions`.", None)
    model: Text | None = setting("The model that predicts them: a folder of results/models, or an archive.", None)
    plugins: AnyOf[Text] = setting(
        "Python files that add surveys, encoders, objectives, tasks, classical methods or figures.", ()
    )
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
    studies: dict[Name, Study] = setting("Studies, each a target of its own; workflow/studies holds them.", {})

    def section(self, name: str) -> Any:
        """Return the section of a survey or of an objective."""
        return getattr(self, name)

    def task(self, sample: str) -> NamedTask:
        """Return the task of an experiment or a study with its settings, as recipes and files name it."""
        name = self.sample(sample).task
        own = getattr(self.section("tasks"), name, None)
        return name if own is None else {"task": name, **own.model_dump(mode="json")}

    def stamp_format(self) -> StampFormat:
        """Return bands, pixel scale and size of the survey's stamps."""
        return SURVEYS[self.survey].stamps(self.section(self.survey), self.stamps.size)

    def sample(self, name: str) -> Sample:
        """Return an experiment or a study."""
        return self.studies[name] if name in self.studies else self.experiments[name]

    def of_sample(self, name: str) -> "Configuration":
        """Return the configuration of an experiment, which is this one, or of a study, with the study's own settings.

        The backbones of a study's are those of its encoders, by their names.
        """
        if name not in self.studies:
            return self
        study = self.studies[name]
        own = {key: getattr(study, key) for key in (*OWN, *_objective_sections()) if getattr(study, key) is not None}
        backbones = {encoder: study.networks[network] for encoder, (_, network) in study.encoders().items()}
        return self.model_copy(update={**own, "backbones": backbones})

    def pretraining(self, name: str, encoder: str) -> Any:
        """Return the pretraining of an encoder of an experiment or of a study."""
        return self.studies[name].pretraining(encoder) if name in self.studies else self.experiments[name].pretraining

    def pretrained_encoders(self, experiment: str) -> list[str]:
        """Return the backbones that are pretrained for an experiment."""
        models = [self.models[name] for name in self.experiments[experiment].models]
        wanted = {model.encoder for model in models if model.pretrained}
        return [name for name in self.backbones if name in wanted]

    @model_validator(mode="after")
    def _check(self) -> "Configuration":
        for key, other in (("predict", "model"), ("model", "predict")):
            if getattr(self, key) is not None and getattr(self, other) is None:
                raise problem(f"{key} is given and {other} is not; give both: --config predict=LIST model=FOLDER")
            if getattr(self, key) is not None and re.search(r"[{}]", getattr(self, key)):
                raise wrong(key, getattr(self, key), "a path without braces, which Snakemake takes for wildcards")
        if self.section(self.survey) is None:
            raise missing(self.survey)
        self._check_references()
        for name, backbone in self.backbones.items():
            with section(f"backbones.{name}"):
                self._check_backbone(backbone)
        self._check_crop()
        inception = [name for name, model in self.models.items() if model.inception]
        if inception and self.scaling.crop != _INCEPTION_SIDE:
            allowed = f"{_INCEPTION_SIDE} while a model has inception: true ({inception[0]})"
            raise wrong("scaling.crop", self.scaling.crop, allowed)
        # Those of studies are checked where a study is run: most runs make none.
        for name, experiment in self.experiments.items():
            if experiment.study is None:
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
            if experiment.study is not None and experiment.study not in self.studies:
                allowed = f"null or a name in section studies: {', '.join(self.studies)}"
                raise wrong(f"experiments.{name}.study", experiment.study, allowed)
        if all(experiment.study is not None for experiment in self.experiments.values()):
            raise problem("experiments: all of them belong to studies; leave one to every run, with study: null")

    def _check_backbone(self, backbone: Any) -> None:
        """Check that a network fits the crop."""
        for key, allowed in ENCODERS[backbone.network].problems(backbone, self.scaling.crop):
            raise wrong(key, _value(backbone, key), allowed)

    def _check_crop(self) -> None:
        """Check that stamps, crop and rotation fit together."""
        crop, size = self.scaling.crop, self.stamp_format().size
        rotated = self.augmentation.rotation_deg > 0 and self.augmentation.rotate_before_crop
        # A stamp has no middle pixel that an odd crop could have for its own.
        fitting = [side for side in range(2, size + 1, 2) if self.augmentation.source_size(side) <= size]
        if crop not in fitting:
            why = "so that a rotated crop stays inside the stamp" if rotated else "the stamp's size"
            raise wrong("scaling.crop", crop, f"an even number, at most {fitting[-1]}, {why}")

    def check_study(self, name: str) -> None:
        """Check a study, and the experiments that belong to it, with the rest of the run.

        Raises
        ------
        InputError
            At the first thing that is wrong: one line with the key, its value and what is allowed.
        """
        try:
            with section(f"studies.{name}"):
                self._check_study(name)
            for experiment, settings in self.experiments.items():
                if settings.study == name:
                    with section(f"experiments.{experiment}"):
                        self._check_experiment(experiment)
        except Refused as refused:
            raise InputError(f"configuration: {refused.said('')}") from None

    def _check_study(self, name: str) -> None:
        """Check a study with what it names."""
        study, own = self.studies[name], self.of_sample(name)
        if self.evaluation.subset != "test":
            raise problem(f"evaluation.subset is {self.evaluation.subset}; a study's tables have test galaxies only")
        own._check_crop()
        for network, backbone in study.networks.items():
            with section(f"networks.{network}"):
                own._check_backbone(backbone)
        phases = {f"finetuning.{kind}": getattr(study.finetuning, kind) for kind in ("frozen", "unfrozen")}
        for key, objective in study.objectives.items():
            encoders = [encoder for encoder, pair in study.encoders().items() if pair[0] == key]
            if encoders:
                with section(f"objectives.{key}"):
                    own._check_objective(objective.pretraining, encoders)
                phases[f"objectives.{key}.pretraining"] = objective.pretraining
        with section("finetuning.unfrozen"):
            for network in study.used_networks():
                self._check_encoder_training(study.finetuning.unfrozen, network, study.networks[network], True)
        self._check_votes(name)
        self._check_fractions(study)
        self._check_batches(phases)

    def _check_experiment(self, name: str) -> None:
        """Check an experiment with what it names."""
        experiment = self.experiments[name]
        encoders = self.pretrained_encoders(name)
        if encoders:
            experiment.check_subsets()
            self._check_objective(experiment.pretraining, encoders)
            if OBJECTIVES[experiment.pretraining.objective].labels:
                experiment.check_labelled()
        with section("finetuning"):
            for model in (self.models[model] for model in experiment.models):
                if model.encoder is not None and not model.frozen:
                    backbone = self.backbones[model.encoder]
                    self._check_encoder_training(experiment.finetuning, model.encoder, backbone, model.pretrained)
        self._check_votes(name)
        self._check_fractions(experiment)
        self._check_batches({phase: experiment.phase(phase) for phase in ("pretraining", "finetuning")})

    def _check_encoder_training(self, finetuning: Finetuning, encoder: str, backbone: Any, pretrained: bool) -> None:
        """Check that an encoder that is not frozen can be trained as `finetuning` says."""
        network = ENCODERS[backbone.network]
        if finetuning.drop_path and network.add_drop_path is None:
            allowed = f"0 while {encoder} is trained: {network.title} has no residual branches"
            raise wrong("drop_path", finetuning.drop_path, allowed)
        if finetuning.layer_decay is not None and pretrained and network.layer_of is None:
            allowed = f"null while {encoder} is pretrained and trained on: {network.title} does not name its layers"
            raise wrong("layer_decay", finetuning.layer_decay, allowed)

    def _check_votes(self, name: str) -> None:
        """Check that the survey has the votes on shapes that a sample's task learns from."""
        # A bundle has the predictions, and the table of votes need not be on this machine.
        wanted = [] if self.bundle else voted(task_of(self.task(name)).targets)
        try:
            given = SURVEYS[self.survey].votes(self.section(self.survey)) if wanted else ()
        except InputError as error:
            raise problem(str(error)) from None
        lacking = [question for question in wanted if question not in given]
        if lacking:
            source = ": set sdss.galaxy_zoo" if self.survey == "sdss" and not given else ""
            has = f"it has them on {', '.join(given)} (tasks.morphology.questions)" if given else "it has none"
            raise problem(
                f"{{here}}task is {self.sample(name).task}, and the survey {self.survey} has no votes on "
                f"{', '.join(lacking)}; {has}{source}"
            )

    def _check_fractions(self, sample: Sample) -> None:
        """Check that every subset gets a galaxy."""
        galaxies = getattr(self.section(self.survey), "galaxies", None)
        for subset, fraction in sample.fractions.model_dump().items():
            if isinstance(galaxies, int) and 0 < fraction * galaxies < 1:
                least = f"at least {1 / galaxies:.2g}: one of {self.survey}.galaxies ({galaxies})"
                allowed = f"0, or {least}" if subset.startswith("pretrain") else least
                raise wrong(f"fractions.{subset}", fraction, allowed)

    def _check_batches(self, phases: Mapping[str, Phase]) -> None:
        """Check that every GPU gets a stamp of a batch."""
        processes = self.training.gpus * self.training.nodes
        for name, phase in phases.items():
            if phase.batch_size < processes:
                raise wrong(f"{name}.batch_size", phase.batch_size, f"at least {processes}, one stamp for each GPU")

    def _check_objective(self, pretraining: Any, encoders: list[str]) -> None:
        """Check that an objective has all that it reads, and can teach each encoder."""
        entry = OBJECTIVES[pretraining.objective]
        for name in entry.sections:
            if self.section(name) is None:
                raise problem(f"{name} is missing; {HERE}pretraining.objective {pretraining.objective} reads it")
        settings = self.objective_settings(pretraining)
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
        taken = {**_TAKEN, "model": dict.fromkeys(METHODS, "it is a classical method")}
        for kind, names in named.items():
            for key, name in names.items():
                if name in taken[kind]:
                    raise problem(f"{key}: {name} names no {kind}, since {taken[kind][name]}; rename it")
        for name in self.studies:
            if name in self.experiments or name in _FOLDERS:
                taken = f"experiments.{name}" if name in self.experiments else f"the folder results/{name}"
                raise problem(f"studies.{name}: {name} names no study, since it names {taken}; rename it")
        for name in self.experiments:
            # The figures of a large experiment are divided by group.
            stem, _, group = name.rpartition("-")
            if group in ("scratch", "pretrained", "baselines") and stem in self.experiments:
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
    return _configuration_model(tuple(SURVEYS), tuple(OBJECTIVES), tuple(TASKS))


@functools.cache
def _configuration_model(
    surveys: tuple[str, ...], objectives: tuple[str, ...], tasks: tuple[str, ...]
) -> type[Configuration]:
    sections: dict[str, Any] = {"tasks": _tasks_section(tasks)}
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
    of_objectives = {
        name: (field.annotation | None, setting(field.description, None))
        for name, field in _objective_sections().items()
    }
    study = create_model("Study", __base__=Study, __doc__=Study.__doc__, **of_objectives)
    sections |= {**of_objectives, "studies": (dict[Name, study], Configuration.model_fields["studies"])}
    for name in sections.keys() & Configuration.model_fields.keys() - {"studies"}:
        raise InputError(f"{name}: a survey or an objective may not have the name of a section of the configuration")
    return create_model("Configuration", __base__=Configuration, **sections)


def _tasks_section(names: tuple[str, ...]) -> Any:
    """Return the field of the settings of tasks that have some."""
    models = {name: TASKS[name].settings for name in names if TASKS[name].settings is not None}
    fields = {name: (model, setting(_meaning(model), model())) for name, model in models.items()}
    section = create_model("Tasks", __base__=Typed, __doc__="What tasks predict, where they leave a choice.", **fields)
    return section, setting("What tasks predict, where they leave a choice.", section())


def _objective_sections() -> dict[str, FieldInfo]:
    """Return the sections of the configuration that objectives read, by name."""
    entries = [OBJECTIVES[name] for name in OBJECTIVES]
    return {name: entry.settings.model_fields[name] for entry in entries for name in entry.sections}


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
