"""The history of a training: one row an epoch, the same bytes for the same run."""

from pathlib import Path

import pandas as pd

from astromae.files import atomic_path

COLUMNS = ["epoch", "learning_rate", "train_loss", "val_loss"]


def write_history(path: Path, rows: list[list[float]]) -> None:
    """Write rows of epoch, learning rate, training and validation loss as CSV."""
    history = pd.DataFrame(rows, columns=COLUMNS).astype({"epoch": int})
    with atomic_path(path) as temporary:
        history.to_csv(temporary, index=False, float_format="%.9g")
