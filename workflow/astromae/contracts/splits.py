"""Splits: which subset each galaxy with a stamp is in. No galaxy is in two."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from astromae.contracts.tables import read_table, write_table
from astromae.errors import InputError

#: Subsets in the order in which galaxies are dealt.
SUBSETS = ("pretrain", "pretrain_val", "train", "val", "test")


def write_split(path: str | Path, split: pd.DataFrame, metadata: Mapping[str, Any]) -> None:
    """Write a split as Parquet.

    Parameters
    ----------
    path
        File to write.
    split
        objid (int64) and subset, one row a galaxy.
    metadata
        How it was made: seed, fractions, counts.

    Raises
    ------
    InputError
        If a galaxy is in two subsets, or a subset is unknown.
    """
    _check(path, split)
    write_table(path, split[["objid", "subset"]], metadata)


def read_split(path: str | Path) -> pd.DataFrame:
    """Read a split: objid and subset, one row a galaxy.

    Raises
    ------
    InputError
        If the file is no split, a galaxy is in two subsets, or a subset is unknown.
    """
    split = read_table(path, ["objid", "subset"], "split")
    _check(path, split)
    return split


def _check(path: str | Path, split: pd.DataFrame) -> None:
    twice = split["objid"][split["objid"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: objid {twice.iloc[0]} is in two subsets; no galaxy may be")
    unknown = set(split["subset"].unique()) - set(SUBSETS)
    if unknown:
        raise InputError(f"{path}: no such subset: {min(map(str, unknown))}; there are {', '.join(SUBSETS)}")
