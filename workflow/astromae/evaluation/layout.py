"""What stands in a table's file: its columns, and reading it."""

from pathlib import Path

import pandas as pd

from astromae.errors import InputError
from astromae.tasks.redshift import METRICS

#: What a table says of each metric besides its value.
PARTS = ("std", "low", "high", "published", "best")

#: Columns of a table, in order.
COLUMNS = (
    "group",
    "model",
    *(name for metric in METRICS for name in (metric, *(f"{metric}_{part}" for part in PARTS))),
    "n_train",
    "n_test",
    "n_seeds",
)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `astromae.evaluation.tables` wrote.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or is empty.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable table ({error})") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or table.empty:
        raise InputError(f"{path}: not a table of this version: no {', '.join(missing) or 'rows'}")
    return table
