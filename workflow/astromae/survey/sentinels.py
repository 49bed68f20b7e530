"""Missing values in the catalogues of surveys, and the range in which a measured value must lie.

Surveys fill the place of a value that they do not have with a number that none can be: -9999 in SDSS tables, -99,
99, -1 and their like elsewhere. Such a number is a missing value here, wherever a catalogue comes from.
"""

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from astromae.errors import InputError
from astromae.progress import log

#: What SDSS tables, and so SkyServer's answers, hold where a value is missing.
SDSS_NULL = -9999.0

#: Text that stands for a missing value, in lower case.
MISSING_WORDS = frozenset(
    [
        "",
        *"- -- --- . ... ? null none nil nan -nan na n/a #n/a #na <na> nd undef missing masked".split(),
        *r"\n 1.#ind -1.#ind 1.#qnan 1.#inf -1.#inf".split(),
    ]
)


class Quantity(NamedTuple):
    """First and last value that a quantity can have, and what to give instead."""

    low: float
    high: float
    right: str


#: Columns of a catalogue, by the part of their name before the band. Stars move at up to 0.005 c, and galaxies near
#: us no faster; a redshift above 10 is a magnitude, since SDSS calls the magnitude in the z band z. An asinh
#: magnitude (`astromae.photometry`) of the deepest negative flux that a frame can give stays below 40.
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "z": Quantity(-0.01, 10.0, "a redshift from -0.01 to 10 (not a magnitude), or leave the cell empty"),
        "z_err": Quantity(0.0, 10.0, "the error of a redshift, up to 10, or leave the cell empty"),
        "mag": Quantity(1.0, 40.0, "a magnitude from 1 to 40, or leave the cell empty"),
        "petro_r": Quantity(1.0, 40.0, "a magnitude from 1 to 40, or leave the cell empty"),
        "extinction": Quantity(0.0, 20.0, "an extinction from 0 to 20 mag, or leave the cell empty"),
    }
)

# No catalogue measures anything so large: HEALPix writes -1.6e30, others 1e20 or the largest number of a type.
_LARGEST = 1e9

# -9, -99, -9999, -9.99, 99, 99.9, 999 and so on; and -1.
_NINES_OR_MINUS_ONE = re.compile(r"-?9+(\.9+)?|-1")


def quantity_of(column: str) -> Quantity:
    """Return the quantity that a catalogue's column holds: ``mag_u`` is a magnitude."""
    return QUANTITIES.get(column) or QUANTITIES[column.partition("_")[0]]


class Sentinels:
    """Turns sentinels into NaN, and counts them.

    Parameters
    ----------
    source
        Where the values come from, for messages.

    Attributes
    ----------
    counts : dict
        For each column, how often each sentinel stood there: ``{"z": {"-9999": 3}}``.
    """

    def __init__(self, source: object):
        self.source = source
        self.counts: dict[str, dict[str, int]] = {}

    def clean(self, column: str, values: ArrayLike, refuse: bool = True) -> NDArray[np.float64]:
        """Return a column's values with NaN for those that stand for a missing one.

        Parameters
        ----------
        column
            Name of the column in the catalogue, which says what it holds.
        values
            The values, shape (n,); NaN where one is missing already.
        refuse
            Whether any other value outside the quantity's range is an error. If not, it is missing as well.

        Raises
        ------
        InputError
            If a value is outside the range and no sentinel: names the row, from 1.
        """
        values = np.array(values, dtype=np.float64)
        quantity = quantity_of(column)
        outside = ~np.isnan(values) & ~((values >= quantity.low) & (values <= quantity.high))
        if column == "z_err":
            # The spectroscopic pipeline marks a fit without an error by a value of 0 or below.
            outside |= values == 0
        found: Counter[str] = Counter()
        for value, count in zip(*np.unique(values[outside], return_counts=True), strict=True):
            if refuse and not _is_sentinel(value, column):
                row = int(np.flatnonzero(values == value)[0]) + 1
                raise InputError(f"{self.source}: row {row}: {column} is {value:.10g}; use {quantity.right}")
            found[f"{value:.6g}"] += int(count)
        if found:
            self.counts[column] = dict(found)
        values[outside] = np.nan
        return values

    def log_counts(self, rows: int) -> None:
        """Log what was taken for a missing value in a table of so many rows, one line a column."""
        for column, found in self.counts.items():
            held = ", ".join(f"{value} in {count}" for value, count in found.items())
            log(f"{self.source}: {column} is missing where it holds a sentinel: {held} of {rows} rows")


def _is_sentinel(value: float, column: str) -> bool:
    if abs(value) >= _LARGEST or (column == "z_err" and value <= 0):
        return True
    return bool(_NINES_OR_MINUS_ONE.fullmatch(f"{value:.6g}"))


def numbers(cells: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return cells of any table as numbers, NaN where one is missing.

    Parameters
    ----------
    cells
        Numbers, text, or objects of which None is a missing value; shape (n,) or (n, 1).
    name
        File and column, for messages.

    Raises
    ------
    InputError
        If there are several values in a row, or a cell is no number: names the row, from 1.
    """
    values = one_a_row(cells, name)
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    found = plain_numbers(values)
    rest = np.flatnonzero(np.isnan(found))
    found[rest] = pd.to_numeric(pd.Series(as_text(values[rest]), dtype=object), errors="coerce").to_numpy(np.float64)
    for row in rest[np.isnan(found[rest])]:
        if not is_missing(values[row]):
            raise not_right(name, row, values[row], "use a number")
    return found


def plain_numbers(values: NDArray) -> NDArray[np.float64]:
    """Return the numbers of cells that are text and plainly one, NaN for all others: quick for long columns."""
    if pd.api.types.infer_dtype(values, skipna=False) != "string":
        return np.full(len(values), np.nan)
    return pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64, copy=True)


def one_a_row(cells: ArrayLike, name: str) -> NDArray:
    """Return cells as an array of one dimension.

    Raises
    ------
    InputError
        If a row has several values, or they are neither numbers nor text.
    """
    values = np.asarray(cells)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"{name} has the shape {values.shape}; use one value a row")
    if values.dtype.kind not in "iufOSU" or values.dtype.names:
        raise InputError(f"{name} is {values.dtype}; use numbers")
    return values


def as_text(values: NDArray) -> list[str]:
    """Return cells as text without blanks around it; a missing one is empty."""
    return ["" if is_missing(value) else _text(value) for value in values.tolist()]


def is_missing(value: Any) -> bool:
    """Return whether a cell says that there is no value."""
    return value is None or value is pd.NA or value != value or _text(value).lower() in MISSING_WORDS


def _text(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def not_right(name: str, row: int, value: Any, right: str) -> InputError:
    """Return the error that a cell is wrong; `name` is the file and column, `row` counts from 0."""
    source, _, column = name.rpartition(": ")
    shown = _text(value) if isinstance(value, bytes | str) else value
    return InputError(f"{source}: row {row + 1}: {column} is {shown!r}; {right}")
