"""The answers about all galaxies, put together from those about each batch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from astromae.asking.own_columns import beside, own_columns
from astromae.asking.written import write_answers
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.qp_file import write_qp
from astromae.errors import InputError

#: How the file of a part ends, and its name by its number.
ENDING = ".answers.parquet"
PART = f"{{:06d}}{ENDING}"

#: What every answer begins with; where a part keeps distributions, and the edges of their bins among its metadata.
FIRST, MASSES, EDGES = ("objid", "ra", "dec"), "z_pdf", b"astromae_edges"

#: Point estimates as RAIL calls them, and here.
POINTS = {"zmean": "z_phot", "zmedian": "z_median", "zmode": "z_mode"}

_ANEW = "remove the folder of parts, and run the same command again"


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


def expected_parts(folder: Path, count: int) -> list[Path]:
    """Return the files of so many parts in a folder.

    Raises
    ------
    InputError
        If the folder holds further parts.
    """
    expected = [folder / PART.format(number) for number in range(count)]
    surplus = sorted({path.name for path in folder.glob(f"*{ENDING}")} - {path.name for path in expected})
    if surplus:
        raise InputError(
            f"{folder}: holds {', '.join(surplus[:5])} beside the {count} parts of these galaxies; {_ANEW}"
        )
    return expected


def join_parts(parts: Sequence[Path], listed: Path | None, output: Path, pdf: Path | None = None) -> Summary:
    """Put the parts together, write them, and count.

    Parameters
    ----------
    parts
        All files that `astromae.asking.parts.write_part` wrote about these galaxies, named and ordered by `PART`.
    listed
        The list that the galaxies are of, whose order and columns the answers then have; None for stamps.
    output
        Table to write.
    pdf
        File of qp to write, if one is wanted.

    Raises
    ------
    InputError
        If distributions are wanted, and there are none; a part is missing, or is of other models or galaxies.
    """
    _require_all(parts)
    own = [[name for name in pq.read_schema(path).names if name != MASSES] for path in parts]
    tables = [pq.read_table(path, columns=names).to_pandas() for path, names in zip(parts, own, strict=True)]
    for path, names in zip(parts, own, strict=True):
        if names != own[0]:
            differ = sorted({*names} ^ {*own[0]}) or names
            raise InputError(f"{path}: not of the models of {parts[0].name}: columns {', '.join(differ)}; {_ANEW}")
    table = pd.concat([part for part in tables if len(part)] or tables, ignore_index=True)
    further = None
    if listed is not None:
        further = own_columns(listed)
        _require_rows(table["source_row"].to_numpy(), listed, len(further), parts[0].parent)
    reasons = table["reason"].to_numpy()
    if pdf is not None:
        _write_distributions(parts, table[reasons == ""], pdf, listed is not None)
    flagged = (reasons == "") & (table["flags"].to_numpy() != "")
    if further is not None:
        table = table.sort_values("source_row", ignore_index=True).drop(columns="source_row")
        # Rows that are no galaxies have no objid, and were not asked about.
        asked = table["objid"].to_numpy() != 0
        table = beside(table, further, (*FIRST, *magnitude_columns(BANDS)), asked)
    write_answers(output, table)
    return Summary(int((reasons == "").sum()), int(flagged.sum()), dict(Counter(reasons[reasons != ""]).most_common()))


def _require_all(parts: Sequence[Path]) -> None:
    """Stop unless these are all parts, in their order."""
    for number, path in enumerate(parts):
        if path.name != PART.format(number):
            raise InputError(f"{path}: part {PART.format(number)} was expected here; {_ANEW}")
        if not path.is_file():
            raise InputError(f"{path}: no such file; {_ANEW}")


def _require_rows(rows: np.ndarray, listed: Path, count: int, folder: Path) -> None:
    """Stop unless each of the rows 1 to `count` of a list is answered about once."""
    times = pd.Series(rows).value_counts().reindex(range(1, count + 1), fill_value=0)
    wrong = {"without an answer": times.index[times == 0], "with several": times.index[times > 1]}
    wrong["beyond its end"] = np.setdiff1d(rows, times.index)
    said = [f"rows {', '.join(map(str, those[:5]))} {what}" for what, those in wrong.items() if len(those)]
    if said:
        raise InputError(f"{listed}: {'; '.join(said)}: the parts in {folder} are not all of this list; {_ANEW}")


def _write_distributions(parts: Sequence[Path], table: pd.DataFrame, pdf: Path, of_list: bool) -> None:
    """Write the distributions of the galaxies of a table, one part in memory after the other."""
    schemas = [pq.read_schema(path) for path in parts]
    edges = next((schema.metadata[EDGES] for schema in schemas if MASSES in schema.names), None)
    if edges is None:
        raise InputError(f"{pdf}: not one galaxy has a distribution")
    edges = np.frombuffer(edges, "<f8")
    ancillary = {"objid": table["objid"].to_numpy(np.int64)}
    ancillary |= {name: table[name].to_numpy(np.float64) for name in ("ra", "dec")}
    if of_list:
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
