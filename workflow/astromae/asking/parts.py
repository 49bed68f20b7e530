"""The answers about one batch of galaxies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.asking.answers import answer_columns, mixture
from astromae.asking.asked import Asked, flags_of
from astromae.asking.batches import Batch
from astromae.asking.flags import as_text
from astromae.asking.inputs import inputs_of
from astromae.asking.joined import EDGES, FIRST, MASSES
from astromae.asking.own_columns import beside
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
    table, count, given = batch.table, len(batch.table), inputs_of(asked, batch)
    reasons = np.full(count, "", dtype=object)
    if batch.left_out:
        reasons = batch.reasons
    reasons = np.where(given.no_magnitudes, f"no {', '.join(magnitude_columns(asked[0].bands))}", reasons)
    reasons = np.where(given.no_stamp, batch.reasons, reasons)
    flags = {"no_stamp": given.no_stamp, "no_magnitudes": given.no_magnitudes}
    # The columns do not depend on whether a galaxy has an answer: parts fit together, and so do tables.
    result = pd.DataFrame({name: table[name] if name in table else np.nan for name in FIRST}, index=table.index)
    result = result.assign(**dict.fromkeys(answer_columns(asked[0].task), np.nan))
    masses = edges = None
    if len(given.rows):
        told = [
            model.answer(given.images, given.magnitudes if model.reads_magnitudes else None, symmetries)
            for model in asked
        ]
        answer = mixture([one for one, _ in told])
        masses, edges = answer.masses, answer.edges
        for name, values in answer.columns.items():
            result[name] = pd.Series(values, index=given.rows).reindex(range(count)).to_numpy()
        strange = [one for _, one in told]
        for name, flagged in flags_of(asked, answer, strange, given.images, given.magnitudes, len(given.rows)).items():
            flags[name] = np.zeros(count, dtype=bool)
            flags[name][given.rows] = flagged
    result["flags"] = as_text(flags, count)
    result["reason"] = reasons
    result["model"] = "+".join(model.name for model in asked)
    own = table.drop(columns=[name for name in FIRST if name in table])
    # Beside the distributions there is no other column of their name.
    return beside(result.assign(**{MASSES: np.nan}), own).drop(columns=MASSES), masses, edges
