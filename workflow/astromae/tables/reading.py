"""Reading of tables that an earlier step wrote as CSV."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from astromae.errors import InputError


def read_csv_table(path: Path, columns: Sequence[str], kind: str = "table") -> pd.DataFrame:
    """Read a table, and check that it is one of this version.

    Parameters
    ----------
    path
        CSV file.
    columns
        Columns that it must have, beside which there may be others.
    kind
        What it is, for messages.

    Raises
    ------
    InputError
        If it cannot be read or lacks a column.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable {kind} ({error})") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(f"{path}: not a {kind} of this version: no {', '.join(missing)}")
    return table
