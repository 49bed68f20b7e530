"""How many galaxies a selection has, and on how many fields: asked of SkyServer before anything is fetched."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from astromae.contracts.catalog import read_provenance
from astromae.errors import InputError
from astromae.files import write_json
from astromae.survey.entry import Counts
from astromae.survey.galaxy_list import read_list
from astromae.survey.http import FetchError
from astromae.survey.sdss_catalog import Pace, Sample, connect
from astromae.survey.selections import TOTALS, totals_sql

#: How long a plan waits for SkyServer's counts, seconds; a run itself is more patient.
PATIENCE_S = 120.0


def known_counts(sample: Sample, catalog: Path, counted: Path) -> Counts | None:
    """Return the counts of a selection that were made already, or None.

    Parameters
    ----------
    sample
        The selection.
    catalog
        Catalogue of a run, which counts if it is of the same release, selection and cuts.
    counted
        What `ask_counts` wrote, which counts if it was asked about the same.
    """
    wanted = sample.identity
    try:
        made = read_provenance(catalog)
        if {key: made.get(key) for key in wanted} == wanted:
            return Counts(made["counts"]["galaxies"], made["counts"]["fields"], f"the catalogue {catalog}")
    except (InputError, OSError):
        pass  # There is no catalogue yet, or a damaged one, which the step names that reads it.
    try:
        found = json.loads(Path(counted).read_text())
        if found["selection"] == wanted:
            return Counts(**found["counts"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # Nothing was counted yet, or what was written is of another version.
    return None


def ask_counts(sample: Sample, pace: Pace, output: Path) -> Counts:
    """Ask SkyServer for the counts of a selection, in one query, and write them.

    The server has `PATIENCE_S` for one answer and is asked once: the numbers serve a plan.

    Parameters
    ----------
    sample
        The selection.
    pace
        How politely SkyServer is asked.
    output
        File to write (JSON).

    Raises
    ------
    InputError
        If the selection or a cut is unknown.
    FetchError
        If SkyServer does not answer, or with something else than counts.
    """
    hasty = replace(pace, timeout_s=min(PATIENCE_S, pace.timeout_s), tries=1)
    sky = connect(sample.server, sample.release, hasty, output.parent)
    sql = totals_sql(sample.selection, sample.all_cuts)
    totals = sky.totals(sql, list(TOTALS))
    counts = Counts(totals["galaxies"], totals["fields"], f"a count by {sky.name}")
    write_json(output, {"selection": sample.identity, "counts": asdict(counts), "totals": totals, "sql": sql})
    return counts


def find_counts(
    sample: Sample, pace: Pace, expected: Mapping[str, int], catalog: Path, counted: Path
) -> tuple[Counts, str | None]:
    """Return the counts of a selection, and why SkyServer gave none where they are only expected.

    They are those of the catalogue, or of an earlier count, or SkyServer's, or `expected`: the first that there is.

    Parameters
    ----------
    sample, pace
        As `ask_counts` takes them.
    expected
        galaxies and fields that the configuration states.
    catalog, counted
        As `known_counts` takes them; a new count is written to `counted`.

    Raises
    ------
    InputError
        If the selection or a cut is unknown.
    """
    known = known_counts(sample, catalog, counted)
    if known is not None:
        return known, None
    try:
        return ask_counts(sample, pace, counted), None
    except FetchError as fault:
        return expected_counts(expected), str(fault).partition("; query:")[0]


def expected_counts(expected: Mapping[str, int]) -> Counts:
    """Return the counts that the configuration states."""
    return Counts(expected["galaxies"], expected["fields"], "sdss.expected of the configuration, not yet counted")


def listed_counts(table: Path) -> Counts:
    """Return the counts of a user's list; raises as `read_list` does."""
    listed = read_list(table)
    return Counts(len(listed.galaxies), listed.fields, f"your list {table}")
