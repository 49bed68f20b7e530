"""Distributions in files of predictions, read one file at a time: hundreds of numbers a galaxy."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from astromae.errors import InputError
from astromae.evaluation.densities import checked
from astromae.tasks import NamedTask, task_of


@dataclass(frozen=True)
class PredictedDensities:
    """What one model with one seed predicts for one subset.

    Attributes
    ----------
    experiment, model, seed
        Who predicts.
    objid, target
        Galaxies, ascending, and their true values, shape (n,).
    task
        The task, with its settings.
    edges, masses
        Distributions, as in `astromae.evaluation.densities`; masses float32.
    """

    experiment: str
    model: str
    seed: int
    objid: np.ndarray
    target: np.ndarray
    task: NamedTask
    edges: np.ndarray
    masses: np.ndarray


def read_densities(path: Path, subset: str = "test") -> PredictedDensities:
    """Read the distributions of a subset from a file of predictions.

    Raises
    ------
    InputError
        If it is no such file, its task predicts no distributions, or it has no galaxy of the subset; or if masses are
        not of the task's bins, negative, or do not sum to 1.
    """
    try:
        schema = pq.read_schema(path)
        about = json.loads((schema.metadata or {})[b"astromae"])
        task = task_of(about["task"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a readable file of predictions ({error})") from error
    if task.density is None or len(task.targets) != 1:
        raise InputError(f"{path}: predicts {task.title} without distributions")
    (target,) = task.targets.values()
    try:
        rows = pq.read_table(
            path, columns=["objid", target, task.density], filters=pc.field("subset") == subset, partitioning=None
        ).sort_by("objid")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable file of predictions ({error})") from error
    if not len(rows):
        raise InputError(f"{path}: no row with subset `{subset}`")
    flat = rows[task.density].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    try:
        edges, masses = checked(task.edges, flat.reshape(len(rows), -1))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return PredictedDensities(
        about["experiment"],
        about["model"],
        int(about["seed"]),
        rows["objid"].to_numpy(),
        rows[target].to_numpy().astype(np.float64),
        about["task"],
        edges,
        masses,
    )
