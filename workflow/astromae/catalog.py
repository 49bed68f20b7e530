"""The catalogue of galaxies, as every stage after the survey reads it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.errors import InputError


def read_catalog(path: str | Path, columns: Sequence[str], chunk: int | None = None) -> pd.DataFrame:
    """Read some columns of a catalogue.

    Parameters
    ----------
    path
        Catalogue (Parquet).
    columns
        Columns to read.
    chunk
        Only the galaxies of this chunk, or all when None.

    Returns
    -------
    DataFrame
        One row a galaxy, in the catalogue's order.

    Raises
    ------
    InputError
        If the file is no Parquet file, lacks a column, or names an object twice.
    """
    try:
        table = pq.read_table(
            path, columns=list(columns), filters=None if chunk is None else [("chunk", "==", chunk)], partitioning=None
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable catalogue ({error}); make it again") from error
    absent = [name for name in columns if name not in table.column_names]
    if absent:
        raise InputError(f"{path}: has no column {', '.join(absent)}; a catalogue has {', '.join(columns)}")
    galaxies = table.to_pandas()
    if "objid" in columns and galaxies["objid"].duplicated().any():
        twice = galaxies["objid"][galaxies["objid"].duplicated()].iloc[0]
        raise InputError(f"{path}: objid {twice} stands in more than one row; a catalogue names an object once")
    return galaxies


def read_provenance(path: str | Path) -> dict:
    """Read where a catalogue comes from: survey, release, selection, units.

    Raises
    ------
    InputError
        If the file is no Parquet file or says nothing about its origin.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable catalogue ({error})") from error
    if b"astromae" not in metadata:
        raise InputError(f"{path}: its metadata has no key `astromae` with the survey that it comes from")
    return json.loads(metadata[b"astromae"])
