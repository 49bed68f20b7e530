"""Splits: the galaxies with a stamp, dealt into subsets that share none."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts import splits
from astromae.contracts.catalog import read_catalog
from astromae.contracts.missing import read_missing
from astromae.contracts.shards import StampSet
from astromae.contracts.splits import SUBSETS
from astromae.errors import InputError
from astromae.progress import log

#: By how much fractions may exceed 1 together: the rounding of decimals such as 0.45 + 0.05 + ...
_ROUNDING = Fraction(1, 10**9)


def write_split(
    catalog: Path,
    stamps: Sequence[Path],
    missing: Sequence[Path],
    fractions: Mapping[str, float],
    seed: int,
    max_missing_fraction: float,
    output: Path,
) -> None:
    """Check that no galaxy was lost on the way, and deal those with a stamp into subsets.

    Parameters
    ----------
    catalog
        Catalogue of all galaxies.
    stamps
        All shards.
    missing
        All lists of galaxies without a stamp.
    fractions
        Fraction of the galaxies with a stamp that each subset gets. Together at most 1; what they leave
        is in no subset.
    seed
        Seed of the assignment.
    max_missing_fraction
        Largest fraction of the catalogue that may be without a stamp.
    output
        Split to write (Parquet: objid, subset; in the catalogue's order). Its metadata hold the seed, the
        fractions and the counts.

    Raises
    ------
    InputError
        If stamps and missing galaxies are not the catalogue, too many are missing, or the fractions are
        impossible or leave a subset empty.
    """
    exact = check_fractions(fractions)
    known = read_catalog(catalog, ["objid"])["objid"].to_numpy()
    have = StampSet(stamps).objid
    check_totals(catalog, known, have, missing, max_missing_fraction)
    objid = known[np.isin(known, have)]
    subset = deal(objid, exact, seed)
    dealt = subset != ""
    counts = {name: int((subset == name).sum()) for name in exact}
    metadata = {
        "seed": seed,
        "fractions": {name: float(exact[name]) for name in exact},
        "counts": counts,
        "stamps": len(objid),
        "missing": len(known) - len(objid),
    }
    split = pd.DataFrame({"objid": objid[dealt], "subset": subset[dealt]})
    splits.write_split(output, split, metadata)
    log(f"{output}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def check_fractions(fractions: Mapping[str, float]) -> dict[str, Fraction]:
    """Return the fractions as exact numbers, in the order of `SUBSETS`.

    Raises
    ------
    InputError
        If a subset is unknown, a fraction is no number from 0 to 1, or their sum exceeds 1.
    """
    exact = {}
    for name, value in fractions.items():
        if name not in SUBSETS:
            raise InputError(f"fractions.{name}: no such subset; there are {', '.join(SUBSETS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"fractions.{name}: {value!r}; a fraction is a number from 0 to 1")
        # As written: 0.1 means one tenth, not the nearest binary number.
        exact[name] = Fraction(str(value))
    total = sum(exact.values())
    if total > 1 + _ROUNDING:
        raise InputError(f"fractions: they add up to {float(total):g}; together they can be 1 at most")
    if not total:
        raise InputError("fractions: all are 0; at least one subset needs galaxies")
    return {name: exact[name] for name in SUBSETS if name in exact}


def check_totals(
    catalog: Path, known: np.ndarray, have: np.ndarray, missing: Sequence[Path], max_missing_fraction: float
) -> None:
    """Check that every galaxy of the catalogue has either a stamp or a reason, and not too many the latter.

    Parameters
    ----------
    catalog
        Where the catalogue comes from, for messages.
    known : array of int64
        Objects of the catalogue.
    have : array of int64
        Objects with a stamp, each once.
    missing
        Lists of galaxies without a stamp.
    max_missing_fraction
        Largest fraction of the catalogue that may be without a stamp.

    Raises
    ------
    InputError
        If an object has both, neither, two reasons, or is not in the catalogue; if too many are missing, with the
        commonest reasons.
    """
    lists = [read_missing(path) for path in missing]
    lost = np.concatenate([np.empty(0, np.int64), *(objid for objid, _ in lists)])
    reasons = [reason for _, of_list in lists for reason in of_list]
    found, counts = np.unique(np.concatenate([have, lost]), return_counts=True)
    _refuse(found[counts > 1], f"have a stamp and are missing, or are missing twice ({_names(missing)})")
    _refuse(found[~np.isin(found, known)], f"have a stamp or are missing, but are not in {catalog}")
    _refuse(known[~np.isin(known, found)], f"of {catalog} have neither a stamp nor a reason for having none")
    if len(lost) > max_missing_fraction * len(known):
        commonest = "; ".join(f"{count} {reason}" for reason, count in Counter(reasons).most_common(3))
        raise InputError(
            f"{len(lost)} of {len(known)} galaxies have no stamp, more than stamps.max_missing_fraction = "
            f"{max_missing_fraction:g} allows. Commonest reasons: {commonest}. The lists are {_names(missing)}"
        )


def deal(objid: np.ndarray, fractions: Mapping[str, Fraction], seed: int) -> np.ndarray:
    """Deal objects into subsets.

    An object's place is a hash of itself and the seed, so it depends neither on the order of files and rows
    nor, but for a few objects at the boundaries between subsets, on which other objects there are. The numbers are
    exact: each subset gets its fraction rounded down, and what is left goes to the largest remainders.

    Parameters
    ----------
    objid : array of int64, shape (n,)
        Objects to deal, each once.
    fractions
        Exact fraction of each subset, from `check_fractions`.
    seed
        Seed of the hash.

    Returns
    -------
    array of str, shape (n,)
        Subset of each object, empty for those that no subset gets.

    Raises
    ------
    InputError
        If a subset with a positive fraction gets no galaxy.
    """
    counts = largest_remainder(len(objid), {**fractions, "": max(Fraction(0), 1 - sum(fractions.values()))})
    for name, fraction in fractions.items():
        if fraction and not counts[name]:
            raise InputError(
                f"fractions.{name}: {float(fraction):g} of {len(objid)} galaxies is none; "
                "raise the fraction, set it to 0, or use more galaxies"
            )
    subset = np.empty(len(objid), dtype=object)
    subset[np.lexsort([objid, _hash(objid, seed)])] = np.repeat(
        np.array(list(counts), dtype=object), [*counts.values()]
    )
    return subset


def largest_remainder(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Apportion `total` objects to shares by the method of the largest remainder (Hamilton's).

    Shares are relative to their sum. Equal remainders are served in the order of `shares`.
    """
    whole = sum(shares.values())
    quotas = {name: total * share / whole for name, share in shares.items()}
    counts = {name: math.floor(quota) for name, quota in quotas.items()}
    neediest = sorted(quotas, key=lambda name: counts[name] - quotas[name])
    for name in neediest[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _hash(objid: np.ndarray, seed: int) -> np.ndarray:
    """Hash objects and a seed to 64 bits, by the finaliser of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA)."""

    def mix(state: np.ndarray) -> np.ndarray:
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))

    golden = np.uint64(0x9E3779B97F4A7C15)
    seeds = np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    return mix(objid.astype(np.uint64) + mix(seeds + golden))


def _refuse(objid: np.ndarray, what: str) -> None:
    if len(objid):
        first = ", ".join(map(str, objid[:3]))
        raise InputError(f"{len(objid)} galaxies {what}; the first are objid {first}. Make the stamps again")


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths[:2])) + (f" and {len(paths) - 2} more" if len(paths) > 2 else "")
