"""A user's own list of galaxies, read and checked without asking anybody."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS, PIXEL_SCALE_ARCSEC
from astromae.contracts.catalog import FIELD, catalog_columns
from astromae.errors import InputError
from astromae.survey.archive import RERUN
from astromae.survey.duplicates import without_duplicates
from astromae.survey.objid import exact_identifiers
from astromae.survey.observed_catalog import RANGES
from astromae.survey.sentinels import QUANTITIES, Sentinels, as_text, numbers, one_a_row, plain_numbers
from astromae.survey.table_file import Column, read_table

#: Columns that a list must have.
POSITION = ("ra", "dec")

#: Side of a square with the area of a field, 2048 x 1489 px, deg.
FIELD_SIDE_DEG = math.sqrt(FRAME_COLUMNS * FRAME_ROWS) * PIXEL_SCALE_ARCSEC / 3600

# Columns that SkyServer's replace where it is asked for the field.
_REPLACED = ("objid", "rerun", *(f"{kind}_{band}" for kind in ("mag", "extinction") for band in BANDS), "petro_r")

# Columns that hold measured values, with sentinels where there are none.
_MEASURED = ("z", "z_err", *_REPLACED[2:])

# Magnitudes in five bands under SDSS's own names, among which z is no redshift.
_OTHER_BANDS = {"u", "g", "r", "i"}

_SEXAGESIMAL = re.compile(r"[-+]?\d+\s*[:hd°\s]\s*\d+.*")


@dataclass
class GalaxyList:
    """A list of galaxies.

    Attributes
    ----------
    galaxies
        The columns of the catalogue as far as the list has them, and source_row (from 1); one row a galaxy.
    left_out
        Rows that are a galaxy of an earlier row: source_row, objid, ra, dec, reason.
    has_fields
        Whether it says on which field each galaxy lies.
    sentinels
        What was taken for a missing value.
    notes
        What a user should know about how the list was understood.
    """

    galaxies: pd.DataFrame
    left_out: pd.DataFrame
    has_fields: bool
    sentinels: Sentinels
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows in the list."""
        return len(self.galaxies) + len(self.left_out)

    @property
    def fields(self) -> int:
        """Number of fields that the galaxies lie on; about as many, by their positions, where the list does not say."""
        if self.has_fields:
            return len(self.galaxies[FIELD].drop_duplicates())
        ra, dec = (self.galaxies[name].to_numpy() for name in POSITION)
        # Pairs as complex numbers: a tenth of the time that rows of an array take.
        return len(np.unique(ra * np.cos(np.radians(dec)) // FIELD_SIDE_DEG + 1j * (dec // FIELD_SIDE_DEG)))


def read_list(path: Path) -> GalaxyList:
    """Read a list of galaxies.

    It has ra and dec in any unit of angle that it names, else in degrees (ICRS); right ascensions from -180 to 0 are
    wrapped. With run, camcol and field it brings objid, rerun, z, z_err, mag_{u,g,r,i,z}, extinction_{u,g,r,i,z} and
    petro_r as well, as far as it has them; without, only z and z_err. Of several rows within 1 arcsec the first is
    kept.

    Parameters
    ----------
    path
        The list, in any format of `astromae.survey.table_file`. Names of columns may be in any case.

    Raises
    ------
    InputError
        If the list cannot be read, a column is missing or ambiguous, or a value is wrong: names the row, from 1.
    """
    path = Path(path)
    columns, names = read_table(path, {*catalog_columns(BANDS), "redshift", *_OTHER_BANDS}, POSITION)
    absent = [name for name in POSITION if name not in columns]
    if absent:
        listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise InputError(
            f"{path}: has no column {' and no column '.join(absent)}; a list needs ra and dec in degrees. "
            f"Its columns are {listed or '(none)'}"
        )
    named = [name for name in FIELD if name in columns]
    if named and len(named) < len(FIELD):
        raise InputError(f"{path}: has {' and '.join(named)} only; give run, camcol and field, or none of them")
    count = len(columns["ra"].cells)
    if not count:
        raise InputError(f"{path}: lists no galaxies")
    notes: list[str] = []
    galaxies = pd.DataFrame({"source_row": np.arange(1, count + 1, dtype=np.int32)})
    for name in POSITION:
        galaxies[name] = _degrees(path, name, columns[name])
    galaxies["ra"] = _wrapped(path, galaxies["ra"].to_numpy(), notes)
    _check(path, galaxies, "dec", "from -90 to 90 degrees")
    _choose_redshift(path, columns, notes)
    if not named:
        ignored = [name for name in _REPLACED if columns.pop(name, None)]
        if ignored:
            notes.append(f"{', '.join(ignored)} not read: SkyServer's replace them")
    galaxies["objid"] = galaxies["source_row"].astype(np.int64)
    if "objid" in columns:
        galaxies["objid"] = exact_identifiers(
            columns["objid"].cells, f"{path}: objid", "or leave the column out: galaxies are then numbered by row"
        )
    galaxies["rerun"] = RERUN
    for name in (*named, *(["rerun"] if "rerun" in columns else [])):
        galaxies[name] = _whole(path, name, columns[name])
        _check(path, galaxies, name, "from {:g} to {:g}".format(*RANGES[name]))
    sentinels = Sentinels(path)
    for name in _MEASURED:
        if name in columns:
            galaxies[name] = sentinels.clean(name, numbers(columns[name].cells, f"{path}: {name}"))
        else:
            galaxies[name] = np.nan
    galaxies, left_out = without_duplicates(galaxies, "source_row", path)
    return GalaxyList(galaxies, left_out, bool(named), sentinels, notes)


def _degrees(path: Path, name: str, column: Column) -> NDArray[np.float64]:
    """Return positions in degrees, none of which may be missing."""
    cells = one_a_row(column.cells, f"{path}: {name}")
    if cells.dtype.kind in "OSU":
        rest = np.flatnonzero(np.isnan(plain_numbers(cells)))
        for row, text in zip(rest, as_text(cells[rest]), strict=True):
            if _SEXAGESIMAL.fullmatch(text):
                raise InputError(f"{path}: row {row + 1}: {name} is {text!r}, sexagesimal; use decimal degrees")
    values = numbers(cells, f"{path}: {name}")
    missing = ~np.isfinite(values)
    if missing.any():
        row = int(missing.argmax())
        raise InputError(f"{path}: row {row + 1}: {name} is {values[row]}; every galaxy needs a position in degrees")
    return values * _degrees_of(path, name, column.unit)


def _degrees_of(path: Path, name: str, unit: str) -> float:
    """Return how many degrees a unit is, however it is spelt; 1 where there is none."""
    if not unit.strip():
        return 1.0
    from astropy import units

    bare = unit.strip(" \t'\"[]()")
    for spelling in (bare, bare.lower(), bare.lower().removesuffix("s")):
        try:
            parsed = units.Unit(spelling)
            break
        except ValueError:
            continue
    else:
        raise InputError(f"{path}: column {name} is in {unit!r}, which is no unit that astropy knows; use degrees")
    if name == "ra" and parsed.is_equivalent(units.hour):
        # Right ascensions in hours are hours of the circle.
        return float(parsed.to(units.hour) * units.hourangle.to(units.deg))
    if not parsed.is_equivalent(units.deg):
        raise InputError(f"{path}: column {name} is in {unit!r}, which is no angle; use degrees")
    return float(parsed.to(units.deg))


def _wrapped(path: Path, ra: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64]:
    """Return right ascensions from 0 to 360 degrees; some count from -180 to 180."""
    wrong = ~((ra >= -180) & (ra <= 360))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{path}: row {row + 1}: ra is {ra[row]:.10g}; use 0 to 360 degrees (or -180 to 180)")
    negative = int((ra < 0).sum())
    if negative:
        notes.append(f"right ascensions below 0 in {negative} rows, taken to count from -180 to 180 degrees")
    return np.where(ra < 0, ra + 360, ra)


def _whole(path: Path, name: str, column: Column) -> NDArray[np.int64]:
    """Return a column of small whole numbers, none of which may be missing."""
    values = numbers(column.cells, f"{path}: {name}")
    wrong = ~(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**31))
    if wrong.any():
        row = int(wrong.argmax())
        shown = np.asarray(column.cells).reshape(-1)[row]
        low, high = RANGES[name]
        raise InputError(f"{path}: row {row + 1}: {name} is {shown!s:.40}; use an integer from {low:g} to {high:g}")
    return values.astype(np.int64)


def _check(path: Path, galaxies: pd.DataFrame, name: str, right: str) -> None:
    wrong = ~galaxies[name].between(*RANGES[name])
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{path}: row {row + 1}: {name} is {galaxies[name][row]:.10g}; use {right}")


def _choose_redshift(path: Path, columns: dict[str, Column], notes: list[str]) -> None:
    """Put the redshift at `z`, whether it is called z or redshift; z may be the magnitude in the z band."""
    bands = set(columns) & _OTHER_BANDS
    z, redshift = (columns.pop(name, None) for name in ("z", "redshift"))
    if z is not None and bands == _OTHER_BANDS:
        if redshift is not None or (numbers(z.cells, f"{path}: z") > QUANTITIES["z"].high).mean() > 0.5:
            notes.append("z stands beside u, g, r and i: taken for the magnitude in the z band, not for a redshift")
            notes.append("u, g, r, i and z are not read: dereddened magnitudes are called mag_u to mag_z")
            z = None
    if z is not None and redshift is not None:
        ours, theirs = (numbers(column.cells, f"{path}: {name}") for name, column in (("z", z), ("redshift", redshift)))
        differ = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
        if differ.any():
            row = int(differ.argmax())
            raise InputError(
                f"{path}: row {row + 1}: z is {ours[row]:.10g} and redshift {theirs[row]:.10g}; leave one of them out"
            )
    chosen = z if z is not None else redshift
    if chosen is not None:
        columns["z"] = chosen
