"""Answers as tables in the formats that people read."""

from pathlib import Path

import pandas as pd

from astromae.errors import InputError
from astromae.files import atomic_path

#: Suffixes of the formats.
SUFFIXES = (".parquet", ".csv", ".ecsv", ".fits")

#: Units of columns that have one.
UNITS = {"ra": "deg", "dec": "deg"}


def require_format(path: Path) -> None:
    """Stop with InputError where a suffix names no format, or the path is a folder."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: its suffix says no format; use one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the table another name")


def write_answers(path: Path, table: pd.DataFrame) -> None:
    """Write a table in the format of its suffix, one of `SUFFIXES`, atomically; a missing number is NaN or empty."""
    require_format(path)
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        elif path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            _write_astropy(temporary, table, {".fits": "fits", ".ecsv": "ascii.ecsv"}[path.suffix])


def _write_astropy(path: Path, table: pd.DataFrame, kind: str) -> None:
    from astropy.table import Table

    texts = {name: table[name].fillna("").astype(str) for name in table if table[name].dtype.kind not in "biuf"}
    written = Table.from_pandas(table.assign(**texts), units={name: UNITS[name] for name in UNITS if name in table})
    written.write(path, format=kind, overwrite=True)
