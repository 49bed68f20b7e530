"""Magnitudes of the test galaxies: the part of the catalogue that figures need."""

from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.catalog import read_catalog
from astromae.errors import InputError
from astromae.files import atomic_path

#: Columns of the sample.
COLUMNS = ("objid", "mag_g", "mag_r")


def write_magnitudes(catalog: Path, split: Path, output: Path) -> None:
    """Write objid and the dereddened g and r magnitudes of an experiment's test galaxies.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    split
        Split of the experiment: objid, subset.
    output
        Table to write (Parquet), by ascending objid.

    Raises
    ------
    InputError
        If a file cannot be read or no test galaxy is in the catalogue.
    """
    try:
        subsets = pd.read_parquet(split, columns=["objid", "subset"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{split}: not a readable split with objid and subset ({error})") from error
    table = read_catalog(catalog, COLUMNS)
    table = table[table["objid"].isin(subsets["objid"][subsets["subset"] == "test"])]
    if table.empty:
        raise InputError(f"{catalog}: holds no test galaxy of {split}")
    table = table.sort_values("objid", ignore_index=True).astype({"mag_g": np.float32, "mag_r": np.float32})
    with atomic_path(output) as temporary:
        table.to_parquet(temporary, index=False)


def read_magnitudes(path: Path, objid: np.ndarray) -> pd.DataFrame:
    """Return the magnitudes of galaxies, in their order; NaN where one was not measured.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a galaxy.
    """
    try:
        table = pd.read_parquet(path, columns=list(COLUMNS)).set_index("objid")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a readable table of {', '.join(COLUMNS)} ({error})") from error
    absent = np.setdiff1d(objid, table.index)
    if len(absent):
        raise InputError(f"{path}: lacks {len(absent)} of {len(objid)} test galaxies, first {absent[0]}")
    return table.loc[objid].astype(np.float64)
