"""The answers about one batch of galaxies after the other, and all of them together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.asking.answers import mixture
from astromae.asking.asked import Asked, flags_of
from astromae.asking.batches import Batch
from astromae.asking.flags import as_text
from astromae.asking.listed import own_columns
from astromae.asking.written import write_answers
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.qp_file import write_qp
from astromae.errors import InputError
from astromae.files import atomic_path

#: File of a part, by its number.
PART = "{:06d}.answers.parquet"

#: What every answer begins with; where a part keeps distributions, and the edges of their bins among its metadata.
FIRST, MASSES, EDGES = ("objid", "ra", "dec"), "z_pdf", b"astromae_edges"

#: Point estimates as RAIL calls them, and here.
POINTS = {"zmean": "z_phot", "zmedian": "z_median", "zmode": "z_mode"}


@dataclass(frozen=True)
class Summary:
    """How many were answered.

    Attributes
    ----------
    answered
        Galaxies with an answer.
    flagged
        Those of them with a flag.
    reasons
        Why others have none, and how many.
    """

    answered: int
    flagged: int
    reasons: dict[str, int]

    def __str__(self) -> str:
        """Return it in words, one line each."""
        lines = [f"{self.answered} predicted, {self.flagged} of them flagged"]
        lines += [f"{count} not: {reason}" for reason, count in self.reasons.items()]
        return "\n".join(lines)


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
    if reads_magnitudes:
        incomplete = ~np.isfinite(magnitudes).all(axis=1)
        reasons[incomplete] = f"no {', '.join(columns)}"
        flags["no_magnitudes"] = incomplete
        possible &= ~incomplete
    if reads_stamps:
        reasons = np.where(batch.has_stamp, reasons, batch.reasons)
        flags["no_stamp"] = ~batch.has_stamp
        possible &= batch.has_stamp
    result = pd.DataFrame({name: table[name] if name in table else np.nan for name in FIRST}, index=table.index)
    rows, masses, edges = np.flatnonzero(possible), None, None
    if len(rows):
        images = batch.images[np.flatnonzero(possible[batch.has_stamp])] if reads_stamps else None
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


def join_parts(parts: Sequence[Path], listed: Path | None, output: Path, pdf: Path | None = None) -> Summary:
    """Put the parts together, write them, and count.

    Parameters
    ----------
    parts
        Files that `write_part` wrote, in the order of the galaxies.
    listed
        The list that the galaxies are of, whose order and columns the answers then have; None for stamps.
    output
        Table to write.
    pdf
        File of qp to write, if one is wanted.

    Raises
    ------
    InputError
        If distributions are wanted, and there are none.
    """
    own = [[name for name in pq.read_schema(path).names if name != MASSES] for path in parts]
    tables = [pq.read_table(path, columns=names).to_pandas() for path, names in zip(parts, own, strict=True)]
    # Where nobody of a part has an answer, its columns are not there.
    columns = list(max(tables, key=lambda part: len(part.columns)).columns)
    table = pd.concat([part for part in tables if len(part)] or tables, ignore_index=True)[columns]
    reasons = table["reason"].to_numpy()
    if pdf is not None:
        _write_distributions(parts, table[reasons == ""], pdf)
    flagged = (reasons == "") & (table["flags"].to_numpy() != "")
    write_answers(output, table if listed is None else _with_own(table, listed))
    return Summary(int((reasons == "").sum()), int(flagged.sum()), dict(Counter(reasons[reasons != ""]).most_common()))


def _with_own(table: pd.DataFrame, given: Path) -> pd.DataFrame:
    """Return the answers in the order of the list, with its columns under their own names."""
    own = own_columns(given)
    taken = {name.lower() for name in table} - set(magnitude_columns(BANDS))
    renamed = {name: f"{name}_listed" for name in own if name.lower() in taken and name.lower() not in FIRST}
    own = own.drop(columns=[name for name in own if name.lower() in FIRST]).rename(columns=renamed)
    table = table.sort_values("source_row", ignore_index=True)
    here = own.iloc[table["source_row"].to_numpy() - 1].reset_index(drop=True)
    absent = [name for name in table if name in {*here, "source_row"}]
    return pd.concat([table.drop(columns=absent), here], axis=1)


def _write_distributions(parts: Sequence[Path], table: pd.DataFrame, pdf: Path) -> None:
    """Write the distributions of the galaxies of a table, one part in memory after the other."""
    schemas = [pq.read_schema(path) for path in parts]
    edges = next((schema.metadata[EDGES] for schema in schemas if MASSES in schema.names), None)
    if edges is None:
        raise InputError(f"{pdf}: not one galaxy has a distribution")
    edges = np.frombuffer(edges, "<f8")
    ancillary = {"objid": table["objid"].to_numpy(np.int64)}
    ancillary |= {name: table[name].to_numpy(np.float64) for name in ("ra", "dec")}
    ancillary |= {name: table[column].to_numpy(np.float64) for name, column in POINTS.items()}
    blocks = (_masses(path) for path, schema in zip(parts, schemas, strict=True) if MASSES in schema.names)
    write_qp(pdf, edges, blocks, ancillary)


def _masses(part: Path) -> np.ndarray:
    """Return the distributions of a part, (n, k), float32."""
    column = pq.read_table(part, columns=[MASSES])[MASSES].combine_chunks()
    kept = column.drop_null()
    return kept.flatten().to_numpy(zero_copy_only=False).reshape(len(kept), -1)
