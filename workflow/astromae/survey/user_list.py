"""A catalogue from a user's own list of galaxies."""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.files import atomic_path, write_text
from astromae.progress import log, track
from astromae.survey.archive import RERUN
from astromae.survey.catalog import COLUMNS, FIELD, write_catalog
from astromae.survey.sdss import connect, require
from astromae.survey.selections import PHOTOMETRY
from astromae.survey.skyserver import LONGEST_ADDRESS, MISSING, SkyServer

#: Largest distance from a listed position to the primary SDSS detection that is taken for it, arcsec.
MATCH_RADIUS_ARCSEC = 2.0

# A redshift above it is a magnitude: SDSS's own tables call the magnitude in the z band z.
_LARGEST_REDSHIFT = 10.0

# Names of columns that a list is searched for, in lower case.
_KNOWN = {*COLUMNS, "redshift"}

_UNITS = {
    "source_row": "row of the galaxy in the user's list, from 1",
    "separation_arcsec": "arcsec from the listed position to the SDSS object's",
}


def write_user_catalog(
    table: Path, settings: Mapping[str, Any], http: Mapping[str, Any], chunks: int, output: Path
) -> None:
    """Make a catalogue of a list of galaxies.

    The list has ra and dec (deg, ICRS). If it also has run, camcol and field, nothing else is asked for, and its
    columns objid, rerun, z, z_err, mag_{u,g,r,i,z}, extinction_{u,g,r,i,z} and petro_r are taken where they exist.
    Otherwise SkyServer is asked for the primary detection nearest to each position, which gives the field, the
    objid and the magnitudes. Galaxies that SkyServer does not have, and a galaxy that is listed twice, are left out
    and written with the reason beside the catalogue, with the suffix ``.unmatched.csv``; the exact SQL with ``.sql``.

    Parameters
    ----------
    table
        The list: CSV with a header, FITS or Parquet, by its suffix. Names of columns may be in any case.
    settings
        server and release of the configuration's section `sdss`.
    http
        queries_per_minute, timeout_s, tries and backoff_s of the same.
    chunks
        Stamps jobs that the fields are dealt to.
    output
        Catalogue to write (Parquet).

    Raises
    ------
    InputError
        If the list cannot be read, a value is wrong, no galaxy is left, or SkyServer does not answer.
    """
    require(settings, ("release",))
    galaxies = _read_list(Path(table))
    counts = {"listed": len(galaxies)}
    if set(FIELD) <= set(galaxies):
        twice = galaxies[galaxies["objid"].duplicated()]
        if len(twice):
            raise InputError(f"{table}: row {twice['source_row'].iloc[0]}: objid {twice['objid'].iloc[0]} occurs twice")
    else:
        sky = connect(settings, http, Path(output).parent)
        galaxies, unmatched, queries = _match(sky, galaxies)
        counts["unmatched"] = len(unmatched)
        if galaxies.empty:
            raise InputError(f"{table}: none of its {len(unmatched)} galaxies is in SDSS; are ra and dec in degrees?")
        with atomic_path(Path(output).with_suffix(".unmatched.csv")) as temporary:
            unmatched.to_csv(temporary, index=False)
        header = f"-- SDSS DR{settings['release']}, positions of a list of {counts['listed']} galaxies.\n"
        write_text(Path(output).with_suffix(".sql"), header + "".join(f"\n{sql}\n" for sql in queries))
        if len(unmatched):
            log(f"{output}: {len(unmatched)} of {counts['listed']} listed galaxies are left out; see .unmatched.csv")
    provenance = {"survey": "sdss", "release": settings["release"], "selection": "user's list", "counts": counts}
    write_catalog(output, galaxies, chunks, provenance, _UNITS)


def _read_list(path: Path) -> pd.DataFrame:
    """Return the list's known columns in the types of the catalogue, with `source_row`."""
    columns = {name.lower(): values for name, values in _read_columns(path).items()}
    if "z" not in columns and "redshift" in columns:
        columns["z"] = columns["redshift"]
    absent = [name for name in ("ra", "dec") if name not in columns]
    if absent:
        raise InputError(f"{path}: has no column {' and no column '.join(absent)}; a list needs ra and dec in degrees")
    named = [name for name in FIELD if name in columns]
    if named and len(named) < len(FIELD):
        raise InputError(f"{path}: has {' and '.join(named)} only; give run, camcol and field, or none of them")
    count = len(columns["ra"])
    if not count:
        raise InputError(f"{path}: lists no galaxies")
    galaxies = pd.DataFrame({"source_row": np.arange(1, count + 1, dtype=np.int32)})
    galaxies["objid"] = galaxies["source_row"].astype(np.int64)
    galaxies["rerun"] = RERUN
    for name, kind in COLUMNS.items():
        if name in columns:
            convert = _integer if np.issubdtype(kind, np.integer) else _float
            galaxies[name] = np.array(
                [convert(path, row, name, value) for row, value in enumerate(columns[name], 1)], dtype=np.dtype(kind)
            )
        elif name not in galaxies and name not in FIELD:
            galaxies[name] = np.nan
    _check(path, galaxies, "ra", 0.0, 360.0, "from 0 to 360 degrees")
    _check(path, galaxies, "dec", -90.0, 90.0, "from -90 to 90 degrees")
    _check(path, galaxies.fillna({"z": 0.0}), "z", -1.0, _LARGEST_REDSHIFT, "a redshift (not a magnitude)")
    return galaxies


def _check(path: Path, galaxies: pd.DataFrame, name: str, low: float, high: float, right: str) -> None:
    wrong = ~galaxies[name].between(low, high)
    if wrong.any():
        row = int(wrong.idxmax())
        raise InputError(f"{path}: row {row + 1}: {name} is {galaxies[name][row]}; use {right}")


def _read_columns(path: Path) -> dict[str, list]:
    """Return the columns of a list by name: text from CSV, numbers and None from FITS and Parquet."""
    readers = {".csv": _read_csv, ".fits": _read_fits, ".fit": _read_fits, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: a list of galaxies is a .csv, .fits or .parquet file")
    try:
        return readers[path.suffix.lower()](path)
    except InputError:
        raise
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _read_csv(path: Path) -> dict[str, list]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        # SkyServer's own CSV begins with a comment.
        header, *rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")] or [[]]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} cells, but the header has {len(header)}")
    return {name.strip(): [row[index].strip() for row in rows] for index, name in enumerate(header)}


def _read_fits(path: Path) -> dict[str, list]:
    from astropy.table import Table

    table = Table.read(path, format="fits")
    for name in table.colnames:
        if name.lower() in ("ra", "dec") and table[name].unit not in (None, "deg"):
            raise InputError(f"{path}: column {name} is in {table[name].unit}; use degrees")
    return {name: table[name].tolist() for name in table.colnames if name.lower() in _KNOWN}


def _read_parquet(path: Path) -> dict[str, list]:
    import pyarrow.parquet as pq

    names = [name for name in pq.read_schema(path).names if name.lower() in _KNOWN]
    table = pq.read_table(path, columns=names, partitioning=None)
    return {name: table[name].to_pylist() for name in names}


def _integer(path: Path, row: int, name: str, value: Any) -> int:
    """Return a cell as an exact integer; a float has 53 bits, and an SDSS identifier needs more."""
    if isinstance(value, float) and (abs(value) >= 2**53 or not value.is_integer()):
        raise InputError(f"{path}: row {row}: {name} is the floating-point number {value}; store it as an integer")
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise InputError(f"{path}: row {row}: {name} is {value!r}; use an integer") from None
    bits = np.iinfo(COLUMNS[name])
    if not bits.min <= number <= bits.max:
        raise InputError(f"{path}: row {row}: {name} is {number}, which does not fit in {bits.dtype}")
    return number


def _float(path: Path, row: int, name: str, value: Any) -> float:
    """Return a cell as a number; what is missing becomes NaN."""
    if value is None or value == "":
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{path}: row {row}: {name} is {value!r}; use a number") from None
    return math.nan if number == MISSING else number


def _match(sky: SkyServer, galaxies: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Find the primary SDSS detection of every galaxy.

    Returns
    -------
    DataFrame
        The galaxies that have one, with its field, objid and magnitudes, and `separation_arcsec`.
    DataFrame
        The others: row, ra, dec, reason.
    list of str
        The queries.
    """
    batches = list(_batches(sky, galaxies))
    minutes = math.ceil(len(batches) / sky.limit.requests)
    log(f"{sky.name}: {len(batches)} queries for {len(galaxies)} positions, about {minutes} min")
    found = []
    for first, last, sql in track(batches, "positions", unit="queries"):
        listed = galaxies.iloc[first:last].reset_index(drop=True)
        objects = pd.DataFrame(sky.ask(sql, PHOTOMETRY)).sort_values("objid", ignore_index=True)
        separation = _separation_arcsec(listed, objects)
        for row in range(len(listed)):
            nearest = int(separation[row].argmin()) if len(objects) else -1
            if nearest >= 0 and separation[row, nearest] <= MATCH_RADIUS_ARCSEC:
                found.append((first + row, separation[row, nearest], objects.iloc[[nearest]]))
    rows = [row for row, _, _ in found]
    matched = galaxies.iloc[rows].reset_index(drop=True)
    unmatched = galaxies.drop(index=galaxies.index[rows])
    unmatched = unmatched.assign(reason=f"no primary SDSS detection within {MATCH_RADIUS_ARCSEC} arcsec")
    if found:
        objects = pd.concat([nearest for _, _, nearest in found], ignore_index=True)
        for name in ("objid", "run", "rerun", "camcol", "field"):
            matched[name] = objects[name]
        for band in BANDS:
            matched[f"extinction_{band}"] = objects[f"extinction_{band}"]
            matched[f"mag_{band}"] = objects[f"modelmag_{band}"] - objects[f"extinction_{band}"]
        matched["petro_r"] = objects["petromag_r"] - objects["extinction_r"]
        matched["separation_arcsec"] = [separation for _, separation, _ in found]
        again = matched["objid"].duplicated()
        unmatched = pd.concat([unmatched, matched[again].assign(reason="the same SDSS object as an earlier row")])
        matched = matched[~again].reset_index(drop=True)
    unmatched = unmatched.rename(columns={"source_row": "row"}).sort_values("row")[["row", "ra", "dec", "reason"]]
    return matched, unmatched, [sql for _, _, sql in batches]


def _batches(sky: SkyServer, galaxies: pd.DataFrame) -> Iterator[tuple[int, int, str]]:
    """Yield first row, last row (excluded) and query for as many positions at a time as an address holds."""
    boxes = [_box(ra, dec) for ra, dec in zip(galaxies["ra"], galaxies["dec"], strict=True)]
    first = 0
    while first < len(boxes):
        last = first + 1
        while last < len(boxes) and len(sky.address(_sql(boxes[first : last + 1]))) <= LONGEST_ADDRESS:
            last += 1
        yield first, last, _sql(boxes[first:last])
        first = last


def _sql(boxes: list[str]) -> str:
    # p.mode = 1 is the primary detection of an object; the table has an index on right ascension.
    return f"SELECT {', '.join(PHOTOMETRY)} FROM PhotoObjAll AS p WHERE p.mode = 1 AND ({' OR '.join(boxes)})"


def _box(ra: float, dec: float) -> str:
    """Return the condition for a box around a circle of `MATCH_RADIUS_ARCSEC`, also across right ascension 0."""
    radius = MATCH_RADIUS_ARCSEC / 3600
    low, high = max(dec - radius, -90.0), min(dec + radius, 90.0)
    width = radius / max(math.cos(math.radians(max(abs(low), abs(high)))), 1e-6)
    declination = f"p.dec BETWEEN {low:.6f} AND {high:.6f}"
    if width >= 180:
        return f"({declination})"
    west, east = (ra - width) % 360, (ra + width) % 360
    if west <= east:
        return f"(p.ra BETWEEN {west:.6f} AND {east:.6f} AND {declination})"
    return f"((p.ra >= {west:.6f} OR p.ra <= {east:.6f}) AND {declination})"


def _separation_arcsec(listed: pd.DataFrame, objects: pd.DataFrame) -> NDArray[np.float64]:
    """Return the angles between all pairs, shape (listed, objects), by the haversine formula."""
    ra, dec = (np.radians(listed[name].to_numpy())[:, None] for name in ("ra", "dec"))
    object_ra, object_dec = (np.radians(objects[name].to_numpy())[None, :] for name in ("ra", "dec"))
    half = np.sin((dec - object_dec) / 2) ** 2
    half = half + np.cos(dec) * np.cos(object_dec) * np.sin((ra - object_ra) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600
