"""What embeddings say of a sample: galaxies unlike all others, labels that neighbours contradict, and purity.

All neighbours here are exact (`astromae.asking.search`): among n galaxies that takes n squared products of vectors,
seconds for tens of thousands.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from astromae.asking.search import nearest
from astromae.classical.colours import magnitude_and_colours
from astromae.constants import BANDS
from astromae.contracts.embeddings import Embeddings
from astromae.errors import InputError
from astromae.evaluation.bootstrap import resampled_indices
from astromae.progress import Ticker

#: Neighbours that a galaxy is compared with.
NEIGHBOURS = 10

#: Galaxies whose neighbours are searched at a time.
_STEP = 4096

#: Standard deviations of a normal distribution in a median absolute deviation.
_MAD = 1.4826


def neighbours(embeddings: Embeddings, k: int, chosen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest of every galaxy, by cosine, itself left out.

    Parameters
    ----------
    embeddings
        The galaxies.
    k
        How many; all others where there are fewer.
    chosen
        Which galaxies take part, shape (n,), booleans; all when None. There have to be two.

    Returns
    -------
    rows : ndarray
        Rows among the m that take part, the nearest first, shape (m, k).
    distances : ndarray
        1 less the cosines, the same shape.
    """
    vectors, norms = embeddings.vectors, embeddings.norms
    if chosen is not None and not chosen.all():
        vectors, norms = vectors[chosen], norms[chosen]
    if len(vectors) < 2:
        raise InputError(f"{embeddings.path}: {len(vectors)} galaxies to compare with each other; two are needed")
    parts = []
    with Ticker("neighbours", len(vectors), "galaxies") as ticker:
        for start in range(0, len(vectors), _STEP):
            own = np.arange(start, min(start + _STEP, len(vectors)))
            parts.append(nearest(vectors, vectors[own], k, norms=norms, own=own))
            ticker.advance(len(own))
    rows, cosines = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, 1 - cosines


def _worst(embeddings: Embeddings, rows: np.ndarray, order: np.ndarray, found: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return what was found of some galaxies, `order` among those of `rows`, beside the columns of the file."""
    table = embeddings.table(rows[order])
    values = pd.DataFrame({name: value[order] for name, value in found.items()})
    return pd.concat([table[["objid"]], values, table.drop(columns=["objid", *values], errors="ignore")], axis=1)


def anomalies(embeddings: Embeddings, count: int) -> pd.DataFrame:
    """Return the galaxies that are farthest from all others.

    Parameters
    ----------
    embeddings
        The galaxies, two at least.
    count
        How many.

    Returns
    -------
    DataFrame
        objid; score, the mean distance (1 - cosine) to the `NEIGHBOURS` nearest; nearest, the objid of the nearest; and
        the columns of the file. The farthest first, of equal scores the first in the file.
    """
    _require_count(count)
    rows, distances = neighbours(embeddings, NEIGHBOURS)
    score = distances.mean(axis=1)
    order = np.argsort(-score, kind="stable")[:count]
    found = {"score": score, "nearest": embeddings.objid[rows[:, 0]]}
    return _worst(embeddings, np.arange(len(embeddings)), order, found)


def mislabels(embeddings: Embeddings, column: str, count: int) -> pd.DataFrame:
    """Return the galaxies whose neighbours contradict their label most.

    Neighbours are the `NEIGHBOURS` nearest of those that have a label. Of a column of floats they say their median, and
    the score is how far it is from the galaxy's, in units of their scatter (1.4826 median absolute deviations)
    and that of all galaxies about their neighbours' medians, added in quadrature: ten neighbours may agree by chance.
    Redshifts, of columns z and z_..., differ by their difference over 1 + z of the neighbours. Of any other column they
    say the label with the most weight, a neighbour at distance d weighing exp(-d / mean d), and the score is the
    fraction of the weight with another label than the galaxy's; of equal scores, the nearer neighbours are the stronger
    evidence and come first.

    Parameters
    ----------
    embeddings
        The galaxies, two of which have a label at least.
    column
        Column of the labels. NaN and empty texts are none.
    count
        How many.

    Returns
    -------
    DataFrame
        objid; `column`, the label; neighbours_say; support, the neighbours' scatter of a number, or the fraction of the
        weight for what they say; score; distance, the mean of the neighbours; then the other columns of the file. The
        worst first.

    Raises
    ------
    InputError
        If there is no such column, or no two galaxies have a label.
    """
    _require_count(count)
    labels = embeddings.column(column)
    known = _known(labels)
    rows, distances = neighbours(embeddings, NEIGHBOURS, known)
    labels, distance = labels[known], distances.mean(axis=1)
    if labels.dtype.kind == "f":
        redshift = column == "z" or column.startswith("z_")
        say, support, score = _contradicted_number(labels.astype(np.float64), rows, redshift)
    else:
        say, support, score = _contradicted_category(labels, rows, distances)
    order = np.lexsort((distance, -score))[:count]
    found = {column: labels, "neighbours_say": say, "support": support, "score": score, "distance": distance}
    return _worst(embeddings, np.flatnonzero(known), order, found)


def _require_count(count: int) -> None:
    if count < 1:
        raise InputError(f"{count} galaxies are asked for; expected 1 or more")


def _known(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind == "f":
        return np.isfinite(labels)
    return labels != "" if labels.dtype.kind == "U" else np.ones(len(labels), bool)


def _contradicted_number(
    labels: np.ndarray, rows: np.ndarray, redshift: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    others = labels[rows]
    median = np.median(others, axis=1)
    # A redshift below zero is a motion, or a sign that somebody wrote for a missing one.
    scale = 1 + np.maximum(median, 0) if redshift else np.ones(len(median))
    scatter = _MAD * np.median(np.abs(others - median[:, None]), axis=1) / scale
    residual = np.abs(labels - median) / scale
    both = np.hypot(scatter, _MAD * np.median(residual))
    # Without any scatter, every difference is without measure.
    score = np.divide(residual, both, out=np.where(residual > 0, np.inf, 0.0), where=both > 0)
    return median, scatter, score


def _contradicted_category(
    labels: np.ndarray, rows: np.ndarray, distances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes, names = pd.factorize(labels, sort=True)
    others = codes[rows]
    mean = distances.mean(axis=1, keepdims=True)
    weights = np.exp(-np.divide(distances, mean, out=np.zeros_like(distances), where=mean > 0))
    weights /= weights.sum(axis=1, keepdims=True)
    # Of each neighbour, the weight of all that have its label.
    support = np.stack([((others == others[:, [j]]) * weights).sum(axis=1) for j in range(others.shape[1])], axis=1)
    winner = support.argmax(axis=1)
    galaxies = np.arange(len(codes))
    score = 1 - ((others == codes[:, None]) * weights).sum(axis=1)
    return names[others[galaxies, winner]], support[galaxies, winner], score


def purity(
    embeddings: Embeddings,
    type_column: str,
    z_column: str,
    k: int = 10,
    dz: float = 0.02,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how often a galaxy's nearest are of its own type and redshift, against colours and chance.

    The galaxies are those that have a type and a redshift, and magnitudes where the file has all of mag_u ... mag_z.
    Neighbours in colour are the nearest in r and the colours of neighbouring bands, each brought to unit deviation.
    Chance is the mean over all pairs of galaxies, exactly. Intervals are of the galaxies that are asked about
    (percentiles of a bootstrap; the same resamples everywhere, so that differences are paired); those that are searched
    stay the same.

    Parameters
    ----------
    embeddings
        The galaxies.
    type_column, z_column
        Columns of the type (text or whole numbers) and the redshift.
    k
        Neighbours of a galaxy.
    dz
        Redshifts that differ by less are alike.
    samples, confidence, seed
        Resamples, confidence of the intervals, seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row for each `criterion` (``type``, ``z``, ``both``) and `neighbours` (``embeddings``, ``colours`` where the
        file has magnitudes, ``chance``): purity, the fraction of the k neighbours that fulfil it, low, high; gain, that
        of the embeddings less this one, gain_low, gain_high; galaxies and k.

    Raises
    ------
    InputError
        If a column is missing, holds no numbers where it should, or fewer than two galaxies have all of them.
    """
    if k < 1 or not dz > 0:
        raise InputError(f"k {k} and dz {dz}: expected 1 or more, and more than 0")
    types, redshifts = embeddings.column(type_column), _numbers(embeddings, z_column)
    known = _known(types) & np.isfinite(redshifts)
    magnitudes = None
    if {f"mag_{band}" for band in BANDS} <= set(embeddings.columns):
        magnitudes = np.column_stack([_numbers(embeddings, f"mag_{band}") for band in BANDS])
        known &= np.isfinite(magnitudes).all(axis=1)
    rows, _ = neighbours(embeddings, k, known)
    codes, redshifts, k = pd.factorize(types[known])[0], redshifts[known], rows.shape[1]
    alike: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "type": lambda rows: codes[rows] == codes[:, None],
        "z": lambda rows: np.abs(redshifts[rows] - redshifts[:, None]) < dz,
    }
    alike["both"] = lambda rows: alike["type"](rows) & alike["z"](rows)
    found = {"embeddings": rows}
    if magnitudes is not None:
        space = StandardScaler().fit_transform(magnitude_and_colours(magnitudes[known], BANDS))
        found["colours"] = NearestNeighbors(n_neighbors=k).fit(space).kneighbors(return_distance=False)
    # Of each galaxy, the fractions: (criterion, neighbours) -> (n,).
    parts = {
        (criterion, name): test(rows).mean(axis=1) for criterion, test in alike.items() for name, rows in found.items()
    }
    parts |= {(criterion, "chance"): part for criterion, part in _chance(codes, redshifts, dz).items()}
    return _with_intervals(parts, samples, confidence, seed).assign(galaxies=len(codes), k=k)


def _numbers(embeddings: Embeddings, column: str) -> np.ndarray:
    values = embeddings.column(column)
    if values.dtype.kind not in "iuf":
        raise InputError(f"{embeddings.path}: column {column} holds no numbers; expected some")
    return values.astype(np.float64)


def _chance(codes: np.ndarray, redshifts: np.ndarray, dz: float) -> dict[str, np.ndarray]:
    """Return of each galaxy the fraction of all others that are like it."""
    others, types = len(codes) - 1, np.bincount(codes)[codes]
    close, both = _within(redshifts, dz), np.empty(len(codes), np.intp)
    for code in range(codes.max() + 1):
        both[codes == code] = _within(redshifts[codes == code], dz)
    return {name: (counts - 1) / others for name, counts in (("type", types), ("z", close), ("both", both))}


def _within(values: np.ndarray, width: float) -> np.ndarray:
    """Return how many of the values differ from each by less than `width`, itself among them."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upto = np.concatenate([[0], np.cumsum(counts)])
    low, high = np.searchsorted(distinct, distinct - width), np.searchsorted(distinct, distinct + width)
    # The sums round otherwise than the differences that are asked about: the ends may be one off.
    index, last = np.arange(len(distinct)), len(distinct) - 1
    low = np.where(distinct - distinct[low] >= width, low + 1, low)
    low = np.where((low > 0) & (distinct - distinct[np.maximum(low - 1, 0)] < width), low - 1, low)
    high = np.where(distinct[np.maximum(high - 1, index)] - distinct >= width, high - 1, high)
    high = np.where((high <= last) & (distinct[np.minimum(high, last)] - distinct < width), high + 1, high)
    return (upto[high] - upto[low])[inverse]


def _with_intervals(
    parts: dict[tuple[str, str], np.ndarray], samples: int, confidence: float, seed: int
) -> pd.DataFrame:
    values = np.stack(list(parts.values()), axis=1)  # (n, kinds)
    drawn = np.stack([values[resampled_indices(len(values), i, seed)].mean(axis=0) for i in range(samples)])
    means, table = values.mean(axis=0), []
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    kinds = list(parts)
    for index, (criterion, name) in enumerate(kinds):
        ours = kinds.index((criterion, "embeddings"))
        low, high = np.quantile(drawn[:, index], ends)
        gain_low, gain_high = np.quantile(drawn[:, ours] - drawn[:, index], ends)
        row = {"criterion": criterion, "neighbours": name, "purity": means[index], "low": low, "high": high}
        table.append({**row, "gain": means[ours] - means[index], "gain_low": gain_low, "gain_high": gain_high})
    order = {name: place for place, name in enumerate(("type", "z", "both"))}
    return pd.DataFrame(table).sort_values(
        "criterion", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )
