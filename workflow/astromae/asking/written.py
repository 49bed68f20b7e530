"""Answers as tables in the formats that people read."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from astromae.errors import InputError
from astromae.files import atomic_path
from astromae.progress import log

if TYPE_CHECKING:
    from astropy.table import Table

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
    """Write a table in the format of its suffix, one of `SUFFIXES`, atomically.

    A missing float is NaN, or empty in CSV; whole numbers and truth values are missing as the format has it, and a
    missing text is empty in the last three.

    Parameters
    ----------
    path
        File to write.
    table
        Numbers, truth values or texts, of numpy's or pandas' nullable types. Of names and texts FITS has ASCII alone:
        other letters become Python's escapes, and the log says so.
    """
    require_format(path)
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        elif path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        elif path.suffix == ".ecsv":
            _of_astropy(table).write(temporary, format="ascii.ecsv", overwrite=True)
        else:
            written = _of_astropy(_for_fits(path, table))
            with warnings.catch_warnings():
                # Of names such as `my name`, which FITS holds all the same.
                warnings.simplefilter("ignore")
                written.write(temporary, format="fits", overwrite=True)


def _of_astropy(table: pd.DataFrame) -> "Table":
    from astropy.table import Table

    texts = {name: table[name].fillna("").astype(str) for name in table if table[name].dtype.kind not in "biuf"}
    written = Table.from_pandas(table.assign(**texts), units={name: UNITS[name] for name in UNITS if name in table})
    for name in written.colnames:
        column = written[name]
        if column.dtype.kind in "iu" and getattr(column, "mask", None) is not None:
            # FITS says a missing number by another, which nobody may have: astropy would take 999999.
            limits = np.iinfo(column.dtype)
            held = set(column.compressed().tolist())
            column.fill_value = next(value for value in range(limits.max, limits.min, -1) if value not in held)
    return written


def _for_fits(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that FITS can hold."""
    changed, foreign = {}, []
    for name in table:
        values = table[name]
        if values.dtype.kind in "bu" and values.isna().any():
            # Neither is ever missing there.
            changed[name] = values.astype("str").fillna("")
        elif values.dtype.kind == "i" and values.dtype.itemsize == 1:
            # What is as wide as a truth value would be read as one.
            changed[name] = values.astype("Int16" if values.isna().any() else np.int16)
        elif values.dtype.kind not in "biuf":
            texts = values.fillna("").astype(str)
            changed[name] = texts.map(_ascii)
            if not (changed[name] == texts).all():
                foreign.append(name)
    names = {name: _ascii(name) for name in table}
    foreign += [name for name in table if names[name] != name and name not in foreign]
    if foreign:
        log(f"{path}: FITS has ASCII alone; other letters are escaped in {', '.join(foreign)}; .ecsv keeps them")
    return table.assign(**changed).rename(columns=names)


def _ascii(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else letter.encode("unicode_escape").decode() for letter in text)
