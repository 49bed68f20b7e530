"""Reading the columns of a person's table in any of the usual formats."""

import bz2
import gzip
import io
import lzma
import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.errors import InputError

if TYPE_CHECKING:
    from astropy.table import Table

_UNPACK = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}

# First bytes of files that are not read here, and what to do with them.
_FOREIGN = {
    b"PK\x03\x04": "is a spreadsheet or another zip archive; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet; save it as CSV",
    b"\x89HDF": "is an HDF5 file; write the list as CSV, FITS or Parquet",
    b"%PDF": "is a PDF; write the list as CSV, FITS or Parquet",
}

#: What separates the cells of a line; white space last, since names and cells may hold some.
_SEPARATORS = ("\t", ";", "|", ",", r"\s+")

# A line under the header that rules it off, as in Markdown and in tables of fixed width.
_RULE = re.compile(r"[-+=|:,; \t]*[-=]{2}[-+=|:,; \t]*")

# Stands behind the last cell of every row of text.
_END = "\x1e"

# Types in the second line of the header of an IPAC table (IRSA).
_IPAC_TYPES = {"int", "long", "double", "float", "real", "char", "date", "i", "l", "d", "f", "r", "c"}


class Column(NamedTuple):
    """A column of a table: its cells (text, or objects of which None is a missing one, or numbers) and its unit."""

    cells: NDArray
    unit: str = ""


def read_table(
    path: Path, wanted: Collection[str] | None, needed: Collection[str]
) -> tuple[dict[str, Column], list[str]]:
    """Read the columns of a table by name.

    The content decides how: FITS, Parquet, VOTable, ECSV, IPAC, or lines of text with a header (which may stand in
    a comment) and commas, semicolons, tabs, bars or blanks between cells; compressed by gzip, bzip2 or xz or not.

    Parameters
    ----------
    path
        The file.
    wanted
        Names of the columns to return, in lower case; None for all of them.
    needed
        Those by which a header of text is known.

    Returns
    -------
    columns : dict
        The wanted columns that there are, by name in lower case and without blanks around it. Of all columns, by the
        names that stand there: ``column_{place}`` where there is none, and as `distinct_names` where two are alike.
    names : list of str
        All names of the table, as they stand there.

    Raises
    ------
    InputError
        If the file cannot be read, is in another format, or two columns have one of the wanted names.
    """
    try:
        data = path.read_bytes()
        for magic, unpack in _UNPACK.items():
            if data.startswith(magic):
                data = unpack(data)
        for magic, what in _FOREIGN.items():
            if data.startswith(magic):
                raise InputError(f"{path}: {what}")
        named = _read(path, data, wanted, needed)
    except InputError:
        raise
    except Exception as error:  # the libraries raise whatever they like at a damaged file
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{path}: cannot be read: {words}") from error
    names = [name for name, _ in named if name.strip()]
    if wanted is None:
        own = [_bare(name) or f"column_{place}" for place, (name, _) in enumerate(named, start=1)]
        return dict(zip(distinct_names(own), (column for _, column in named), strict=True)), names
    columns, spelt = {}, {}
    for name, column in named:
        key = normalised(name)
        if key in wanted:
            if key in columns:
                raise InputError(f"{path}: its columns {spelt[key]!r} and {name!r} have one name; leave one out")
            columns[key], spelt[key] = column, name
    return columns, names


def normalised(name: str) -> str:
    """Return a column's name in lower case, without blanks or quotes around it."""
    return _bare(name).lower()


def _bare(name: str) -> str:
    return name.strip().strip("\"'").strip()


def distinct_names(names: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """Return names of which no two are alike but for case, since FITS has none: ``name_2`` for the second ``name``.

    Parameters
    ----------
    names
        The names; the first of those that are alike keeps its own.
    taken
        Names that other columns have already.
    """
    used, found = {name.lower() for name in taken}, []
    for name in names:
        other, number = name, 1
        while other.lower() in used:
            number += 1
            other = f"{name}_{number}"
        used.add(other.lower())
        found.append(other)
    return found


def _read(path: Path, data: bytes, wanted: Collection[str] | None, needed: Collection[str]) -> list[tuple[str, Column]]:
    """Return name and column of all columns, empty ones of those that are not wanted and cost time."""
    if data.startswith(b"SIMPLE"):
        return _of_astropy(io.BytesIO(data), "fits", wanted)
    if data.startswith(b"PAR1"):
        return _of_parquet(data, wanted)
    text = _decode(data)
    if "\0" in text:
        raise InputError(f"{path}: is no text, and neither FITS nor Parquet")
    if not text.strip():
        raise InputError(f"{path}: is empty")
    if re.match(r"\s*<(\?xml|VOTABLE)", text):
        return _of_astropy(io.BytesIO(data), "votable", wanted)
    if text.startswith("# %ECSV"):
        return _of_astropy(text, "ascii.ecsv", wanted)
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if lines[0].startswith("\\") or (
        len(lines) > 1 and {cell.strip().lower() for cell in lines[1].strip().strip("|").split("|")} <= _IPAC_TYPES
    ):
        return _of_astropy(text, "ascii.ipac", wanted)
    return _of_text(path, lines, needed)


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Names and numbers are ASCII in any case.
        return data.decode("latin-1")


def _of_text(path: Path, lines: list[str], needed: Collection[str]) -> list[tuple[str, Column]]:
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    rows = [line for line in lines[first:] if not line.startswith("#")]
    found = _header(rows[0], needed) if rows else None
    if found:
        del rows[0]
    else:
        # The header may be the last comment that looks like one: SkyServer, TOPCAT and numpy.savetxt write such.
        comments = (line.lstrip("# \t") for line in reversed(lines[:first]))
        found = next(filter(None, (_header(line, needed, rows[:1]) for line in comments)), None)
    if not found:
        line = rows[0] if rows else lines[-1].lstrip("# \t")
        if first and re.fullmatch(r"[-+.\deE,;|\s]*", line):
            # Nothing but numbers: whatever is a header stands in the comment before them.
            line = lines[first - 1].lstrip("# \t")
        divided = (_cells(line, separator) for separator in _SEPARATORS)
        return [(name, Column(np.empty(0))) for name in next((names for names in divided if len(names) > 1), [line])]
    separator, names = found
    if rows and _RULE.fullmatch(rows[0]):
        del rows[0]
    if not rows:
        return [(name, Column(np.empty(0))) for name in names]
    table = _parsed(path, rows, separator, len(names))
    if separator == ";":
        # A spreadsheet separates by semicolons where it writes commas for decimal points.
        table = table.apply(lambda cells: cells.str.replace(r"^\s*([-+]?\d+),(\d+)\s*$", r"\1.\2", regex=True))
    return [(name, Column(table[index].to_numpy(object))) for index, name in enumerate(names)]


def _header(line: str, needed: Collection[str], rows: Iterable[str] = ()) -> tuple[str, list[str]] | None:
    """Return separator and names of a line that has the needed names, and as many as the rows have cells."""
    for separator in _SEPARATORS:
        names = _cells(line, separator)
        if set(needed) <= {normalised(name) for name in names}:
            if all(len(_cells(row, separator)) == len(names) for row in rows):
                return separator, names
    return None


def _cells(line: str, separator: str) -> list[str]:
    return _parse([line], separator).iloc[0, :-1].tolist()


def _parse(lines: list[str], separator: str) -> pd.DataFrame:
    """Return cells as text; behind each row's last one stands `_END`, since pandas fills up short rows in silence."""
    end = (" " if separator == r"\s+" else separator) + _END
    inside = False
    ended = []
    for line in lines:
        inside ^= line.count('"') % 2 == 1
        ended.append(line.strip(" ") + ("" if inside else end))
    return pd.read_csv(
        io.StringIO("\n".join(ended) + "\n"),
        sep=separator,
        header=None,
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        index_col=False,
    )


def _parsed(path: Path, rows: list[str], separator: str, count: int) -> pd.DataFrame:
    """Return text cells of `count` columns."""
    try:
        table = _parse(rows, separator)
    except pd.errors.ParserError as error:
        uneven = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if not uneven:
            raise
        cells, usual = int(uneven[3]) - 1, int(uneven[1]) - 1
        raise InputError(f"{path}: row {uneven[2]} has {cells} cells, but those before it have {usual}") from error
    ends = (table == _END).to_numpy()
    cells = np.where(ends.any(axis=1), ends.argmax(axis=1), 0)
    width = table.shape[1] - 1
    while width > count and (table[width - 1] == "").all():
        # Every line ends with a separator.
        width -= 1
        cells -= 1
    uneven_rows = cells != count
    if uneven_rows.any():
        row = int(uneven_rows.argmax())
        raise InputError(f"{path}: row {row + 1} has {cells[row]} cells, but the header has {count}")
    return table


def _is_wanted(name: str, wanted: Collection[str] | None) -> bool:
    return wanted is None or normalised(name) in wanted


def _of_astropy(source: object, kind: str, wanted: Collection[str] | None) -> list[tuple[str, Column]]:
    from astropy.table import Table

    with warnings.catch_warnings():
        # Units that a standard does not know, and further tables of a file.
        warnings.simplefilter("ignore")
        table = Table.read(source, format=kind)
    return [(name, _column(table, name) if _is_wanted(name, wanted) else Column(())) for name in table.colnames]


def _column(table: "Table", name: str) -> Column:
    column = table[name]
    unit = str(getattr(column, "unit", None) or "")
    if getattr(column, "mask", None) is None:
        return Column(np.asarray(column), unit)
    if column.dtype.kind == "f":
        return Column(np.asarray(column.filled(np.nan)), unit)
    if column.ndim > 1:
        return Column(np.asarray(column.filled()), unit)
    return Column(np.array(column.tolist(), dtype=object), unit)


def _of_parquet(data: bytes, wanted: Collection[str] | None) -> list[tuple[str, Column]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    schema = file.schema_arrow
    units = {}
    if b"table_meta_yaml" in (schema.metadata or {}):
        # astropy's tables keep their units there.
        from astropy.table import Table

        described = Table.read(io.BytesIO(data), format="parquet", schema_only=True)
        units = {name: str(getattr(described[name], "unit", None) or "") for name in described.colnames}
    named = []
    for field in schema:
        if not _is_wanted(field.name, wanted):
            named.append((field.name, Column(())))
            continue
        column = file.read(columns=[field.name])[field.name]
        if pa.types.is_floating(field.type) or (pa.types.is_integer(field.type) and not column.null_count):
            cells = column.to_numpy()
        else:
            cells = np.empty(len(column), dtype=object)
            cells[:] = column.to_pylist()
        unit = (field.metadata or {}).get(b"unit", b"").decode() or units.get(field.name, "")
        named.append((field.name, Column(cells, unit)))
    return named
