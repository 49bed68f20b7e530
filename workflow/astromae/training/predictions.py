"""Predictions: the file that every table and figure is computed from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.errors import InputError
from astromae.files import atomic_path

COLUMNS = ("objid", "z_spec", "z_pred", "subset")


def write_predictions(path: Path, table: pd.DataFrame, recipe: dict[str, Any], seed: int, train_galaxies: int) -> None:
    """Write predicted redshifts with who predicted them.

    Parameters
    ----------
    path
        Parquet file to write.
    table
        Columns objid, z_spec, z_pred and subset (val or test).
    recipe
        `experiment`, `model` and `group` of the predictor.
    seed, train_galaxies
        Its seed, and the number of galaxies that it was trained on.

    Raises
    ------
    InputError
        If a prediction is not finite: names the model and the galaxies.
    """
    bad = table.objid[~np.isfinite(table.z_pred)]
    if len(bad):
        raise InputError(f"{recipe['model']}: predictions that are not finite, objid {bad[:10].tolist()}")
    about = {key: recipe[key] for key in ("experiment", "model", "group")} | {"task": recipe.get("task", "redshift")}
    about |= {"seed": seed, "train_galaxies": train_galaxies}
    arrow = pa.Table.from_pandas(table[list(COLUMNS)], preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), b"astromae": json.dumps(about, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary)
