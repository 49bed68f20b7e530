"""The catalogue of a survey that was observed: its columns, the deal of its fields to chunks, and its file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.files import atomic_path, write_checksum
from astromae.photometry_checks import check_magnitudes
from astromae.progress import log

#: The columns that every catalogue has, in order; `chunk` is added when it is written.
COLUMNS: Mapping[str, type] = {
    "objid": np.int64,
    "ra": np.float64,
    "dec": np.float64,
    **{name: np.int32 for name in ("run", "rerun", "camcol", "field")},
    "z": np.float64,
    "z_err": np.float64,
    **{f"mag_{band}": np.float64 for band in BANDS},
    **{f"extinction_{band}": np.float64 for band in BANDS},
    "petro_r": np.float64,
}

#: The columns that name a field, in the order in which fields are dealt.
FIELD = ["run", "camcol", "field"]

_UNITS = {
    "objid": "SDSS object identifier",
    "ra": "deg, ICRS",
    "dec": "deg, ICRS",
    "z": "spectroscopic redshift; NaN where there is none",
    "z_err": "its error; NaN where there is none",
    "mag_*": "mag, AB, SDSS asinh model magnitude minus the Galactic extinction",
    "extinction_*": "mag, Galactic extinction",
    "petro_r": "mag, AB, SDSS asinh Petrosian magnitude in r minus the Galactic extinction",
    "chunk": "stamps job that cuts the galaxy: the fields in order of run, camcol, field, dealt to equal shares",
}

#: First and last value that can be: the identifiers' bits bound run and field (SDSS "Photometric ObjIDs").
RANGES = {
    "ra": (0.0, 360.0),
    "dec": (-90.0, 90.0),
    "run": (1, 65535),
    "rerun": (0, 2047),
    "camcol": (1, 6),
    "field": (1, 4095),
}


def deal_fields(fields: pd.DataFrame, chunks: int) -> NDArray[np.int32]:
    """Deal galaxies to chunks by their field, so that every field is read by one job only.

    The fields, sorted by run, camcol and field, are cut into `chunks` runs of equal length (to one field). Chunks
    beyond the number of fields stay empty.

    Parameters
    ----------
    fields
        Columns run, camcol and field, one row a galaxy, in any order.
    chunks
        Number of chunks.

    Returns
    -------
    ndarray
        The chunk of each galaxy, shape (n,), 0 to `chunks` - 1.

    Raises
    ------
    InputError
        If `chunks` is not positive.
    """
    codes = fields.groupby(FIELD, sort=True).ngroup().to_numpy()
    count = int(codes.max()) + 1 if len(codes) else 0
    if chunks < 1:
        raise InputError(f"chunks: {chunks}; use 1 or more")
    # The first (count modulo chunks) chunks have one field more, as numpy.array_split deals them.
    sizes = np.full(chunks, count // chunks) + (np.arange(chunks) < count % chunks)
    return np.repeat(np.arange(chunks, dtype=np.int32), sizes)[codes]


def write_catalog(
    output: Path, catalog: pd.DataFrame, chunks: int, provenance: Mapping[str, Any], units: Mapping[str, str]
) -> None:
    """Write a catalogue as Parquet, in the order of its fields, with units and provenance in its metadata.

    Parameters
    ----------
    output
        File to write.
    catalog
        The columns of `COLUMNS`, and further ones that come after `chunk`.
    chunks
        Number of chunks that the fields are dealt to.
    provenance
        What the catalogue is: survey, release, selection, counts. The numbers of galaxies and fields are added.
    units
        Units of the further columns, and of any column for which they differ from the usual.

    Raises
    ------
    InputError
        If a galaxy occurs twice, a value is out of its range, or magnitudes cannot be measured ones.
    """
    further = [name for name in catalog.columns if name not in COLUMNS]
    catalog = catalog[[*COLUMNS, *further]].sort_values([*FIELD, "objid"], kind="stable", ignore_index=True)
    for name, (low, high) in RANGES.items():
        wrong = catalog[~catalog[name].between(low, high)]
        if len(wrong):
            raise InputError(
                f"{output}: {len(wrong)} galaxies have no {name} from {low} to {high}; "
                f"the first, {wrong['objid'].iloc[0]}, has {wrong[name].iloc[0]}"
            )
    twice = catalog.loc[catalog["objid"].duplicated(), "objid"]
    if len(twice):
        raise InputError(f"{output}: {len(twice)} galaxies occur more than once, the first of them {twice.iloc[0]}")
    catalog = catalog.astype(dict(COLUMNS))
    check_magnitudes(catalog[[f"mag_{band}" for band in BANDS]].to_numpy(), provenance.get("source", output))
    catalog.insert(len(COLUMNS), "chunk", deal_fields(catalog[FIELD], chunks))
    fields = len(catalog[FIELD].drop_duplicates())
    metadata = {
        **provenance,
        "counts": {**provenance.get("counts", {}), "galaxies": len(catalog), "fields": fields},
        "units": {**_UNITS, **units},
    }
    write_table(output, catalog, metadata)
    log(f"{output}: {len(catalog)} galaxies on {fields} fields in {min(chunks, fields)} chunks")
    say_missing(output, catalog)


def say_missing(output: Path, catalog: pd.DataFrame) -> None:
    """Print which columns of a catalogue lack values, and in how many rows."""
    lacking = catalog.isna().sum()
    if lacking.any():
        words = ", ".join(f"{name} {count}" for name, count in lacking.items() if count)
        log(f"{output}: galaxies without a value: {words}")


def write_left_out(output: Path, left_out: pd.DataFrame) -> None:
    """Write the rows of a catalogue's source that are left out, with the reason, beside the catalogue.

    The file has the catalogue's name with the suffix ``.left_out.csv``.
    """
    path = Path(output).with_suffix(".left_out.csv")
    with atomic_path(path) as temporary:
        left_out.to_csv(temporary, index=False)
    if len(left_out):
        log(f"{output}: {len(left_out)} rows are left out, with the reason in {path.name}")


def write_table(output: Path, table: pd.DataFrame, metadata: Mapping[str, Any]) -> None:
    """Write a table as Parquet with `metadata` as JSON under the key ``astromae`` of its schema, and its checksum."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({b"astromae": json.dumps(metadata, sort_keys=True).encode()})
    with atomic_path(output) as temporary:
        pq.write_table(arrow, temporary)
    write_checksum(output)
