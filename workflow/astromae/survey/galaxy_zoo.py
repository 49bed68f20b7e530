"""Galaxy Zoo 2: people's votes on the shapes of galaxies, joined to a catalogue."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.contracts.catalog import RANGES
from astromae.contracts.votes import QUESTIONS, vote_column
from astromae.errors import InputError
from astromae.progress import log
from astromae.survey.objid import exact_identifiers
from astromae.survey.sentinels import numbers
from astromae.survey.table_file import normalised, read_table

#: Largest distance from a galaxy to the position that was voted on, arcsec.
MATCH_RADIUS_ARCSEC = 1.0

#: Least votes on a question, where the table counts them (Willett et al. 2013, MNRAS 435, 2835, section 3.3).
LEAST_VOTES = 20


@dataclass(frozen=True)
class Condition:
    """Least and largest fraction of votes for an answer with which the next question is asked."""

    column: str
    least: float = 0.0
    most: float = 1.0


@dataclass(frozen=True)
class Question:
    """A question of Galaxy Zoo 2.

    Attributes
    ----------
    answers
        Columns of debiased fractions whose sum is the fraction for yes.
    counted
        Columns of counts whose sum is the number of votes on the question.
    given
        Fractions without which the question is not asked in earnest (Willett et al. 2013, table 3).
    times
        Column of the fraction of people who were led to the question. Times this, the fraction is of all people; None
        where it stays that of the people who were asked.
    """

    answers: tuple[str, ...]
    counted: tuple[str, ...]
    given: tuple[Condition, ...] = ()
    times: str | None = None


_FEATURES = "t01_smooth_or_features_a02_features_or_disk"
_DISC = Condition(f"{_FEATURES}_debiased", 0.430)
_SMOOTH = Condition("t01_smooth_or_features_a01_smooth_debiased", 0.469)
# At least 0.715 for the other of the two answers, which not every table has.
_NOT_EDGE_ON = Condition("t02_edgeon_a04_yes_debiased", most=0.285)
_BULGES = [f"t05_bulge_prominence_{answer}" for answer in ("a10_no_bulge", "a11_just_noticeable")]
_PROMINENT = [f"t05_bulge_prominence_{answer}" for answer in ("a12_obvious", "a13_dominant")]


def _of(*answers: str, suffix: str) -> tuple[str, ...]:
    return tuple(f"{answer}_{suffix}" for answer in answers)


_ALL = ("t01_smooth_or_features_a01_smooth", _FEATURES, "t01_smooth_or_features_a03_star_or_artifact")
_ROUNDED = [f"t07_rounded_{answer}" for answer in ("a16_completely_round", "a17_in_between", "a18_cigar_shaped")]

#: Where the table has the questions of `astromae.contracts.votes.QUESTIONS`.
TABLE = {
    "features": Question(_of(_FEATURES, suffix="debiased"), _of(*_ALL, suffix="count")),
    "edgeon": Question(
        _of("t02_edgeon_a04_yes", suffix="debiased"),
        _of("t02_edgeon_a04_yes", "t02_edgeon_a05_no", suffix="count"),
        (_DISC,),
    ),
    "bar": Question(
        _of("t03_bar_a06_bar", suffix="debiased"),
        _of("t03_bar_a06_bar", "t03_bar_a07_no_bar", suffix="count"),
        (_DISC, _NOT_EDGE_ON),
    ),
    "bulge": Question(
        _of(*_PROMINENT, suffix="debiased"), _of(*_BULGES, *_PROMINENT, suffix="count"), (_DISC, _NOT_EDGE_ON)
    ),
    "round": Question(_of(_ROUNDED[0], suffix="debiased"), _of(*_ROUNDED, suffix="count"), (_SMOOTH,)),
    # Everybody is asked for oddities, and who sees one for its kind: of all people the fraction that sees a merger.
    "merger": Question(
        _of("t08_odd_feature_a24_merger", suffix="debiased"),
        _of("t06_odd_a14_yes", "t06_odd_a15_no", suffix="count"),
        times="t06_odd_a14_yes_debiased",
    ),
}

_POSITION = ("ra", "dec")
_IDENTIFIERS = ("objid", "dr8objid", "dr7objid")


def answered_questions(path: Path) -> list[str]:
    """Return the questions that a table has votes on, from its header.

    Raises
    ------
    InputError
        If it cannot be read, or has no positions or no question.
    """
    return _answered(path, _read(path, ())[1])


def _answered(path: Path, names: Collection[str]) -> list[str]:
    absent = [name for name in _POSITION if name not in names]
    if absent:
        raise InputError(f"{path}: has no column {' and no column '.join(absent)}; Galaxy Zoo's tables have ra and dec")
    questions = [name for name in QUESTIONS if set(_needed(TABLE[name])) <= set(names)]
    if not questions:
        raise InputError(
            f"{path}: has no votes of Galaxy Zoo 2, such as {_FEATURES}_debiased; give gz2_hart16.csv, or a table of "
            "Willett et al. 2013"
        )
    return questions


def _read(path: Path, wanted: Collection[str]) -> tuple[dict[str, NDArray], list[str]]:
    """Return the cells of the wanted columns that there are, and the names of all, in lower case."""
    if ".csv" not in path.suffixes:
        columns, names = read_table(path, wanted, _POSITION)
        return {name: column.cells for name, column in columns.items()}, [normalised(name) for name in names]
    # The published table has 240,000 rows of 230 columns: as text it would take gigabytes.
    try:
        names = [normalised(name) for name in pd.read_csv(path, nrows=0).columns]
        table = pd.read_csv(
            path, usecols=lambda name: normalised(name) in wanted, dtype=dict.fromkeys(_IDENTIFIERS, str)
        )
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    return {normalised(name): table[name].to_numpy() for name in table}, names


def _needed(question: Question) -> list[str]:
    times = [question.times] if question.times else []
    return [*question.answers, *(condition.column for condition in question.given), *times]


def read_votes(path: Path) -> pd.DataFrame:
    """Read a table of Galaxy Zoo 2: gz2_hart16 (Hart et al. 2016), or those of Willett et al. 2013.

    Parameters
    ----------
    path
        CSV, FITS, VOTable or Parquet, compressed or not.

    Returns
    -------
    DataFrame
        One row a galaxy: ra, dec (deg); objid, 0 where there is none; and of each question that the table has the
        fraction of votes for yes, NaN where it was not asked in earnest.

    Raises
    ------
    InputError
        If the table cannot be read, lacks positions or votes, or a fraction is none: names column and row.
    """
    wanted = {*_POSITION, *_IDENTIFIERS}
    for question in TABLE.values():
        wanted |= {*_needed(question), *question.counted}
    columns, names = _read(path, wanted)
    questions = _answered(path, names)
    values = {name: numbers(cells, f"{path}: {name}") for name, cells in columns.items() if name not in _IDENTIFIERS}
    for name, cells in values.items():
        low, high = _range(name)
        # In single precision a whole may come out a little larger.
        wrong = ~((cells >= low - 1e-6) & (cells <= high + 1e-6)) & (np.isfinite(cells) | (name in _POSITION))
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(f"{path}: row {row + 1}: {name} is {cells[row]:g}; it should be from {low:g} to {high:g}")
    identifier = next((name for name in _IDENTIFIERS if name in columns), None)
    objid = np.zeros(len(values["ra"]), dtype=np.int64)
    if identifier is not None:
        cells = columns[identifier]
        given = ~(pd.isna(cells) | np.isin(cells.astype(str), ["", "0"]))
        objid[given] = exact_identifiers(cells[given], f"{path}: {identifier}", "or leave the column out")
    table = {"objid": objid, **{name: values[name] for name in _POSITION}}
    return pd.DataFrame({**table, **{vote_column(name): _fraction(TABLE[name], values) for name in questions}})


def _range(name: str) -> tuple[float, float]:
    return RANGES.get(name, (0.0, np.inf) if name.endswith("_count") else (0.0, 1.0))


def _fraction(question: Question, values: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the fraction of votes for yes, NaN where too few people were asked."""
    fraction = np.clip(sum(values[name] for name in question.answers), 0.0, 1.0)
    if question.times:
        # Where nobody saw an oddity nobody saw this one.
        fraction = np.where(values[question.times] == 0, 0.0, fraction * values[question.times])
    asked = np.isfinite(fraction)
    if set(question.counted) <= set(values):
        asked &= sum(values[name] for name in question.counted) >= LEAST_VOTES
    for condition in question.given:
        given = values[condition.column]
        asked &= (given >= condition.least) & (given <= condition.most)
    return np.where(asked, fraction, np.nan)


def join_votes(catalog: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the columns of votes of a catalogue's galaxies, NaN where there are none.

    A galaxy is found by its objid, else as the nearest position within `MATCH_RADIUS_ARCSEC`: identifiers of data
    release 7, which the published tables have, are not those of later ones.

    Parameters
    ----------
    catalog
        Columns objid, ra, dec (deg).
    path
        Table that `read_votes` reads.

    Raises
    ------
    InputError
        As `read_votes`, or if no galaxy of the catalogue has votes.
    """
    # Only runs with votes wait for this import.
    from astropy import units
    from astropy.coordinates import SkyCoord

    votes = read_votes(path)
    row = np.full(len(catalog), -1)
    of_objid = votes[votes["objid"] > 0].drop_duplicates("objid")
    place = pd.Series(of_objid.index, index=of_objid["objid"]).reindex(catalog["objid"])
    by_objid = place.notna().to_numpy()
    row[by_objid] = place[by_objid].to_numpy(np.int64)
    if not by_objid.all():
        missing = np.flatnonzero(~by_objid)
        own, other = (
            SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
            for table in (catalog.iloc[missing], votes)
        )
        nearest, separation, _ = own.match_to_catalog_sky(other)
        near = separation <= MATCH_RADIUS_ARCSEC * units.arcsec
        row[missing[near]] = nearest[near]
    found = row >= 0
    if not found.any():
        raise InputError(
            f"{path}: none of the catalogue's {len(catalog)} galaxies is in it, by objid or within "
            f"{MATCH_RADIUS_ARCSEC:g} arcsec; are its ra and dec in degrees?"
        )
    columns = [name for name in votes if name not in ("objid", *_POSITION)]
    joined = pd.DataFrame(np.nan, index=catalog.index, columns=columns)
    joined.loc[found] = votes.loc[row[found], columns].to_numpy()
    log(
        f"{path}: votes on {int(found.sum())} of {len(catalog)} galaxies, {int(by_objid.sum())} of them by objid; "
        + ", ".join(f"{column.removeprefix('vote_')} {int(joined[column].notna().sum())}" for column in columns)
    )
    return joined
