"""The nearest of some thousand galaxies, and how often they are alike: of one type, of one redshift.

Among millions `astromae.asking.search` searches, which needs torch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from astromae.evaluation.bootstrap import resampled_indices

#: Neighbours that are asked whether they are alike, and the difference from which on redshifts are not.
NEIGHBOURS, DZ = 10, 0.02

#: In what neighbours may be alike: type, redshift, and both at once.
CRITERIA = ("type", "redshift", "type_redshift")

#: Galaxies whose distances to all others are held at a time.
_BLOCK = 1024


def nearest_others(points: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest of every point by Euclidean distance, itself left out.

    Parameters
    ----------
    points
        Shape (n, width).
    k
        How many; all others where there are fewer.

    Returns
    -------
    ndarray
        Rows, the nearest first, of equal ones the first row first; shape (n, min(k, n - 1)).
    """
    points = np.asarray(points, np.float64)
    squares, count, found = (points**2).sum(axis=1), min(k, len(points) - 1), []
    for start in range(0, len(points), _BLOCK):
        own = np.arange(start, min(start + _BLOCK, len(points)))
        # Without the square of the point itself, which is one number to all others.
        distances = squares - 2 * points[own] @ points.T
        distances[np.arange(len(own)), own] = np.inf
        found.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
    return np.concatenate(found)


def directions(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (n, width) brought to length 1, float64: the nearest of these are the nearest by cosine."""
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _same(
    own: np.ndarray, others: np.ndarray, types: np.ndarray | None, redshifts: np.ndarray | None, dz: float
) -> dict[str, np.ndarray]:
    """Return whether galaxies are like others, by criterion; `own` and `others` are rows that broadcast to (m, k)."""
    found = {}
    if types is not None:
        found["type"] = types[own] == types[others]
    if redshifts is not None:
        found["redshift"] = np.abs(redshifts[own] - redshifts[others]) < dz
    if len(found) == 2:
        found["type_redshift"] = found["type"] & found["redshift"]
    return found


def purity(
    neighbours: Mapping[str, Sequence[np.ndarray]],
    types: np.ndarray | None,
    redshifts: np.ndarray | None,
    against: str | None,
    dz: float = DZ,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Return how often a galaxy's neighbours are like it.

    Intervals are of the galaxies that are asked about (percentiles of a bootstrap, the same resamples everywhere, so
    that differences are paired); those that neighbours are looked for among stay the same.

    Parameters
    ----------
    neighbours
        By what they are near: rows of every galaxy's neighbours, shape (n, k), of each of several trainings.
    types, redshifts, dz
        Types by number and redshifts, shape (n,) each, None where nothing is known; and from which difference on
        redshifts are not alike.
    against
        A key of `neighbours` that the others are held against; None for none.
    samples, confidence, seed
        Resamples, confidence of the intervals, and seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row for each of `neighbours`, in their order, and one for ``chance``, all other galaxies: neighbours, their
        name; for each criterion purity_{criterion}, the fraction of neighbours that fulfil it, the mean over trainings,
        and ..._low and ..._high; gain_{criterion}, how much more that is than `against`, with ..._low and ..._high. NaN
        where something is not known, and gains of chance and of `against` itself.
    """
    fractions = {}
    for name, trainings in neighbours.items():
        same = [_same(np.arange(len(rows))[:, None], rows, types, redshifts, dz) for rows in trainings]
        fractions[name] = {
            criterion: np.mean([one[criterion].mean(axis=1) for one in same], axis=0) for criterion in same[0]
        }
    count = len(next(iter(neighbours.values()))[0])
    fractions["chance"] = _same_of_all(count, types, redshifts, dz)
    drawn = np.stack([resampled_indices(count, i, seed) for i in range(samples)])
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    table = []
    for name, found in fractions.items():
        row = {"neighbours": name}
        for criterion in CRITERIA:
            values = found.get(criterion, np.full(count, np.nan))
            row |= _with_ends(f"purity_{criterion}", values, drawn, ends)
            held = against not in (None, name) and name != "chance" and criterion in found
            gain = values - fractions[against][criterion] if held else np.full(count, np.nan)
            row |= _with_ends(f"gain_{criterion}", gain, drawn, ends)
        table.append(row)
    return pd.DataFrame(table)


def _with_ends(name: str, values: np.ndarray, drawn: np.ndarray, ends: Sequence[float]) -> dict[str, float]:
    low, high = np.quantile(values[drawn].mean(axis=1), ends)
    return {name: values.mean(), f"{name}_low": low, f"{name}_high": high}


def _same_of_all(
    count: int, types: np.ndarray | None, redshifts: np.ndarray | None, dz: float
) -> dict[str, np.ndarray]:
    """Return of each galaxy the fraction of all others that are like it, by criterion, shape (count,)."""
    parts: dict[str, list[np.ndarray]] = {}
    everything = np.arange(count)
    for start in range(0, count, _BLOCK):
        own = everything[start : start + _BLOCK, None]
        for name, same in _same(own, everything, types, redshifts, dz).items():
            # Each is like itself, which is no chance.
            parts.setdefault(name, []).append((same.sum(axis=1) - 1) / (count - 1))
    return {name: np.concatenate(found) for name, found in parts.items()}
