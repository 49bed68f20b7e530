"""Predictions: the file that every table and figure is computed from, and what an experiment's files say together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.errors import InputError
from astromae.files import atomic_path
from astromae.tasks import NamedTask, Task, task_of

#: Group of the rows that are no network and not in the published tables.
CLASSICAL = "classical"


def prediction_columns(task: Task) -> tuple[str, ...]:
    """Return the columns of a task's predictions: object, labels, what is predicted, and subset (val or test)."""
    return "objid", *task.targets.values(), *written_columns(task), "subset"


def written_columns(task: Task) -> tuple[str, ...]:
    """Return the columns that hold what is predicted, distributions last."""
    return (*task.columns, *([task.density] if task.density else []))


def write_predictions(
    path: Path, table: pd.DataFrame, recipe: Mapping[str, Any], seed: int, train_galaxies: int
) -> None:
    """Write predictions with who made them.

    Parameters
    ----------
    path
        Parquet file to write.
    table
        `prediction_columns`; a column of several numbers a galaxy holds arrays.
    recipe
        `experiment`, `model`, `group` and `task` of the predictor.
    seed, train_galaxies
        Its seed, and the number of galaxies that it was trained on.

    Raises
    ------
    InputError
        If a prediction is not finite: names the model and the galaxies.
    """
    task = task_of(recipe["task"])
    finite = np.all([[np.isfinite(value).all() for value in table[column]] for column in written_columns(task)], axis=0)
    if not finite.all():
        bad = table.objid[~finite]
        raise InputError(f"{recipe['model']}: predictions that are not finite, objid {bad[:10].tolist()}")
    about = {key: recipe[key] for key in ("experiment", "model", "group", "task")}
    about |= {"seed": seed, "train_galaxies": train_galaxies}
    arrow = pa.Table.from_pandas(table[list(prediction_columns(task))], preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), b"astromae": json.dumps(about, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary)


@dataclass(frozen=True)
class ModelPredictions:
    """What one model predicts, one row a seed.

    Attributes
    ----------
    model, group
        Names as in the configuration.
    seeds
        Seed of each row; the same for every model of an experiment.
    predicted
        Of each column of its task's predictions the values, shape (seeds, galaxies) or (seeds, galaxies, k), in the
        order of the experiment's galaxies.
    """

    model: str
    group: str
    seeds: tuple[int, ...]
    predicted: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Predictions:
    """Every model's predictions for the same galaxies.

    Attributes
    ----------
    experiment
        Name as in the configuration.
    task
        Its task.
    objid
        Galaxies of one subset, ascending, shape (n,).
    targets
        Of each column of the task's targets the true values, shape (n,); NaN where the task allows for missing ones.
    train_galaxies
        Labelled galaxies that the models were trained on.
    models
        The models, in the order in which the files named them first.
    """

    experiment: str
    task: NamedTask
    objid: np.ndarray
    targets: Mapping[str, np.ndarray]
    train_galaxies: int
    models: tuple[ModelPredictions, ...]

    def of_galaxies(self, chosen: np.ndarray) -> "Predictions":
        """Return the predictions for the galaxies where `chosen`, shape (n,), is true."""
        models = tuple(
            replace(
                model, predicted={name: values.compress(chosen, axis=1) for name, values in model.predicted.items()}
            )
            for model in self.models
        )
        targets = {name: values[chosen] for name, values in self.targets.items()}
        return replace(self, objid=self.objid[chosen], targets=targets, models=tuple(models))


def _read(path: Path, subset: str) -> tuple[dict, pd.DataFrame]:
    """Return a file's metadata and the galaxies of a subset by ascending objid."""
    try:
        schema = pq.read_schema(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
    try:
        metadata = json.loads((schema.metadata or {})[b"astromae"])
    except (KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: the schema metadata has no JSON under the key `astromae`") from error
    missing = [key for key in ("experiment", "task", "model", "group", "seed", "train_galaxies") if key not in metadata]
    task = task_of(metadata["task"]) if not missing else None
    columns = (*task.targets.values(), *task.columns) if task else ()
    missing += [name for name in ("objid", *columns, "subset") if name not in schema.names]
    if missing:
        raise InputError(f"{path}: no {', '.join(missing)} among its metadata and columns")
    # Distributions, hundreds of numbers a galaxy, stay where they are.
    try:
        rows = pq.read_table(path, columns=["objid", *columns, "subset"]).to_pandas()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
    rows = rows[rows["subset"] == subset].sort_values("objid", ignore_index=True)
    if rows.empty:
        raise InputError(f"{path}: no row with subset `{subset}`")
    if rows["objid"].duplicated().any():
        twice = rows["objid"][rows["objid"].duplicated()].iloc[0]
        raise InputError(f"{path}: galaxy {twice} stands twice in subset `{subset}`")
    for column in task.columns if task.incomplete else columns:
        finite = np.isfinite(column_values(rows, column).reshape(len(rows), -1)).all(axis=1)
        if not finite.all():
            wrong = rows["objid"][~finite]
            raise InputError(f"{path}: {len(wrong)} values of {column} are not finite, first of galaxy {wrong.iloc[0]}")
    return metadata, rows


def column_values(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as float64, shape (n,), or (n, k) where each row holds a list."""
    values = rows[column].to_numpy()
    return np.stack(values).astype(np.float64) if values.dtype == object else values.astype(np.float64)


def read_predictions(paths: Sequence[Path], subset: str = "test") -> Predictions:
    """Read the galaxies of one experiment's prediction files.

    Parameters
    ----------
    paths
        Files ``predictions.parquet``: columns objid, subset, and those of the task's targets and
        predictions; schema metadata ``astromae`` with experiment, task, model, group, seed and train_galaxies.
    subset
        Galaxies that are read: ``test``, or ``val`` to choose between models.

    Raises
    ------
    InputError
        If a file cannot be read, is of another experiment or task, holds other galaxies or other true values than the
        first, was trained on another number of galaxies, or repeats a model's seed;
        or if a model lacks a seed that another has.
    """
    if not paths:
        raise InputError("no predictions given: at least one predictions.parquet is needed")
    first: tuple[Path, dict, pd.DataFrame] | None = None
    runs: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    groups: dict[str, str] = {}
    for path in paths:
        metadata, rows = _read(path, subset)
        if first is None:
            first = path, metadata, rows
        if metadata["experiment"] != first[1]["experiment"]:
            raise InputError(
                f"{path}: of experiment {metadata['experiment']!r}, but {first[0]} is of "
                f"{first[1]['experiment']!r}; give the files of one experiment"
            )
        if not np.array_equal(rows["objid"], first[2]["objid"]):
            raise InputError(
                f"{path}: {len(rows)} {subset} galaxies that differ from the {len(first[2])} of {first[0]}; "
                "models are compared on the same galaxies only"
            )
        if metadata["task"] != first[1]["task"]:
            raise InputError(f"{path}: predicts {metadata['task']}, but {first[0]} {first[1]['task']}")
        task = task_of(metadata["task"])
        for column in task.targets.values():
            if not np.allclose(rows[column], first[2][column], rtol=0, atol=1e-6, equal_nan=True):
                raise InputError(f"{path}: other {column} than {first[0]} for the same galaxies")
        if metadata["train_galaxies"] != first[1]["train_galaxies"]:
            raise InputError(
                f"{path}: trained on {metadata['train_galaxies']} galaxies, but {first[0]} on "
                f"{first[1]['train_galaxies']}; models are compared after the same labels only"
            )
        model, seed = metadata["model"], int(metadata["seed"])
        if seed in runs.setdefault(model, {}):
            raise InputError(f"{path}: model {model!r} with seed {seed} was already given")
        runs[model][seed] = {column: column_values(rows, column) for column in task.columns}
        groups[model] = metadata["group"]
    seeds = tuple(dict.fromkeys(seed for by_seed in runs.values() for seed in by_seed))
    for model, by_seed in runs.items():
        lacking = [str(seed) for seed in seeds if seed not in by_seed]
        if lacking:
            raise InputError(
                f"no predictions of {model!r} with seed {', '.join(lacking)}, with which other models of "
                f"{first[1]['experiment']!r} were trained; models are compared over the same seeds only"
            )
    models = tuple(
        ModelPredictions(
            model,
            groups[model],
            seeds,
            {column: np.stack([by_seed[seed][column] for seed in seeds]) for column in task.columns},
        )
        for model, by_seed in runs.items()
    )
    return Predictions(
        first[1]["experiment"],
        first[1]["task"],
        first[2]["objid"].to_numpy(np.int64),
        {column: column_values(first[2], column) for column in task.targets.values()},
        int(first[1]["train_galaxies"]),
        models,
    )
