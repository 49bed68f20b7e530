"""The columns that a person's galaxies come with, beside what is answered about them."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.progress import log
from astromae.survey.sentinels import MISSING_WORDS
from astromae.survey.table_file import distinct_names, read_table

#: Appended to the name of a column whose name an answer has.
LISTED = "_listed"

# Numbers that come back as they are written, but for zeros at the end of their decimals.
_WHOLE = r"(?:0|-?[1-9][0-9]*)"
_DECIMAL = r"(?:-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|-?[iI][nN][fF])"

# A float holds every whole number up to here.
_EXACT = 2**53


def own_columns(table: Path) -> pd.DataFrame:
    """Return all columns of a list, a row each, under the names that they have there.

    Numbers are numbers. So are texts, if all that are not missing are written like numbers and none loses anything as
    one: of ``007``, ``+5`` and whole numbers of more than 63 bits, or more than 53 beside decimals, the column stays
    text. A missing whole number, truth value or text is missing still (pandas' nullable types), a missing float NaN.
    Columns with several values in a row are left out, and named in the log.

    Raises
    ------
    InputError
        If the list cannot be read.
    """
    columns, _ = read_table(table, None, ("ra", "dec"))
    found, several = {}, []
    for name, column in columns.items():
        values = _values(np.asarray(column.cells))
        if values is None:
            several.append(name)
        else:
            found[name] = values
    if several:
        log(f"{table}: not kept, since a row has several values in them: {', '.join(several)}")
    return pd.DataFrame(found)


def _values(cells: np.ndarray) -> pd.Series | None:
    """Return a column as numbers, truth values or texts; None where a row has several values."""
    if cells.ndim == 2 and cells.shape[1] == 1:
        cells = cells[:, 0]
    if cells.ndim != 1 or cells.dtype.names:
        return None
    if cells.dtype.kind in "biuf":
        # FITS keeps its numbers in the other order of bytes.
        return pd.Series(cells.astype(cells.dtype.newbyteorder("=")))
    if cells.dtype.kind not in "OSU":
        # Dates, for one.
        cells = cells.astype(str)
    cells = cells.astype(object)
    known = [cell for cell in cells if cell is not None]
    kinds = {type(cell) for cell in known}
    if kinds & {list, tuple, dict, np.ndarray}:
        return None
    if kinds == {bool}:
        return pd.Series(cells, dtype="boolean")
    if kinds == {int}:
        return pd.Series(cells, dtype="UInt64" if max(known) >= 2**63 else "Int64")
    if kinds - {str}:
        cells = np.array([_text(cell) for cell in cells], dtype=object)
    return _of_texts(pd.Series(cells, dtype="str"))


def _text(cell: object) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _of_texts(texts: pd.Series) -> pd.Series:
    """Return texts as numbers where none loses anything by it."""
    bare = texts.str.strip()
    missing = texts.isna() | bare.str.lower().isin(MISSING_WORDS)
    bare = bare[~missing]
    whole = bare.str.fullmatch(_WHOLE)
    if not len(bare) or not (whole | bare.str.fullmatch(_DECIMAL)).all():
        return texts
    numbers = pd.to_numeric(bare)
    if whole.all():
        if numbers.dtype != np.int64:
            return texts
        return numbers.astype("Int64").reindex(texts.index) if missing.any() else numbers
    # What overflows is no longer the number that stands there.
    if (np.isinf(numbers) & ~bare.str.contains("inf", case=False)).any():
        return texts
    if any(abs(int(text)) > _EXACT for text in bare[whole & (numbers.abs() >= _EXACT)]):
        return texts
    return numbers.astype(np.float64).reindex(texts.index)


def beside(
    answers: pd.DataFrame, own: pd.DataFrame, asked: Collection[str] = (), rows: np.ndarray | None = None
) -> pd.DataFrame:
    """Return answers with a person's own columns to their right, none lost, no two names alike but for case.

    A column of one's own whose name an answer has gets `LISTED` appended; a further one of a name its number
    (`astromae.survey.table_file.distinct_names`).

    Parameters
    ----------
    answers
        A row a galaxy.
    own
        The columns, in the same rows.
    asked
        Columns of `answers` with what was asked about. One's own that say the same in every row of `rows` are left
        out, and give these columns their values in the other rows.
    rows
        Rows that were asked about, (n,), booleans; all when None.
    """
    own = own.set_axis(answers.index)
    rows = np.ones(len(answers), dtype=bool) if rows is None else rows
    taken = {name.lower(): name for name in answers}
    same, filled = [], {}
    for name in own:
        column = taken.get(name.lower())
        given = pd.to_numeric(own[name], errors="coerce") if column in asked else None
        if given is not None and _same(answers[column], own[name], given, rows):
            same.append(name)
            others = ~rows & given.notna().to_numpy()
            filled[column] = answers[column].to_numpy(copy=True)
            filled[column][others] = given[others].to_numpy(filled[column].dtype)
    answers, own = answers.assign(**filled), own.drop(columns=same)
    free = [name for name in own if name.lower() not in taken]
    names = dict(zip(free, distinct_names(free, taken), strict=True))
    clashing = [name for name in own if name.lower() in taken]
    listed = distinct_names([f"{name}{LISTED}" for name in clashing], [*taken, *names.values()])
    return pd.concat([answers, own.rename(columns=names | dict(zip(clashing, listed, strict=True)))], axis=1)


def _same(asked: pd.Series, own: pd.Series, given: pd.Series, rows: np.ndarray) -> bool:
    """Return whether a column says what was asked in some rows, however it is written, and holds numbers in all."""
    equal = ((asked == given) | (asked.isna() & own.isna())).fillna(False)
    return bool(equal[rows].all() and (given.notna() | own.isna()).all())
