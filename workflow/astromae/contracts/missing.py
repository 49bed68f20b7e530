"""The list of galaxies that got no stamp, each with its reason."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from astromae.errors import InputError
from astromae.files import write_text

COLUMNS = ("objid", "reason")


def write_missing(path: str | Path, objid: np.ndarray, reasons: Sequence[str]) -> None:
    """Write the galaxies without a stamp as CSV, atomically.

    Parameters
    ----------
    path
        File to write.
    objid : array of int64, shape (n,)
        The galaxies.
    reasons
        Why each has no stamp.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(map(int, objid), reasons, strict=True))
    write_text(path, text.getvalue())


def read_missing(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Read a list of galaxies without a stamp.

    Returns
    -------
    objid : array of int64, shape (n,)
    reasons : list of str

    Raises
    ------
    InputError
        If the file is no such list; the row is named.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no list of missing galaxies ({error})") from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise InputError(f"{path}: no list of missing galaxies; it should begin with {','.join(COLUMNS)}")
    objid = np.empty(len(rows) - 1, dtype=np.int64)
    for index, row in enumerate(rows[1:]):
        try:
            objid[index], _ = int(row[0]), row[1]
        except (ValueError, IndexError, OverflowError) as error:
            raise InputError(f"{path}, line {index + 2}: {','.join(row)!r} is no objid with a reason") from error
    return objid, [row[1] for row in rows[1:]]
