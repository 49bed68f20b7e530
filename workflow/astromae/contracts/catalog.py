"""The catalogue of galaxies: one row an object, a missing value is NaN."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from astromae.contracts.tables import read_metadata, read_table, write_table
from astromae.errors import InputError
from astromae.files import write_checksum

#: The columns that name a field, in the order in which fields are dealt to chunks.
FIELD = ["run", "camcol", "field"]

#: First and last value that can be, of columns without missing values.
RANGES = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}


def magnitude_columns(bands: Sequence[str]) -> list[str]:
    """Return the columns of the dereddened magnitudes, AB."""
    return [f"mag_{band}" for band in bands]


def extinction_columns(bands: Sequence[str]) -> list[str]:
    """Return the columns of the Galactic extinctions, mag."""
    return [f"extinction_{band}" for band in bands]


def catalog_columns(bands: Sequence[str]) -> dict[str, type]:
    """Return the columns that every catalogue has, in order, with their types; `chunk` comes after them.

    objid; ra, dec (deg, ICRS); run, rerun, camcol, field (0 where a survey has no fields); z, z_err; the dereddened
    magnitude and the extinction in each of the survey's bands; petro_r (mag).
    """
    return {
        "objid": np.int64,
        "ra": np.float64,
        "dec": np.float64,
        **{name: np.int32 for name in ("run", "rerun", "camcol", "field")},
        "z": np.float64,
        "z_err": np.float64,
        **{name: np.float64 for name in [*magnitude_columns(bands), *extinction_columns(bands)]},
        "petro_r": np.float64,
    }


def write_catalog(path: str | Path, catalog: pd.DataFrame, bands: Sequence[str], metadata: Mapping[str, Any]) -> None:
    """Write a catalogue as Parquet, and its checksum.

    Parameters
    ----------
    path
        File to write.
    catalog
        The columns of `catalog_columns`, then chunk (the stamps job that makes a galaxy's stamp), then those special
        to the survey. Columns of `catalog_columns` that are absent are missing in every row: NaN, and 0 where they
        name a field.
    bands
        The survey's bands.
    metadata
        Where it comes from: survey, release, selection, source, counts, units.

    Raises
    ------
    InputError
        If an object occurs twice, a position is impossible, or there is no column chunk.
    """
    columns = catalog_columns(bands)
    if "chunk" not in catalog or "objid" not in catalog:
        raise InputError(f"{path}: a catalogue has at least the columns objid and chunk")
    absent = {name: np.nan if kind is np.float64 else 0 for name, kind in columns.items() if name not in catalog}
    catalog = catalog.assign(**absent)
    further = [name for name in catalog.columns if name not in columns and name != "chunk"]
    catalog = catalog[[*columns, "chunk", *further]].astype({**columns, "chunk": np.int32})
    require_unique(path, catalog["objid"])
    for name, (low, high) in RANGES.items():
        require_range(path, catalog, name, low, high)
    write_table(path, catalog, metadata)
    write_checksum(path)


def require_unique(path: str | Path, objid: pd.Series) -> None:
    """Raise InputError if an object occurs twice."""
    twice = objid[objid.duplicated()]
    if len(twice):
        raise InputError(f"{path}: objid {twice.iloc[0]} stands in more than one row; a catalogue names an object once")


def require_range(path: str | Path, catalog: pd.DataFrame, name: str, low: float, high: float) -> None:
    """Raise InputError if a value of a column is missing or not from `low` to `high`."""
    wrong = catalog[~catalog[name].between(low, high)]
    if len(wrong):
        raise InputError(
            f"{path}: {len(wrong)} galaxies have no {name} from {low} to {high}; "
            f"the first, {wrong['objid'].iloc[0]}, has {wrong[name].iloc[0]}"
        )


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
    galaxies = read_table(path, columns, "catalogue", None if chunk is None else [("chunk", "==", chunk)])
    if "objid" in columns:
        require_unique(path, galaxies["objid"])
    return galaxies


def column_names(path: str | Path) -> list[str]:
    """Return the names of a catalogue's columns.

    Raises
    ------
    InputError
        If the file is no Parquet file.
    """
    try:
        return pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable catalogue ({error})") from error


def magnitude_bands(columns: Iterable[str]) -> list[str]:
    """Return the bands that a catalogue's columns have magnitudes in, in their order."""
    return [name.removeprefix("mag_") for name in columns if name.startswith("mag_")]


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Read where a catalogue comes from: survey, release, selection, units.

    Raises
    ------
    InputError
        If the file is no Parquet file or says nothing about its origin.
    """
    return read_metadata(path, "catalogue")


def fields_of_chunks(path: str | Path) -> dict[int, int]:
    """Return the number of fields of each chunk of a catalogue: what a stamps job has to read."""
    columns = ["chunk", *FIELD]
    fields = pq.read_table(path, columns=columns, partitioning=None).group_by(columns).aggregate([])
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(fields["chunk"]).to_pylist()}
