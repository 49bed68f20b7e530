"""The samples of SDSS galaxies that have a name, and the SQL that selects them on SkyServer.

Each query is one plain ``SELECT`` on one line: SkyServer takes nothing else (no semicolon, no common table
expression, no second select outside parentheses).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from astromae.constants import BANDS
from astromae.errors import InputError

#: Data releases whose SkyServer has the tables and columns that the selections name.
RELEASES = range(12, 19)

#: Columns of an object's photometry (PhotoObjAll, alias p): identity, position, field, magnitudes.
PHOTOMETRY: Mapping[str, type] = MappingProxyType(
    {
        "p.objID": np.int64,
        "p.ra": np.float64,
        "p.dec": np.float64,
        **{f"p.{part}": np.int64 for part in ("run", "rerun", "camcol", "field")},
        **{f"p.modelMag_{band}": np.float64 for band in BANDS},
        **{f"p.extinction_{band}": np.float64 for band in BANDS},
        "p.petroMag_r": np.float64,
    }
)

#: Columns of its spectrum (SpecObjAll, alias s). Identifiers of plates from 8192 on need the 64th bit.
SPECTROSCOPY: Mapping[str, type] = MappingProxyType({"s.specObjID": np.uint64, "s.z": np.float64, "s.zErr": np.float64})

#: Name of the only column of a counting query.
COUNT = "galaxies"

#: Columns of a query that sizes up a selection before it is fetched, and their SQL: rows, of which an object with
#: two spectra has two; objects; and the fields that they lie on, five frames each.
TOTALS: Mapping[str, str] = MappingProxyType(
    {"spectra": "COUNT(*)", "galaxies": "COUNT(DISTINCT p.objID)", "fields": "COUNT(DISTINCT p.fieldID)"}
)

# The names that the configuration gives to cuts, and their SQL. Positions are the fibre's, as in the
# partitions: SpecObjAll is a thousand times smaller than PhotoObjAll, so the server finds a range in it sooner.
_CUTS = {
    "z_min": "s.z > {}",
    "z_max": "s.z <= {}",
    "petro_r_max": "p.petroMag_r - p.extinction_r <= {}",
    "ra": "s.ra >= {} AND s.ra < {}",
    "ra through 0": "(s.ra >= {} OR s.ra < {})",
    "dec": "s.dec >= {} AND s.dec < {}",
}


@dataclass(frozen=True)
class Selection:
    """A named sample.

    Attributes
    ----------
    tables
        The ``FROM`` clause: SpecObjAll as s, PhotoObjAll as p, and what else the sample is joined to.
    conditions
        The fixed part of the ``WHERE`` clause.
    cuts
        The adjustable part; see `cuts_of`.
    """

    tables: str
    conditions: tuple[str, ...]
    cuts: Mapping[str, Any]


# The joins belong to the selections: a galaxy that has no row in Photoz or galSpecInfo is left out.
_TABLES = (
    "SpecObjAll AS s JOIN PhotoObjAll AS p ON p.objID = s.bestObjID "
    "JOIN Photoz AS q ON q.objID = p.objID JOIN galSpecInfo AS g ON g.specObjID = s.specObjID"
)

# Good redshifts of galaxies that SDSS-I and II took spectra of, with clean photometry outside the masks.
_GOOD = (
    "s.class = 'GALAXY'",
    "s.zWarning = 0",
    "s.targetType = 'SCIENCE'",
    "s.survey = 'sdss'",
    "p.clean = 1",
    "p.insideMask = 0",
)

SELECTIONS: Mapping[str, Selection] = MappingProxyType(
    {
        # Pasquet et al. 2019, section 2: the Main Galaxy Sample, targets from bit 6 (64) on. With release 12 it is
        # their query.
        "pasquet2019": Selection(
            _TABLES,
            (*_GOOD, "g.primtarget >= 64"),
            {"z_min": 0.0, "z_max": 0.4, "petro_r_max": 17.8, "ra": None, "dec": None},
        ),
        # The published cube, as nearly as its labels tell: the query above without its three cuts on target,
        # redshift and magnitude, by which users of the cube arrive at the Main Galaxy Sample. No document states
        # how it was selected; 0.65 is where the redshifts end in figures 9 to 11 of the AstroMAE paper.
        # docs/real-sdss.md says what of this is known and what is a guess.
        "spectroscopic": Selection(
            _TABLES,
            _GOOD,
            {"z_min": 0.0, "z_max": 0.65, "petro_r_max": None, "ra": None, "dec": None},
        ),
    }
)


def cuts_of(selection: str, cuts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a selection's cuts with the configuration's laid over them.

    Parameters
    ----------
    selection
        Its name.
    cuts
        The configured cuts: ``z_min`` (redshift above it), ``z_max`` and ``petro_r_max`` (redshift and
        dereddened Petrosian r magnitude up to it), ``ra`` and ``dec`` ([from, to] in degrees; right ascensions
        from a larger to a smaller one lead through 0). None lifts a cut.

    Raises
    ------
    InputError
        If the selection or a cut is unknown, or a range is none.
    """
    if selection not in SELECTIONS:
        raise InputError(f"sdss.selection: {selection!r} is unknown; use one of {', '.join(SELECTIONS)}")
    effective = {**SELECTIONS[selection].cuts, **cuts}
    for name, value in effective.items():
        if name not in SELECTIONS[selection].cuts:
            raise InputError(f"sdss.cuts.{name}: unknown; use one of {', '.join(SELECTIONS[selection].cuts)}")
        if value is None:
            continue
        if name in ("ra", "dec"):
            whole = isinstance(value, list | tuple) and len(value) == 2
            shown = f"[{', '.join(f'{end:g}' for end in value)}]" if whole else value
            if name == "ra" and not (whole and 0 <= value[0] < 360 and 0 <= value[1] <= 360 and value[0] != value[1]):
                raise InputError(
                    f"sdss.cuts.ra: {shown} is no range; use [from, to] in degrees with 0 <= from < 360 and "
                    "0 <= to <= 360, to above from, or below it for a range that leads through 0"
                )
            if name == "dec" and not (whole and -90 <= value[0] < value[1] <= 90):
                raise InputError(
                    f"sdss.cuts.dec: {shown} is no range; use [from, to] with -90 <= from < to <= 90 degrees"
                )
        elif not isinstance(value, int | float):
            raise InputError(f"sdss.cuts.{name}: {value!r} is no number; use a number, or null to lift the cut")
    z_min, z_max = effective["z_min"], effective["z_max"]
    if z_min is not None and z_max is not None and z_min >= z_max:
        raise InputError(
            f"sdss.cuts: no redshift is above z_min = {z_min} and at most z_max = {z_max}; use a z_min below z_max, "
            f"which is {SELECTIONS[selection].cuts['z_max']} in the selection {selection}"
        )
    return effective


def count_sql(selection: str, cuts: Mapping[str, Any], ra_deg: tuple[float, float]) -> str:
    """Return the query that counts a selection's galaxies with `ra_deg[0]` <= right ascension < `ra_deg[1]`.

    Where the second is below the first, the range leads through 0.
    """
    return _sql(f"COUNT(*) AS {COUNT}", selection, {**cuts, "ra": ra_deg})


def rows_sql(selection: str, cuts: Mapping[str, Any], ra_deg: tuple[float, float]) -> str:
    """Return the query for the `PHOTOMETRY` and `SPECTROSCOPY` of the galaxies that `count_sql` counts."""
    return _sql(", ".join([*PHOTOMETRY, *SPECTROSCOPY]), selection, {**cuts, "ra": ra_deg})


def totals_sql(selection: str, cuts: Mapping[str, Any]) -> str:
    """Return the query for the `TOTALS` of a whole selection."""
    return _sql(", ".join(f"{sql} AS {name}" for name, sql in TOTALS.items()), selection, cuts)


def _sql(columns: str, name: str, cuts: Mapping[str, Any]) -> str:
    selection = SELECTIONS[name]
    conditions = list(selection.conditions)
    for cut, value in cuts.items():
        if value is not None:
            numbers = value if isinstance(value, list | tuple) else [value]
            if cut == "ra" and value[0] > value[1]:
                cut = "ra through 0"
            conditions.append(_CUTS[cut].format(*(repr(float(number)) for number in numbers)))
    return f"SELECT {columns} FROM {selection.tables} WHERE {' AND '.join(conditions)}"
