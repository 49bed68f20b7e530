"""Label curves: what one way to learn predicts of the test galaxies after each number of labels, one file a seed.

Parquet: objid, the task's targets and predictions, and n_labels, one row for each galaxy and number of labels; in the
metadata study, objective, network (empty without one), frozen, task and seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from astromae.contracts.predictions import column_values
from astromae.contracts.tables import read_metadata, read_table, write_table
from astromae.errors import InputError
from astromae.tasks import NamedTask, task_of

#: What a file says of itself, but for its seed.
_ABOUT = ("study", "objective", "network", "frozen", "task")


def curve_columns(task: NamedTask) -> list[str]:
    """Return the columns of a file of a task."""
    return ["objid", *task_of(task).targets.values(), *task_of(task).columns, "n_labels"]


def write_label_curve(path: Path, table: pd.DataFrame, about: Mapping[str, Any], seed: int) -> None:
    """Write one way's predictions.

    Parameters
    ----------
    path
        Parquet file to write.
    table
        `curve_columns`; a column of several numbers a galaxy holds arrays.
    about
        study, objective, network, frozen and task.
    seed
        Its seed.

    Raises
    ------
    InputError
        If a prediction is not finite: names the way to learn, the number of labels and galaxies.
    """
    task = task_of(about["task"])
    finite = np.all([[np.isfinite(value).all() for value in table[column]] for column in task.columns], axis=0)
    if not finite.all():
        bad = table[~finite]
        raise InputError(
            f"{about['objective']} {about['network']}: predictions after {bad.n_labels.iloc[0]} labels that are not "
            f"finite, objid {bad.objid[:10].tolist()}; lower the learning rate"
        )
    write_table(path, table[curve_columns(about["task"])], {**{key: about[key] for key in _ABOUT}, "seed": seed})


@dataclass(frozen=True)
class LabelCurve:
    """What one way to learn predicts.

    Attributes
    ----------
    objective, network, frozen
        What an encoder learnt by, empty or which network, and whether only a head was trained with labels.
    predicted
        Of each column of the task's predictions the values, shape (labels, seeds, galaxies), or with a last axis more.
    """

    objective: str
    network: str
    frozen: bool
    predicted: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LabelCurves:
    """The predictions of a study for the same galaxies, after the same numbers of labels, with the same seeds.

    Attributes
    ----------
    study, task
        Names.
    labels
        Numbers of labels, ascending, shape (labels,).
    seeds
        Seeds.
    targets
        Of each column of the task's targets the true values, shape (galaxies,).
    curves
        Ways to learn, in the order in which the files name them first.
    """

    study: str
    task: NamedTask
    labels: np.ndarray
    seeds: tuple[int, ...]
    targets: Mapping[str, np.ndarray]
    curves: tuple[LabelCurve, ...]


def read_label_curves(paths: Sequence[Path]) -> LabelCurves:
    """Read all files of a study.

    Raises
    ------
    InputError
        If there is none, a file cannot be read, is of another study or task, holds other galaxies, other true values
        or other numbers of labels than the first, repeats a seed, or if a way to learn lacks a seed.
    """
    if not paths:
        raise InputError("no label curves given: at least one predictions.parquet is needed")
    found: dict[tuple[str, str, bool], dict[int, dict[str, np.ndarray]]] = {}
    first: tuple[dict[str, Any], np.ndarray, np.ndarray, dict[str, np.ndarray]] | None = None
    for path in paths:
        about = read_metadata(path, "label curve")
        missing = [key for key in (*_ABOUT, "seed") if key not in about]
        if missing:
            raise InputError(f"{path}: its metadata have no {', '.join(missing)}: no label curve")
        task = task_of(about["task"])
        table = read_table(path, curve_columns(about["task"]), "label curve").sort_values(["n_labels", "objid"])
        labels, objid = np.unique(table.n_labels), np.unique(table.objid)
        if len(table) != len(labels) * len(objid) or table.duplicated(["n_labels", "objid"]).any():
            raise InputError(
                f"{path}: not one row for each of {len(objid)} galaxies and {len(labels)} numbers of labels"
            )
        flat = {name: column_values(table, name) for name in (*task.targets.values(), *task.columns)}
        values = {name: of.reshape(len(labels), len(objid), *of.shape[1:]) for name, of in flat.items()}
        targets = {name: values.pop(name)[0] for name in task.targets.values()}
        if first is None:
            first = about, labels, objid, targets
        for key in ("study", "task"):
            if about[key] != first[0][key]:
                raise InputError(f"{path}: of {key} {about[key]}, but {paths[0]} is of {first[0][key]}")
        if not np.array_equal(labels, first[1]):
            raise InputError(f"{path}: after {labels.tolist()} labels, but {paths[0]} after {first[1].tolist()}")
        if not np.array_equal(objid, first[2]):
            raise InputError(
                f"{path}: other galaxies than {paths[0]}; ways to learn are compared on the same ones only"
            )
        for name, truth in targets.items():
            if not np.allclose(truth, first[3][name], rtol=0, atol=1e-6, equal_nan=True):
                raise InputError(f"{path}: other {name} than {paths[0]} for the same galaxies")
        of_curve = found.setdefault((about["objective"], about["network"], about["frozen"]), {})
        if about["seed"] in of_curve:
            raise InputError(
                f"{path}: {about['objective']} {about['network']} with seed {about['seed']} was given before"
            )
        of_curve[about["seed"]] = values
    seeds = tuple(dict.fromkeys(seed for of_curve in found.values() for seed in of_curve))
    for (objective, network, _), of_curve in found.items():
        lacking = [str(seed) for seed in seeds if seed not in of_curve]
        if lacking:
            raise InputError(
                f"no label curve of {objective} {network} with seed {', '.join(lacking)}, which others have; ways to "
                "learn are compared over the same seeds only"
            )
    columns = task_of(first[0]["task"]).columns
    curves = tuple(
        LabelCurve(*key, {name: np.stack([of_curve[seed][name] for seed in seeds], axis=1) for name in columns})
        for key, of_curve in found.items()
    )
    return LabelCurves(first[0]["study"], first[0]["task"], first[1], seeds, first[3], curves)
