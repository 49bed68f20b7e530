"""The answers about one batch of galaxies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.asking.answers import mixture
from astromae.asking.asked import Asked, flags_of
from astromae.asking.batches import Batch
from astromae.asking.flags import as_text
from astromae.asking.joined import EDGES, FIRST, MASSES
from astromae.contracts.catalog import magnitude_columns
from astromae.files import atomic_path


def write_part(path: Path, asked: Sequence[Asked], batch: Batch, symmetries: bool) -> None:
    """Answer about a batch, and write the answers (Parquet), a row for each galaxy.

    Parameters
    ----------
    path
        File to write.
    asked
        The models.
    batch
        The galaxies.
    symmetries
        Average over the eight symmetries of a stamp.
    """
    table, masses, edges = _answered(asked, batch, symmetries)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    if masses is not None:
        rows = np.flatnonzero(table["reason"].to_numpy() == "")
        lists = pa.FixedSizeListArray.from_arrays(pa.array(masses.astype(np.float32).ravel()), masses.shape[1])
        places = np.full(len(table), -1)
        places[rows] = np.arange(len(rows))
        arrow = arrow.append_column(MASSES, lists.take(pa.array(places, mask=places < 0)))
        arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), EDGES: edges.astype("<f8").tobytes()})
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary)


def _answered(
    asked: Sequence[Asked], batch: Batch, symmetries: bool
) -> tuple[pd.DataFrame, np.ndarray | None, np.ndarray | None]:
    """Return the answers about a batch; and, of galaxies that have one, distributions and the edges of their bins."""
    table, count, bands = batch.table, len(batch.table), asked[0].bands
    columns = magnitude_columns(bands)
    reads_stamps = any(model.reads_stamps for model in asked)
    reads_magnitudes = any(model.reads_magnitudes for model in asked)
    magnitudes = None
    if set(columns) <= set(table):
        magnitudes = table[columns].to_numpy(np.float64)
    elif reads_magnitudes:
        magnitudes = np.full((count, len(bands)), np.nan)
    possible, reasons = np.ones(count, dtype=bool), np.full(count, "", dtype=object)
    flags: dict[str, np.ndarray] = {}
    if batch.left_out:
        possible[:], reasons = False, batch.reasons
    if reads_magnitudes and not batch.left_out:
        incomplete = ~np.isfinite(magnitudes).all(axis=1)
        reasons[incomplete] = f"no {', '.join(columns)}"
        flags["no_magnitudes"] = incomplete
        possible &= ~incomplete
    if reads_stamps and not batch.left_out:
        reasons = np.where(batch.has_stamp, reasons, batch.reasons)
        flags["no_stamp"] = ~batch.has_stamp
        possible &= batch.has_stamp
    result = pd.DataFrame({name: table[name] if name in table else np.nan for name in FIRST}, index=table.index)
    rows, masses, edges = np.flatnonzero(possible), None, None
    if len(rows):
        images = None
        if reads_stamps:
            images = batch.images
            if len(rows) < len(images):
                images = images[np.flatnonzero(possible[batch.has_stamp])]
        own = None if magnitudes is None else magnitudes[rows]
        told = [model.answer(images, own if model.reads_magnitudes else None, symmetries) for model in asked]
        answer = mixture([one for one, _ in told])
        masses, edges = answer.masses, answer.edges
        for name, values in answer.columns.items():
            result[name] = np.nan
            result.loc[result.index[rows], name] = values
        for name, flagged in flags_of(asked, answer, [strange for _, strange in told], images, own, len(rows)).items():
            flags[name] = np.zeros(count, dtype=bool)
            flags[name][rows] = flagged
    result["flags"] = as_text(flags, count)
    result["reason"] = reasons
    result["model"] = "+".join(model.name for model in asked)
    further = [name for name in table if name not in result]
    return pd.concat([result, table[further]], axis=1), masses, edges
