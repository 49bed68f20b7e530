"""The real survey's catalogue: fetched from SkyServer in partitions of the sky, then merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS
from astromae.contracts.catalog import catalog_columns
from astromae.contracts.tables import read_metadata, read_table, write_table
from astromae.errors import InputError
from astromae.files import write_checksum, write_text
from astromae.progress import log
from astromae.survey.duplicates import without_duplicates
from astromae.survey.http import HttpSettings
from astromae.survey.left_out import write_left_out
from astromae.survey.observed_catalog import write_observed_catalog
from astromae.survey.ratelimit import RateLimit
from astromae.survey.selections import PHOTOMETRY, SPECTROSCOPY, count_sql, cuts_of, rows_sql
from astromae.survey.sentinels import Sentinels
from astromae.survey.skyserver import ROW_LIMIT, SkyServer

#: Of several spectra of one object the catalogue keeps this one.
DUPLICATES = (
    "of the rows of one objid: the smallest redshift error above 0, a missing one last; then the smallest specobjid"
)

#: Right ascensions are not halved below this width, degrees: a fifth of a pixel.
NARROWEST_DEG = 2e-5

# What all partitions of a catalogue have in common.
_COMMON = ("survey", "release", "selection", "cuts", "partitions")

# Times that a range is counted and fetched before a table that is too short is taken for the server's limit.
_ROUNDS = 2


@dataclass(frozen=True)
class Pace(HttpSettings):
    """How politely SkyServer is asked.

    Attributes
    ----------
    queries_per_minute
        Queries over all running jobs.
    """

    queries_per_minute: float = 60.0


@dataclass(frozen=True)
class Sample:
    """What decides the galaxies.

    Attributes
    ----------
    server
        Address of SkyServer.
    release
        Data release.
    selection
        Name of the selection.
    cuts
        Cuts that replace the selection's own; None lifts one.
    """

    server: str
    release: int
    selection: str
    cuts: dict[str, Any]

    @property
    def all_cuts(self) -> dict[str, Any]:
        """The selection's cuts, those replaced that `cuts` names."""
        return cuts_of(self.selection, self.cuts)

    @property
    def identity(self) -> dict[str, Any]:
        """What the galaxies depend on, as a catalogue's provenance has it."""
        return {"release": self.release, "selection": self.selection, "cuts": self.all_cuts}


def connect(server: str, release: int, pace: Pace, folder: Path) -> SkyServer:
    """Return SkyServer with the rate limit that all jobs keep which write to `folder`.

    Raises
    ------
    InputError
        If the release is not supported.
    """
    limit = RateLimit(folder / ".skyserver-queries.json", pace.queries_per_minute)
    return SkyServer(server, release, pace, limit)


def partition_range(cuts: Mapping[str, Any], partition: int, partitions: int) -> tuple[float, float]:
    """Return the right ascensions from and to (degrees) of one of equal parts of the sky, or of the cut in it.

    Raises
    ------
    InputError
        If `partition` is not one of 0 to `partitions` - 1.
    """
    if not 0 <= partition < partitions:
        raise InputError(f"partition: {partition}; use 0 to {partitions - 1}")
    low, high = cuts["ra"] or (0.0, 360.0)
    edges = [low + ra_width((low, high)) * number / partitions for number in (partition, partition + 1)]
    start, end = (edge - 360 if edge > 360 else edge for edge in edges)
    # What ends the last part must be the very number that ends the cut.
    return start % 360, high if partition == partitions - 1 else end


def ra_width(ra_deg: tuple[float, float]) -> float:
    """Return the width of a range of right ascensions, which leads through 0 where it ends below its start."""
    low, high = ra_deg
    return high - low + (360 if high < low else 0)


def fetch_partition(
    partition: int, partitions: int, sample: Sample, pace: Pace, output: Path, row_limit: int = ROW_LIMIT
) -> None:
    """Fetch one partition of the selection from SkyServer.

    The partition is counted first, and split until each part stays below the row limit. Each part's rows must be as
    many as its own count.

    Parameters
    ----------
    partition, partitions
        Which of how many equal ranges of right ascension, from 0.
    sample
        The selection.
    pace
        How politely SkyServer is asked.
    output
        Table to write (Parquet): SkyServer's columns in lower case, sorted by objid and specobjid; the exact SQL and
        the number of rows of each query are in the metadata.
    row_limit
        Rows after which SkyServer ends a table silently.

    Raises
    ------
    InputError
        If SkyServer rejects a query, or a fault or a miscount does not pass.
    """
    ra_deg = partition_range(sample.all_cuts, partition, partitions)
    sky = connect(sample.server, sample.release, pace, output.parent)
    parts = _fetch_range(sky, sample.selection, sample.all_cuts, ra_deg, row_limit)
    rows = pd.concat([table for _, table in parts], ignore_index=True)
    metadata = {
        "survey": "sdss",
        **sample.identity,
        "partition": partition,
        "partitions": partitions,
        "rows": len(rows),
        "queries": [{"sql": sql, "rows": len(table)} for sql, table in parts],
    }
    write_table(output, rows.sort_values(["objid", "specobjid"], ignore_index=True), metadata)
    write_checksum(output)
    log(f"{output}: {len(rows)} rows with right ascensions from {ra_deg[0]:g} to {ra_deg[1]:g} deg")


def _fetch_range(
    sky: SkyServer, selection: str, cuts: Mapping[str, Any], ra_deg: tuple[float, float], row_limit: int
) -> list[tuple[str, pd.DataFrame]]:
    """Return the queries that together cover a range of right ascensions, each with its rows."""
    sql = rows_sql(selection, cuts, ra_deg)
    low, high = ra_deg
    for _ in range(_ROUNDS):
        count = sky.count(count_sql(selection, cuts, ra_deg))
        if count >= row_limit:
            break
        rows = pd.DataFrame(sky.ask(sql, {**PHOTOMETRY, **SPECTROSCOPY}))
        if len(rows) == count:
            return [(sql, rows)]
        log(f"{sky.name}: counts {count} rows and sends {len(rows)} for right ascensions from {low} to {high}")
    if count < row_limit and len(rows) > count:
        raise InputError(f"{sky.name}: counts {count} rows and sends {len(rows)}; query: {sql}")
    if ra_width(ra_deg) < NARROWEST_DEG:
        raise InputError(f"{sky.name}: does not send all of {count} rows, however narrow the range; query: {sql}")
    log(f"{sky.name}: splitting right ascensions from {low} to {high}, which hold {count} rows")
    middle = (low + ra_width(ra_deg) / 2) % 360
    halves = [_fetch_range(sky, selection, cuts, half, row_limit) for half in ((low, middle), (middle, high))]
    parts = [part for half in halves for part in half]
    total = sum(len(table) for _, table in parts)
    if total != count:
        raise InputError(f"{sky.name}: counts {count} rows and sends {total} in parts; query: {sql}")
    return parts


def merge_partitions(
    partitions: Sequence[Path], chunks: int, output: Path, sql: Path, galaxy_zoo: Path | None = None
) -> None:
    """Merge all partitions into the catalogue.

    Magnitudes are dereddened (model and Petrosian magnitude minus the band's extinction), and each object is kept
    once, by the rule of `DUPLICATES`; so is the first of several objects within 1 arcsec. Sentinels, and values that
    no galaxy can have, are missing. What is left out is written beside the catalogue, with the suffix
    ``.left_out.csv``.

    Parameters
    ----------
    partitions
        The files of `fetch_partition`, all of one selection, in any order.
    chunks
        Stamps jobs that the fields are dealt to.
    output
        Catalogue to write (Parquet).
    sql
        File for the exact queries that made it.
    galaxy_zoo
        Table of votes on shapes (`astromae.survey.galaxy_zoo`), if some are wanted.

    Raises
    ------
    InputError
        If a partition is missing, doubled, incomplete or of another selection, or there are no galaxies; or as
        `astromae.survey.galaxy_zoo.join_votes`.
    """
    tables, parts = _read_partitions(partitions)
    rows = pd.concat(tables, ignore_index=True)
    if rows.empty:
        raise InputError(f"{output}: the selection has no galaxies; relax sdss.cuts")
    # The spectroscopic pipeline marks a fit without an error by a value of 0 or below.
    rows["z_err"] = rows["zerr"].where(rows["zerr"] > 0)
    rows = rows.sort_values(["objid", "z_err", "specobjid"], na_position="last", kind="stable")
    sentinels = Sentinels(output)
    galaxies, left_out = without_duplicates(
        rows.drop_duplicates("objid").reset_index(drop=True).assign(row=lambda table: table.index + 1), "row", output
    )
    catalog = pd.DataFrame({name: galaxies[name] for name in catalog_columns(BANDS) if name in galaxies})
    for name in ("z", "z_err"):
        catalog[name] = sentinels.clean(name, catalog[name], refuse=False)
    catalog = catalog.assign(**dereddened(galaxies, sentinels))
    catalog["specobjid"] = galaxies["specobjid"]
    sentinels.log_counts(len(catalog))
    missing = catalog.isna().sum()
    provenance = {
        **{key: parts[0][key] for key in _COMMON},
        "counts": {
            "rows": len(rows),
            "duplicates": len(rows) - len(galaxies) - len(left_out),
            "left_out": len(left_out),
            "sentinels": sentinels.counts,
            "missing": {name: int(number) for name, number in missing.items() if number},
        },
        "duplicates": DUPLICATES,
    }
    units = {"specobjid": "SDSS spectrum identifier (unsigned)"}
    write_observed_catalog(output, catalog, chunks, provenance, units, galaxy_zoo)
    write_left_out(output, left_out.drop(columns="row"))
    write_text(sql, _sql_text(parts, len(rows), len(galaxies)))


def dereddened(objects: pd.DataFrame, sentinels: Sentinels) -> dict[str, NDArray[np.float64]]:
    """Return extinctions and dereddened magnitudes under the catalogue's names, from SkyServer's columns.

    Parameters
    ----------
    objects
        The columns of `PHOTOMETRY`, as SkyServer's client returns them.
    sentinels
        Counts what was taken for missing.
    """
    photometry = {}
    for band in BANDS:
        name = f"extinction_{band}"
        photometry[name] = sentinels.clean(name, objects[name], refuse=False)
        model = sentinels.clean(f"mag_{band}", objects[f"modelmag_{band}"], refuse=False)
        photometry[f"mag_{band}"] = model - photometry[name]
    petrosian = sentinels.clean("petro_r", objects["petromag_r"], refuse=False)
    return photometry | {"petro_r": petrosian - photometry["extinction_r"]}


def _read_partitions(paths: Sequence[Path]) -> tuple[list[pd.DataFrame], list[dict[str, Any]]]:
    """Return the tables and metadata of all partitions, in order, after checking that they are complete."""
    found = {}
    first = None
    for path in paths:
        try:
            part, table = read_metadata(path, "partition"), read_table(path, None, "partition")
            number = part["partition"]
        except (InputError, KeyError) as error:
            raise InputError(f"{path}: not a partition of the step sdss-partition ({error})") from error
        first = first or (path, part)
        for key in _COMMON:
            if part[key] != first[1][key]:
                raise InputError(f"{path}: its {key} is {part[key]}, but that of {first[0]} is {first[1][key]}")
        if number in found:
            raise InputError(f"{path}: partition {number} is given twice")
        if len(table) != part["rows"]:
            raise InputError(f"{path}: holds {len(table)} rows instead of {part['rows']}")
        found[number] = (table, part)
    absent = sorted(set(range(first[1]["partitions"] if first else 1)) - set(found))
    if absent:
        raise InputError(f"partition {absent[0]} is missing ({len(absent)} in all)")
    ordered = [found[number] for number in sorted(found)]
    return [table for table, _ in ordered], [part for _, part in ordered]


def _sql_text(parts: Sequence[Mapping[str, Any]], rows: int, galaxies: int) -> str:
    """Return the queries that made a catalogue, as text for people and for SkyServer."""
    first = parts[0]
    lines = [
        f"-- SDSS DR{first['release']}, selection {first['selection']}: {rows} rows, {galaxies} galaxies.",
        f"-- Rule for duplicates: {DUPLICATES}.",
    ]
    for part in parts:
        for query in part["queries"]:
            lines += [
                "",
                f"-- partition {part['partition']} of {part['partitions']}: {query['rows']} rows",
                query["sql"],
            ]
    return "\n".join(lines) + "\n"
