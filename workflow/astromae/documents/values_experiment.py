"""The numbers that the paper quotes of an experiment, as text, and the orders that its galaxies and seeds support."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from astromae.code_state import in_words
from astromae.contracts.densities import read_densities
from astromae.contracts.predictions import CLASSICAL, read_predictions
from astromae.contracts.splits import read_split
from astromae.contracts.votes import QUESTIONS
from astromae.errors import InputError
from astromae.evaluation.comparisons import METRIC, comparable, compare
from astromae.evaluation.records import read_json
from astromae.evaluation.scores import score
from astromae.files import write_json
from astromae.settings.evaluation import Evaluation
from astromae.tables.calibration import PRINTED, read_calibration_table
from astromae.tables.costs import cost_columns, formatted_costs, read_cost_table
from astromae.tables.formatting import duration, formatted_rows, grouped, hours, power_of_ten, short
from astromae.tables.metrics import read_table
from astromae.tables.names import model_name
from astromae.tasks import Metric, NamedTask, task_name, task_of, task_settings

#: The metric that is quoted in sentences, where a task has it; else its first.
HEADLINE = "nmad"


def write_experiment_values(
    experiment: str,
    settings: dict[str, Any],
    evaluation: Evaluation,
    split: Path,
    table: Path,
    models: Path,
    costs: Path,
    predictions: Sequence[Path],
    provenance: Sequence[Path],
    output: Path,
    calibration: Path | None = None,
) -> None:
    """Write the named values of an experiment as JSON. All numbers in it are text, ready to be printed.

    Parameters
    ----------
    experiment
        Its name in the configuration.
    settings, evaluation
        Its own section of the configuration, and the section ``evaluation``.
    split
        Its split: objid, subset.
    table
        Its table (`astromae.tables.metrics`).
    models
        Parameters of every configured model (``astromae models --json``).
    costs
        Table of what every training took (`astromae.tables.costs`).
    predictions
        All its predictions, for paired comparisons.
    provenance
        What its trainings recorded, each in a provenance.json.
    output
        File to write.
    calibration
        Table of the calibration of distributions (`astromae.tables.calibration`), where the task has them.

    Raises
    ------
    InputError
        If a file cannot be read or is of another experiment, or the tables are not of test galaxies.
    """
    if evaluation.subset != "test":
        raise InputError(
            f"evaluation.subset is {evaluation.subset}: documents tell of test galaxies only; make the target `tables`"
        )
    task = settings.get("task", "redshift")
    metrics = task_of(task).metrics
    subsets = read_split(split)["subset"].value_counts().to_dict()
    rows = read_table(table, metrics)
    described = {row["name"]: row for row in read_json(models)}
    data = read_predictions(predictions)
    if data.experiment != experiment:
        raise InputError(f"{predictions[0]}: of experiment {data.experiment!r}, not {experiment!r}")
    recorded = [read_json(path) for path in provenance]
    headline = HEADLINE if HEADLINE in metrics else next(iter(metrics))
    networks = rows[rows["group"] != CLASSICAL]
    assembled = [name for name in networks["model"] if _is_astromae(described.get(name, {}))]
    took = read_cost_table(costs)
    costs_as_text = formatted_costs(took[took["experiment"] == experiment])
    # Only the dispersion in redshift was published and is asked about.
    printed = rows.set_index("model").get(f"{METRIC}_published", pd.Series(dtype=float)).dropna()
    answers = compare(score(data, evaluation), printed) if comparable(metrics) else []
    write_json(
        output,
        {
            "experiment": experiment,
            "title": settings["title"],
            "table": settings["table"],
            "task": task,
            "subsets": {name: grouped(count) for name, count in subsets.items()},
            "labelled": grouped(sum(subsets.get(name, 0) for name in ("train", "val", "test"))),
            "pretrain_on": settings["pretrain_on"],
            "pretrain_galaxies": grouped(sum(subsets.get(name, 0) for name in settings["pretrain_on"])),
            "saw_test_images": "test" in settings["pretrain_on"],
            "n_test": grouped(int(rows["n_test"].iloc[0])),
            "seeds": [str(seed) for seed in sorted({seed for model in data.models for seed in model.seeds})],
            "phases": {phase: _phase_text(settings[phase]) for phase in ("pretraining", "finetuning")},
            "evaluation": {
                "samples": grouped(evaluation.bootstrap_samples),
                "interval": f"{100 * evaluation.interval:g}",
                "risk": f"{100 - 100 * evaluation.interval:.3g}",
                "outlier_threshold": f"{evaluation.outlier_threshold:g}",
                "seed": str(evaluation.seed),
            },
            "metrics": [{"key": name, "name": metric.printed} for name, metric in metrics.items()],
            "headline": {"key": headline, "name": metrics[headline].printed},
            "rows": [
                row | _parameters(described.get(row["model"], {}), experiment) for row in formatted_rows(rows, metrics)
            ],
            "best_network": _best(networks, networks["model"], headline, metrics[headline]),
            "best_astromae": _best(networks, assembled, headline, metrics[headline]),
            "best_classical": _best(rows, rows["model"][rows["group"] == CLASSICAL], headline, metrics[headline]),
            "comparisons": [answer.as_text() for answer in answers],
            "distributions": calibration and distributions_text(calibration, experiment, predictions[0], evaluation),
            "shapes": shapes_text(data.task),
            "encoders": _encoders(recorded),
            "views": _views(recorded),
            "cost_columns": [{"key": key, "name": head} for key, head in cost_columns(costs_as_text).items()],
            "costs": costs_as_text,
            "split_seed": str(settings["seed"]),
            "provenance": _provenance(recorded),
        },
    )


def _is_astromae(model: Mapping) -> bool:
    """Return whether a model has the branches of AstroMAE: a pretrained encoder, Inception and magnitudes."""
    return all(model.get(branch) for branch in ("encoder", "pretrained", "inception", "magnitude"))


def distributions_text(calibration: Path, experiment: str, predictions: Path, evaluation: Evaluation) -> dict[str, Any]:
    """Return what is said of an experiment's distributions.

    The best model is that with the smallest CRPS of those that are not recalibrated.
    """
    table = read_calibration_table(calibration)
    table = table[table["experiment"] == experiment]
    as_predicted = table[table["recalibrated"] == 0]
    best = as_predicted["crps"].idxmin()
    given = read_densities(predictions)
    settings = given.task if isinstance(given.task, dict) else {}
    return {
        "bins": str(len(given.edges) - 1),
        "z_max": f"{given.edges[-1]:g}",
        "head": settings.get("head", ""),
        "smoothed": settings.get("smoothing_bins", 0) > 0,
        "columns": [{"key": key, "name": name} for key, name in PRINTED.items()],
        "rows": [
            {
                "name": model_name(row["model"]),
                "recalibrated": bool(row["recalibrated"]),
                "best": index == best,
                "passes": bool(row["pit_ks_p"] > 1 - evaluation.interval),
                "cells": {key: short(row[key]) for key in PRINTED},
            }
            for index, row in zip(table.index, table.to_dict("records"), strict=True)
        ],
    }


def shapes_text(task: NamedTask) -> dict[str, Any] | None:
    """Return what is said of questions on shapes; None where the task asks none."""
    if task_name(task) != "morphology":
        return None
    asked = task_settings(task)
    return {
        "questions": [QUESTIONS[question].lower() for question in asked.questions],
        "decided": f"{100 * asked.decided:g}",
    }


def _parameters(model: Mapping, experiment: str) -> dict[str, str]:
    counts = model.get("of_experiments", {}).get(experiment, model)
    return {key: grouped(counts[key]) if key in counts else "" for key in ("parameters", "trainable")}


def _best(rows: pd.DataFrame, names: Iterable[str], key: str, metric: Metric) -> str:
    """Return the model with the best value of a metric among `names`; empty without any."""
    chosen = rows[rows["model"].isin(list(names))]
    return "" if chosen.empty else chosen["model"].iloc[int(metric.badness(chosen[key].to_numpy()).argmin())]


#: Keys of each kind of schedule; the configuration may hold those of the other kind too.
_SCHEDULE_KEYS = {"cosine": ("warmup",), "paper_steps": ("decay", "restart_every")}


def _phase_text(settings: Mapping) -> dict:
    """Return the settings of a phase of training as text."""
    optimiser, schedule = settings["optimiser"], settings["schedule"]
    kind = optimiser.get("kind", "adamw")
    # A preset that changes the objective leaves keys of the other one behind, as with kinds of optimisers.
    own = [key for key in ("mask_ratio", "noise_sigma") if key in settings]
    if settings.get("objective", "mae") != "mae":
        own = [key for key in own if key != "mask_ratio"]
    unit = "epochs" if settings.get("updates") is None else "updates"
    return {
        "unit": unit,
        "length": grouped(settings[unit]),
        "batch_size": grouped(settings["batch_size"]),
        "learning_rate": power_of_ten(optimiser["learning_rate"]),
        "optimiser": {"adamw": "AdamW", "sgd": "SGD", "lars": "LARS"}[kind],
        **({"betas": ", ".join(f"{beta:g}" for beta in optimiser["betas"])} if kind == "adamw" else {}),
        "weight_decay": f"{optimiser['weight_decay']:g}",
        "schedule": schedule["kind"],
        **{key: f"{settings[key]:g}" for key in own},
        **{
            key: grouped(schedule[key]) if key == "warmup" else f"{schedule[key]:g}"
            for key in _SCHEDULE_KEYS[schedule["kind"]]
        },
    }


def _encoders(recorded: Sequence[Mapping]) -> list[dict]:
    """Return the architecture of every encoder of a masked autoencoder, one entry a name, with its decoder's."""
    encoders = {}
    for entry in recorded:
        recipe = entry["recipe"]
        if "pretraining" not in recipe:
            continue
        if "decoder" not in recipe:
            continue
        backbone, decoder = recipe["backbone"], recipe["decoder"]
        module = backbone.get("pcm")
        encoders[recipe["name"]] = {
            "name": recipe["name"],
            **{key: str(backbone[key]) for key in ("patch", "width", "depth", "heads")},
            "decoder": {key: str(decoder[key]) for key in ("width", "depth", "heads")},
            "pcm": {key: str(value) for key, value in module.items()} if module else None,
            "normalised_targets": recipe["pretraining"]["normalise_targets"],
        }
    return list(encoders.values())


def _views(recorded: Sequence[Mapping]) -> dict[str, str]:
    """Return what networks see of a stamp, which is the same in all trainings."""
    recipe = next((entry["recipe"] for entry in recorded if "augmentation" in entry["recipe"]), None)
    if recipe is None:
        return {}
    return {
        "crop": str(recipe["scaling"]["crop"]),
        "softening_sigma": f"{recipe['scaling']['softening_sigma']:g}",
        "rotation_deg": f"{recipe['augmentation']['rotation_deg']:g}",
    }


def _provenance(recorded: Sequence[Mapping]) -> dict:
    """Return code, versions, devices and time of an experiment's trainings."""
    versions: dict[str, set[str]] = {}
    for entry in recorded:
        for package, version in entry["versions"].items():
            versions.setdefault(package, set()).add(version)
    seconds = [entry["wall_s"] for entry in recorded]
    return {
        "trainings": grouped(len(recorded)),
        "attempts": grouped(sum(entry["attempts"] for entry in recorded)),
        "time": duration(sum(seconds)),
        "longest": duration(max(seconds, default=0)),
        "cpu_hours": hours(sum(entry["cpu_hours"] for entry in recorded)),
        "gpu_hours": hours(sum(entry["gpu_hours"] for entry in recorded)),
        "memory_gb": f"{max((entry['peak_memory_mb'] for entry in recorded), default=0) / 1024:.1f}",
        "devices": sorted({_device(entry) for entry in recorded}),
        "code": sorted({in_words(entry["code"]) for entry in recorded}),
        "versions": [
            {"package": package, "version": ", ".join(sorted(found))} for package, found in sorted(versions.items())
        ],
    }


def _device(entry: Mapping) -> str:
    """Return the device of a training, with how many of them it had."""
    return entry["device"] if entry["devices"] == 1 else f"{entry['devices']} × {entry['device']}"
