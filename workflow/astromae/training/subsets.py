"""The galaxies of an experiment's subsets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.errors import InputError


def members(split: Path, subsets: Sequence[str]) -> np.ndarray:
    """Return the object ids of the named subsets, ascending.

    Raises
    ------
    InputError
        If there are none.
    """
    table = pd.read_parquet(split)
    objid = np.sort(table.objid[table.subset.isin(list(subsets))].to_numpy(np.int64))
    if not len(objid):
        raise InputError(
            f"{split}: no galaxy in {' or '.join(subsets)}; it has {sorted(table.subset.unique())}. "
            "Give the subset a larger fraction in the configuration's `experiments`."
        )
    return objid
