"""Stamps and labels of an experiment's subsets, in memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from astromae.errors import InputError
from astromae.stamps.shards import StampSet


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


def load_stamps(stamps: Sequence[Path], objid: np.ndarray, size: int, device: torch.device) -> Tensor:
    """Return the central pixels of stamps, shape (n, 5, size, size), float16, resident on `device`.

    Raises
    ------
    InputError
        If a pixel is not finite: names the galaxies.
    """
    images = torch.from_numpy(StampSet(stamps).read(objid, size))
    finite = images.isfinite().flatten(1).all(dim=1).numpy()
    if not finite.all():
        raise InputError(
            f"stamps with pixels that are not finite: objid {objid[~finite][:10].tolist()} "
            f"({(~finite).sum()} in all); cut them anew or drop them from the catalogue"
        )
    return images.to(device)
