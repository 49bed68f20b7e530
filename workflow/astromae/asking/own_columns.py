"""All columns of a person's list, as they stand there."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.errors import InputError
from astromae.survey.table_file import normalised, read_table


class _Everything(Collection):
    """All names."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def own_columns(table: Path) -> pd.DataFrame:
    """Return all columns of a list as they stand there, one row each; numbers as numbers where all of a column are.

    Raises
    ------
    InputError
        If the list cannot be read.
    """
    columns, names = read_table(table, _Everything(), ("ra", "dec"))
    spelt = {normalised(name): name for name in names}
    found = {}
    for key, column in columns.items():
        cells = np.asarray(column.cells)
        if cells.ndim != 1:
            continue
        # FITS keeps its numbers in the other order of bytes.
        values = pd.Series(cells.astype(cells.dtype.newbyteorder("=")))
        if cells.dtype.kind in "OSU":
            text = values.map(lambda cell: cell.decode() if isinstance(cell, bytes) else cell)
            numbers = pd.to_numeric(text, errors="coerce")
            values = numbers if numbers.notna().all() else text
        found[spelt.get(key, key)] = values
    if not found:
        raise InputError(f"{table}: has no columns")
    return pd.DataFrame(found)
