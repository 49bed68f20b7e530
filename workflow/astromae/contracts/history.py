"""The history of a training: one row a validation, the same bytes for the same run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from astromae.errors import InputError
from astromae.files import atomic_path

#: Columns of every history: updates and passes over the training galaxies that are done; the learning rate of the last
#: update; the mean loss of the updates since the last row, and the validation loss. What a training measures besides
#: follows under its own name.
COLUMNS = ("update", "epoch", "learning_rate", "train_loss", "val_loss")


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows, mappings of column to value, as CSV."""
    with atomic_path(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.9g")


def read_history(path: Path) -> pd.DataFrame:
    """Return a training's history, with at least `COLUMNS`.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or is empty.
    """
    try:
        history = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable history ({error})") from error
    missing = [name for name in COLUMNS if name not in history.columns]
    if missing or history.empty:
        raise InputError(f"{path}: a history needs at least one row and the columns {', '.join(COLUMNS)}")
    return history
