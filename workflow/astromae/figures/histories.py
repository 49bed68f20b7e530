"""Reading the history of a training."""

from pathlib import Path

import pandas as pd

from astromae.errors import InputError


def read_history(path: Path) -> pd.DataFrame:
    """Return a training's history: epoch (from 0), learning_rate, train_loss, val_loss.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or is empty.
    """
    try:
        history = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable history ({error})") from error
    needed = ("epoch", "learning_rate", "train_loss", "val_loss")
    missing = [name for name in needed if name not in history.columns]
    if missing or history.empty:
        raise InputError(f"{path}: a history needs at least one epoch and the columns {', '.join(needed)}")
    return history
