"""Model cards: what a trained model is, what it learnt from, how good it is, and what not to trust it with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from astromae import __version__
from astromae.classical import METHODS
from astromae.classical.neighbours import keep_galaxies
from astromae.classical.recipe import ClassicalRecipe
from astromae.code_state import in_words
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns, read_catalog, read_provenance
from astromae.contracts.densities import read_densities
from astromae.contracts.predictions import Predictions, read_predictions
from astromae.contracts.splits import read_split
from astromae.errors import InputError
from astromae.evaluation.bootstrap import resampled_indices
from astromae.evaluation.conformal import LEVELS
from astromae.evaluation.densities import galaxy_scores
from astromae.evaluation.intervals import estimate_mean
from astromae.evaluation.scores import score
from astromae.objectives import OBJECTIVES
from astromae.predict import FittedMethod, TrainedEncoder, TrainedModel, load_model
from astromae.settings.evaluation import Evaluation
from astromae.survey import SURVEYS
from astromae.tables.formatting import decimals_for, fixed, grouped
from astromae.tables.names import encoder_name, model_name
from astromae.tasks import task_name, task_of, task_settings
from astromae.tasks.networks import count_parameters
from astromae.training.folders import PROVENANCE, read_recipe
from astromae.training.recipes import EncoderRecipe, ModelRecipe

_PREDICTIONS = "predictions.parquet"

#: Quantiles of the ranges that a card gives, which leave out the odd galaxy.
_RANGE = (0.01, 0.99)

#: The survey of the default configuration: real galaxies, drawn.
_EMBEDDED = "embedded"

#: How a model, and an encoder, is asked from the command line; a list of galaxies is one of SDSS.
COMMAND = "astromae predict model.zip {given} -o answers.csv"
EMBED = "astromae embed model.zip {given} -o embeddings.h5"

#: What the metrics of redshifts are.
_OF_REDSHIFTS = (
    "With dz = (z_pred - z_spec) / (1 + z_spec): Bias is the mean of dz, Precision 1.48 times the median of |dz|, NMAD "
    "1.48 times the median distance of dz from its median, Outliers the fraction with |dz| > {threshold:g}. MSE and "
    "MAE are of z_pred - z_spec, and R² is 1 - MSE over the variance of z_spec."
)

_OF_DISTRIBUTIONS = (
    "CRPS is the mean continuous ranked probability score of the distributions, in units of redshift. The last lines "
    "are the fractions of galaxies whose redshift lies in the central interval of that probability: the nearer to it, "
    "the better."
)

_OF_SHAPES = (
    "Means over the questions, of the galaxies whose votes decide them: {decided:g} of all votes for one answer."
)


@dataclass(frozen=True)
class _Data:
    """What is known of the galaxies behind a model.

    Attributes
    ----------
    about
        What their catalogue says of itself; empty where it does not lie beside the folder.
    redshifts
        Of the galaxies that it learnt from, or, without a catalogue, of those that it was tested on; may be empty.
    of
        Which ones these are.
    magnitudes
        Of the galaxies that it learnt from, dereddened, a column a band; empty without a catalogue.
    """

    about: Mapping[str, Any]
    redshifts: np.ndarray
    of: str
    magnitudes: pd.DataFrame

    @property
    def survey(self) -> str | None:
        return self.about.get("survey")

    @property
    def simulated(self) -> bool | None:
        """Whether the pixels are simulated; None where that is not known."""
        return SURVEYS[self.survey].simulated if self.survey in SURVEYS else None


def model_card(folder: Path) -> str:
    """Return the model card of a folder, Markdown.

    The survey and the ranges of its galaxies come from the catalogue and the split of the run that the folder lies in,
    as ``results/models/{experiment}/{model}/seed{seed}`` does. Of a folder that was copied elsewhere, the card says
    that they are not known.

    Parameters
    ----------
    folder
        Folder of a model, an encoder or a classical method.

    Raises
    ------
    InputError
        If the folder cannot be loaded, or its provenance or predictions cannot be read.
    """
    folder, model = Path(folder), load_model(folder)
    recipe, about, made = model.recipe, read_recipe(folder), _read_provenance(folder)
    has_predictions = not isinstance(recipe, EncoderRecipe) and (folder / _PREDICTIONS).is_file()
    predictions = read_predictions([folder / _PREDICTIONS]) if has_predictions else None
    data = _data(folder, recipe, predictions, _bands(model))
    title = encoder_name(recipe.name) if isinstance(recipe, EncoderRecipe) else model_name(recipe.model)
    parts = {
        f"# {title}": [_summary(recipe, data)],
        "## What it is": _what(folder, model),
        "## Data": _data_lines(model, about, data),
        "## Metrics": _metrics(folder, predictions),
        "## Use and limits": _limits(model, data),
        "## Licence": [_licence(data)],
        "## How to use it": _usage(model),
        "## Made with": _made_with(made),
    }
    return "\n\n".join("\n".join([heading, "", *lines]) for heading, lines in parts.items()) + "\n"


def _read_provenance(folder: Path) -> dict[str, Any]:
    path = folder / PROVENANCE
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        dict(made["versions"]), dict(made["code"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the provenance of a training ({error})") from error
    return made


def _bands(model: TrainedModel | TrainedEncoder | FittedMethod) -> Sequence[str]:
    return model.bands if isinstance(model, FittedMethod) else model.session.scaling.bands


def _data(
    folder: Path,
    recipe: ModelRecipe | EncoderRecipe | ClassicalRecipe,
    predictions: Predictions | None,
    bands: Sequence[str],
) -> _Data:
    """Return what the run that a folder lies in knows of its galaxies."""
    tested = np.empty(0) if predictions is None else predictions.targets.get("z_spec", np.empty(0))
    unknown = _Data({}, tested, "test galaxies", pd.DataFrame())
    parents = folder.resolve().parents
    if len(parents) < 4:
        return unknown
    catalog, split = parents[3] / "catalog/galaxies.parquet", parents[3] / f"splits/{recipe.experiment}.parquet"
    if not (catalog.is_file() and split.is_file()):
        return unknown
    magnitudes = magnitude_columns(bands)
    galaxies = read_catalog(catalog, ["objid", "z", *magnitudes]).set_index("objid")
    # A catalogue that was made again since, or another run's, tells nothing of this model.
    if predictions is not None and not set(predictions.objid) <= set(galaxies.index):
        return unknown
    subsets = read_split(split)
    learnt = recipe.pretrain_on if isinstance(recipe, EncoderRecipe) else ("train",)
    galaxies = galaxies.reindex(subsets.objid[subsets.subset.isin(learnt)])
    named = galaxies[magnitudes].set_axis(list(bands), axis=1)
    return _Data(read_provenance(catalog), galaxies["z"].dropna().to_numpy(), "galaxies that it learnt from", named)


def _reads_pixels(recipe: ModelRecipe | EncoderRecipe | ClassicalRecipe) -> bool:
    if isinstance(recipe, ClassicalRecipe):
        return METHODS[recipe.model].stamps
    return isinstance(recipe, EncoderRecipe) or recipe.branches.encoder is not None or recipe.branches.inception


def _reads_magnitudes(recipe: ModelRecipe | EncoderRecipe | ClassicalRecipe) -> bool:
    if isinstance(recipe, ClassicalRecipe):
        return not METHODS[recipe.model].stamps
    return isinstance(recipe, ModelRecipe) and recipe.branches.magnitude


def _summary(recipe: ModelRecipe | EncoderRecipe | ClassicalRecipe, data: _Data) -> str:
    if isinstance(recipe, EncoderRecipe):
        what = "Features of galaxies, from their images."
    elif task_of(recipe.task).density is not None:
        what = f"The {task_of(recipe.task).title} of galaxies, as a whole distribution for each."
    else:
        what = f"The {task_of(recipe.task).title} of galaxies."
    return f"{what} {_pixels(data)}"


def _pixels(data: _Data) -> str:
    """Say whether the pixels are simulated."""
    if data.survey == _EMBEDDED:
        return "**Pixels are simulated; fluxes and redshifts are of real galaxies.**"
    if data.simulated is None:
        return "**Whether its pixels were real or simulated is not recorded: ask who trained it.**"
    return "**Pixels are simulated.**" if data.simulated else "Pixels are real."


def _what(folder: Path, model: TrainedModel | TrainedEncoder | FittedMethod) -> list[str]:
    """Say what a model is made of."""
    recipe = model.recipe
    if isinstance(recipe, ClassicalRecipe):
        method = METHODS[recipe.model]
        reads = f"stamps of {recipe.crop} px" if method.stamps else "dereddened magnitudes alone, no pixels"
        values = sum(array.size for array in model.fitted.values())
        kept = ": what it measures of its training galaxies, and their labels" if method.fit is keep_galaxies else ""
        return [
            f"- Kind: classical method `{recipe.model}`, no network; reads {reads}",
            f"- Predicts: {_predicts(recipe)}",
            f"- Fitted: {grouped(values)} numbers{kept}",
        ]
    if isinstance(recipe, EncoderRecipe):
        return [
            f"- Encoder: {_network(recipe)}",
            f"- Pretraining: {OBJECTIVES[recipe.pretraining.objective].title}"
            + (f" of {task_of(recipe.task).title}" if recipe.task else ", without labels"),
            f"- Gives: features, {model.encoder.width} numbers a galaxy",
            f"- Parameters: {grouped(count_parameters(model.encoder)[0])}",
        ]
    branches, parts = recipe.branches, []
    if branches.encoder is not None:
        frozen = ", frozen" if branches.frozen else ", trained further" if branches.pretrained else ""
        parts.append(f"encoder `{branches.encoder}` ({_network(recipe)}; {_pretraining(folder, recipe)}{frozen})")
    parts += ["Inception"] * branches.inception + ["dereddened magnitudes"] * branches.magnitude
    total, trained = count_parameters(model.network)
    learnt = "all" if trained == total else grouped(trained)
    return [
        f"- Branches: {', '.join(parts)}" + "; one linear layer joins them" * branches.linear,
        f"- Predicts: {_predicts(recipe)}",
        f"- Parameters: {grouped(total)}, {learnt} of them trained with labels",
    ]


def _predicts(recipe: ModelRecipe | ClassicalRecipe) -> str:
    task = task_of(recipe.task)
    columns = ", ".join(f"`{column}`" for column in task.columns)
    if task.density is None:
        return f"{task.title} (task `{task_name(recipe.task)}`; columns {columns})"
    return (
        f"{task.title} (task `{task_name(recipe.task)}`): the probability of each of {len(task.edges) - 1} bins from "
        f"{task.edges[0]:g} to {task.edges[-1]:g} (column `{task.density}`), and of it {columns}"
    )


def _network(recipe: ModelRecipe | EncoderRecipe) -> str:
    """Return the kind of a backbone with its sizes, those that are plain numbers."""
    settings = recipe.backbone.model_dump(mode="json")
    sizes = [f"{name} {value}" for name, value in settings.items() if type(value) is int]
    return ", ".join([recipe.backbone.network, *sizes])


def _pretraining(folder: Path, recipe: ModelRecipe) -> str:
    """Say how a model's encoder was pretrained, from the folder of the encoder in the same run."""
    if not recipe.branches.pretrained:
        return "random weights" if recipe.branches.frozen else "from scratch"
    parents = folder.resolve().parents
    if len(parents) > 3:
        encoder = parents[3] / "encoders" / recipe.branches.encoder / recipe.experiment / folder.resolve().name
        try:
            about = read_recipe(encoder)
            objective = OBJECTIVES[about["recipe"]["pretraining"]["objective"]]
            labels = "with" if objective.labels else "without"
            return f"pretrained ({objective.title}) on {grouped(about['stamps'])} stamps {labels} labels"
        except (InputError, KeyError, TypeError):
            pass
    return "pretrained; how is not recorded here"


def _data_lines(
    model: TrainedModel | TrainedEncoder | FittedMethod, about: Mapping[str, Any], data: _Data
) -> list[str]:
    """Say what a model learnt from."""
    if data.survey is None:
        lines = ["- Survey: not recorded beside this folder"]
    else:
        title = f" ({SURVEYS[data.survey].title})" if data.survey in SURVEYS else ""
        release = f", data release {data.about['release']}" if data.about.get("release") else ""
        lines = [f"- Survey: `{data.survey}`{title}{release}"]
    lines += [
        f"- {label}: {data.about[key]}"
        for key, label in (
            ("source", "Source"),
            ("selection", "Selection"),
            ("real", "Real"),
            ("simulated", "Simulated"),
        )
        if data.about.get(key)
    ]
    count, recipe = about.get("train_galaxies", about.get("stamps")), model.recipe
    if count is not None:
        kind = "Stamps" if isinstance(recipe, EncoderRecipe) else "Training galaxies, with labels"
        lines.append(f"- {kind}: {grouped(count)}")
    lines += [f"- Experiment: `{recipe.experiment}`", f"- Seed: {about['seed']}"]
    bands, pixels = ", ".join(_bands(model)), _reads_pixels(recipe)
    if isinstance(model, FittedMethod) or not pixels:
        lines.append(f"- Bands: {bands}")
        if pixels:
            lines.append(f"- Stamps: the {recipe.crop} x {recipe.crop} px in the centre are measured")
    else:
        stamps = model.session.scaling.stamps
        lines += [
            f"- Bands: {bands}; {stamps.pixel_scale_arcsec:g} arcsec a pixel",
            f"- Stamps: {stamps.size} x {stamps.size} px; it sees the {recipe.crop} x {recipe.crop} in the centre",
        ]
    units = ["pixels in nanomaggies"] * pixels + ["magnitudes AB, dereddened"] * _reads_magnitudes(recipe)
    lines.append(f"- Units: {'; '.join(units)}")
    return [*lines, *_ranges(model, data)]


def _ranges(model: TrainedModel | TrainedEncoder | FittedMethod, data: _Data) -> list[str]:
    """Say which redshifts and magnitudes a model knows."""
    lines = []
    if len(data.redshifts):
        low, high = np.quantile(data.redshifts, _RANGE)
        ends = f"{data.redshifts.min():.4f} to {data.redshifts.max():.4f}"
        lines.append(f"- Redshifts of the {data.of}: {ends}; 98 % of them from {low:.3f} to {high:.3f}")
    if len(data.magnitudes):
        limits = data.magnitudes.quantile(list(_RANGE))
        each = ", ".join(f"{band} {limits[band].iloc[0]:.1f} to {limits[band].iloc[1]:.1f}" for band in limits)
        lines.append(f"- Magnitudes of the {data.of}, 98 % of them: {each}")
    else:
        # What the folder itself says, wherever it lies.
        seen = model.seen if isinstance(model, FittedMethod) else model.session.scaling.seen
        ranges = {band: seen[f"mag:{band}"] for band in _bands(model) if f"mag:{band}" in seen}
        if ranges:
            each = ", ".join(f"{band} {low:.1f} to {high:.1f}" for band, (low, high) in ranges.items())
            lines.append(f"- Magnitudes of its training galaxies, all of them: {each}")
    return lines


def _metrics(folder: Path, predictions: Predictions | None) -> list[str]:
    """Return the metrics of the test galaxies with intervals, as a table."""
    if predictions is None:
        return ["None: no predictions lie beside its weights."]
    settings, task = Evaluation(), task_of(predictions.task)
    scores = score(predictions, settings)
    rows = []
    for name, metric in scores.metrics.items():
        low, high = scores.limits(name)
        rows.append((metric.printed, float(scores.value(name)[0]), float(low[0]), float(high[0])))
    notes = []
    if "z_pred" in task.columns:
        notes.append(_OF_REDSHIFTS.format(threshold=settings.outlier_threshold))
    if task.density is not None:
        rows += _of_distributions(folder / _PREDICTIONS, settings)
        notes.append(_OF_DISTRIBUTIONS)
    if task.settings is not None and "decided" in task.settings.model_fields:
        notes.append(_OF_SHAPES.format(decided=task_settings(predictions.task).decided))
    interval = f"{100 * settings.interval:g} %"
    return [
        f"On {grouped(len(predictions.objid))} test galaxies, which it did not learn from, of the same survey:",
        "",
        f"| metric | value | {interval} interval |",
        "| --- | ---: | ---: |",
        *(_row(*row) for row in rows),
        "",
        f"Intervals tell of these galaxies ({grouped(settings.bootstrap_samples)} bootstrap samples) and of this one "
        "training: another seed gives another model. " + " ".join(notes),
    ]


def _of_distributions(path: Path, settings: Evaluation) -> list[tuple[str, float, float, float]]:
    """Return metrics of distributions, on the same resampled galaxies as the others."""
    given = read_densities(path)
    scores = galaxy_scores(given.edges, given.masses, given.target)
    values = {"CRPS": scores["crps"]} | {
        f"Inside {100 * level:g} %": (np.abs(scores["pit"] - 0.5) <= level / 2).astype(np.float64) for level in LEVELS
    }
    count = len(given.objid)
    drawn = [resampled_indices(count, number, settings.seed) for number in range(settings.bootstrap_samples)]
    rows = []
    for name, each in values.items():
        resampled = np.array([[each[indices].mean() for indices in drawn]])
        low, high = estimate_mean(np.array([each.mean()]), resampled, settings.interval).limits(settings.interval)
        rows.append((name, float(each.mean()), float(low), float(high)))
    return rows


def _row(name: str, value: float, low: float, high: float) -> str:
    decimals = decimals_for((high - low) / 2)
    if np.isnan(value):
        return f"| {name} | not defined | |"
    return f"| {name} | {fixed(value, decimals)} | {fixed(low, decimals)} to {fixed(high, decimals)} |"


def _limits(model: TrainedModel | TrainedEncoder | FittedMethod, data: _Data) -> list[str]:
    """Say what a model is for, and what not to trust it with."""
    recipe = model.recipe
    pixels = _reads_pixels(recipe)
    reads = "images with the same bands, pixel scale, units and depth" if pixels else "magnitudes of the same kind"
    lines = [f"For galaxies like those that it learnt from, with {reads}, and for studies of the method.", ""]
    if data.simulated and pixels:
        lines.append(
            "- It has never seen a real image: before it answers about any, test it on such images with known answers."
        )
    elif data.simulated:
        lines.append("- It reads no pixels, so that these are simulated does not touch its answers.")
    lines.append(
        "- Do not trust it outside the magnitudes and redshifts of the galaxies that it learnt from: there its answers "
        "are guesses, and look like any other."
    )
    if not isinstance(recipe, EncoderRecipe):
        lines += [
            "- Galaxies with spectra are brighter than most: on others it may be worse than its metrics say.",
            "- It takes every object for a galaxy: stars, quasars and faulty images get answers too.",
        ]
        if data.simulated and task_name(recipe.task) == "morphology":
            lines.append("- Its labels follow from the drawn shapes: no person has voted.")
    return lines


def _licence(data: _Data) -> str:
    if data.survey == _EMBEDDED:
        return "MIT, these weights as well as the code that trained them (astromae)."
    return (
        "The code that trained it (astromae) is under the MIT licence. Those who give these weights away say under "
        "which terms; credit the survey that they come from."
    )


def _usage(model: TrainedModel | TrainedEncoder | FittedMethod) -> list[str]:
    """Say how to load a model and to ask it."""
    bands, recipe = _bands(model), model.recipe
    joined = ", ".join(bands)
    stamps = f"stamps: nanomaggies a pixel, (n, {len(bands)}, size, size), bands {joined}, north up, galaxy centred"
    if recipe.crop is not None:
        stamps += f", {recipe.crop} px or more"
    magnitudes = f"magnitudes: AB, dereddened, (n, {len(bands)}), bands {joined}"
    if isinstance(recipe, EncoderRecipe):
        notes, call = [stamps], 'model.predict(stamps)["features"]'
    elif isinstance(recipe, ModelRecipe):
        columns = task_of(recipe.task).columns
        if not _reads_pixels(recipe):
            stamps = (
                f"stamps: any numbers (n, {len(bands)}, {recipe.crop}, {recipe.crop}); it counts them, and reads none"
            )
        notes, given = [stamps], "stamps"
        if recipe.branches.magnitude:
            notes, given = [stamps, magnitudes], "stamps, magnitudes"
        call = f'model.predict({given})["{columns[0]}"]'
    else:
        given = "stamps" if METHODS[recipe.model].stamps else "magnitudes"
        notes = [stamps if given == "stamps" else magnitudes]
        call = f'model.predict({given}={given})["{task_of(recipe.task).columns[0]}"]'
    command, given = ("embed", EMBED) if isinstance(recipe, EncoderRecipe) else ("predict", COMMAND)
    return [
        f"From the command line (`astromae {command} --help` says more):",
        "",
        "```",
        given.format(given="galaxies.csv" if tuple(bands) == BANDS else "stamps.npz"),
        "```",
        "",
        "From Python:",
        "",
        "```python",
        "from astromae import load_model",
        "",
        'model = load_model("model.zip")',
        *(f"# {note}" for note in notes),
        f"answers = {call}",
        "```",
    ]


def _made_with(made: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made["versions"].items()))
    lines = [
        f"- Trained by {in_words({'version': 'of an unknown version', **made['code']})}",
        f"- Versions: {versions}",
    ]
    if made.get("device"):
        lines.append(f"- Machine: {made.get('devices', 1)} x {made['device']}")
    return [*lines, f"- This card was written by astromae {__version__}, from recipe, provenance and predictions"]
