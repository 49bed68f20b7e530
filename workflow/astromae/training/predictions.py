"""Predictions: the file that every table and figure is computed from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.errors import InputError
from astromae.files import atomic_path
from astromae.tasks import TASKS, Task


def prediction_columns(task: Task) -> tuple[str, ...]:
    """Return the columns of a task's predictions: object, labels, what is predicted, and subset (val or test)."""
    return "objid", *task.targets.values(), *task.columns, "subset"


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
    task = TASKS[recipe["task"]]
    finite = np.all([[np.isfinite(value).all() for value in table[column]] for column in task.columns], axis=0)
    if not finite.all():
        bad = table.objid[~finite]
        raise InputError(f"{recipe['model']}: predictions that are not finite, objid {bad[:10].tolist()}")
    about = {key: recipe[key] for key in ("experiment", "model", "group", "task")}
    about |= {"seed": seed, "train_galaxies": train_galaxies}
    arrow = pa.Table.from_pandas(table[list(prediction_columns(task))], preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), b"astromae": json.dumps(about, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary)
