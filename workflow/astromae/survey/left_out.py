"""What a catalogue lacks: values of its galaxies, and rows of the list that it is made of."""

from pathlib import Path

import pandas as pd

from astromae.files import atomic_path
from astromae.progress import log


def log_missing_values(output: Path, catalog: pd.DataFrame) -> None:
    """Log which columns of a catalogue lack values, and in how many rows."""
    lacking = catalog.isna().sum()
    if lacking.any():
        words = ", ".join(f"{name} {count}" for name, count in lacking.items() if count)
        log(f"{output}: galaxies without a value: {words}")


def write_left_out(output: Path, left_out: pd.DataFrame) -> None:
    """Write the rows of a catalogue's source that are left out, with the reason, beside the catalogue.

    The file has the catalogue's name with the suffix ``.left_out.csv``.
    """
    path = Path(output).with_suffix(".left_out.csv")
    with atomic_path(path) as temporary:
        left_out.to_csv(temporary, index=False)
    if len(left_out):
        log(f"{output}: {len(left_out)} rows are left out, with the reason in {path.name}")
