"""The step `table`: it calls the function of the family that a job names."""

from pathlib import Path
from typing import Any

from astromae.calling import make
from astromae.tables import TABLES


def make_table(family: str, csv: Path, tex: Path, **parameters: Any) -> None:
    """Make a table.

    Parameters
    ----------
    family
        Its family, one of `TABLES`.
    csv, tex
        Table to write.
    **parameters
        What the family's function wants besides.
    """
    make(TABLES, family, {"csv": csv, "tex": tex, **parameters})
