"""Parquet tables that say in their metadata where they come from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.errors import InputError
from astromae.files import atomic_path

#: Key of the file's metadata that holds ours, as JSON.
_KEY = b"astromae"


def write_table(path: str | Path, table: pd.DataFrame, metadata: Mapping[str, Any]) -> None:
    """Write a table as Parquet, atomically, with `metadata` as JSON."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    # Text has one type in all files, whichever of its own pandas holds it in.
    text = [field.with_type(pa.string()) if field.type == pa.large_string() else field for field in arrow.schema]
    arrow = arrow.cast(pa.schema(text, arrow.schema.metadata))
    arrow = arrow.replace_schema_metadata({_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary)


def read_table(
    path: str | Path, columns: Sequence[str] | None, kind: str, filters: list[tuple] | None = None
) -> pd.DataFrame:
    """Read some columns of a table.

    Parameters
    ----------
    path
        Parquet file.
    columns
        Columns to read; all when None.
    kind
        What the file is, for messages, for example ``catalogue``.
    filters
        Conditions on the rows, as pyarrow takes them.

    Raises
    ------
    InputError
        If the file is no Parquet file or lacks a column.
    """
    try:
        absent = set(columns or ()) - set(pq.read_schema(path).names)
        if absent:
            raise InputError(
                f"{path}: has no column {', '.join(sorted(absent))}; here a {kind} needs {', '.join(columns)}"
            )
        return pq.read_table(path, columns=columns and list(columns), filters=filters, partitioning=None).to_pandas()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable {kind} ({error}); make it again") from error


def read_metadata(path: str | Path, kind: str) -> dict[str, Any]:
    """Read what a table says of itself.

    Raises
    ------
    InputError
        If the file is no Parquet file or says nothing.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable {kind} ({error})") from error
    if _KEY not in metadata:
        raise InputError(f"{path}: its metadata has no key `astromae` with the survey that it comes from")
    return json.loads(metadata[_KEY])
