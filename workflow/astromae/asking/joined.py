"""The answers about all galaxies, put together from those about each batch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from astromae.asking.own_columns import own_columns
from astromae.asking.written import write_answers
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.qp_file import write_qp
from astromae.errors import InputError

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


def join_parts(parts: Sequence[Path], listed: Path | None, output: Path, pdf: Path | None = None) -> Summary:
    """Put the parts together, write them, and count.

    Parameters
    ----------
    parts
        Files that `astromae.asking.parts.write_part` wrote, in the order of the galaxies.
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
    if "source_row" in table:
        # Distributions come in the order of the fields, the table in that of the list.
        ancillary["row"] = table["source_row"].to_numpy(np.int64)
    ancillary |= {name: table[column].to_numpy(np.float64) for name, column in POINTS.items()}
    blocks = (_masses(path) for path, schema in zip(parts, schemas, strict=True) if MASSES in schema.names)
    write_qp(pdf, edges, blocks, ancillary)


def _masses(part: Path) -> np.ndarray:
    """Return the distributions of a part, (n, k), float32."""
    column = pq.read_table(part, columns=[MASSES])[MASSES].combine_chunks()
    kept = column.drop_null()
    return kept.flatten().to_numpy(zero_copy_only=False).reshape(len(kept), -1)
