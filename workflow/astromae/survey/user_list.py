"""A catalogue from a user's own list of galaxies."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.errors import InputError
from astromae.files import write_text
from astromae.progress import log, track
from astromae.survey.galaxy_list import read_list
from astromae.survey.left_out import write_left_out
from astromae.survey.observed_catalog import write_observed_catalog
from astromae.survey.sdss_catalog import Pace, connect, dereddened
from astromae.survey.selections import PHOTOMETRY
from astromae.survey.sentinels import Sentinels
from astromae.survey.skyserver import LONGEST_ADDRESS, SkyServer

#: Largest distance from a listed position to the primary SDSS detection that is taken for it, arcsec.
MATCH_RADIUS_ARCSEC = 2.0

_UNITS = {
    "source_row": "row of the galaxy in the user's list, from 1",
    "separation_arcsec": "arcsec from the listed position to the SDSS object's",
}


def write_user_catalog(
    table: Path, server: str, release: int, chunks: int, output: Path, pace: Pace, galaxy_zoo: Path | None = None
) -> None:
    """Make a catalogue of a list of galaxies.

    The list is read by `read_list`. If it has run, camcol and field, nothing else is asked for. Otherwise SkyServer
    is asked for the primary detection nearest to each position, which gives the field, the objid and the magnitudes.
    Galaxies that SkyServer does not have, and a galaxy that is listed again, are left out and written with the
    reason beside the catalogue, with the suffix ``.left_out.csv``; the exact SQL with ``.sql``.

    Parameters
    ----------
    table
        The list: text with a header, FITS, Parquet or VOTable.
    server
        Address of SkyServer.
    release
        Data release.
    chunks
        Stamps jobs that the fields are dealt to, at most.
    output
        Catalogue to write (Parquet).
    pace
        How politely SkyServer is asked.
    galaxy_zoo
        Table of votes on shapes (`astromae.survey.galaxy_zoo`), if some are wanted.

    Raises
    ------
    InputError
        If the list cannot be read, a value is wrong, no galaxy is left, or SkyServer does not answer; or as
        `astromae.survey.galaxy_zoo.join_votes`.
    """
    listed = read_list(table)
    for note in listed.notes:
        log(f"{table}: {note}")
    listed.sentinels.log_counts(listed.rows)
    galaxies, left_out, queries = listed.galaxies, listed.left_out.drop(columns="objid"), []
    sentinels = listed.sentinels.counts
    if not listed.has_fields:
        sky = connect(server, release, pace, output.parent)
        answered = Sentinels(sky.name)
        galaxies, unmatched, queries = _match(sky, galaxies, answered)
        answered.log_counts(len(galaxies))
        sentinels = sentinels | answered.counts
        left_out = pd.concat([left_out, unmatched]).sort_values("source_row")
    # Before the catalogue: where there is one, nobody asks again what it lacks.
    write_left_out(output, left_out.rename(columns={"source_row": "row"}))
    if galaxies.empty:
        raise InputError(f"{table}: none of its {listed.rows} galaxies is in SDSS; are ra and dec in degrees?")
    provenance = {
        "survey": "sdss",
        "release": release,
        "selection": "user's list",
        "source": table.name,
        "counts": {"listed": listed.rows, "left_out": len(left_out), "sentinels": sentinels},
    }
    write_observed_catalog(output, galaxies, chunks, provenance, _UNITS, galaxy_zoo)
    if queries:
        header = f"-- SDSS DR{release}, positions of a list of {listed.rows} galaxies.\n"
        write_text(output.with_suffix(".sql"), header + "".join(f"\n{sql}\n" for sql in queries))


def _match(
    sky: SkyServer, galaxies: pd.DataFrame, sentinels: Sentinels
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Find the primary SDSS detection of every galaxy.

    Returns
    -------
    DataFrame
        The galaxies that have one, with its field, objid and magnitudes, and `separation_arcsec`.
    DataFrame
        The others: source_row, ra, dec, reason.
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
        matched = matched.assign(**dereddened(objects, sentinels))
        matched["separation_arcsec"] = [separation for _, separation, _ in found]
        again = matched["objid"].duplicated()
        unmatched = pd.concat([unmatched, matched[again].assign(reason="the same SDSS object as an earlier row")])
        matched = matched[~again].reset_index(drop=True)
    return matched, unmatched[["source_row", "ra", "dec", "reason"]], [sql for _, _, sql in batches]


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
