"""What embeddings say of a sample: galaxies unlike all others, and labels that neighbours contradict.

All neighbours here are exact (`astromae.asking.search`): among n galaxies that takes n squared products of vectors,
seconds for tens of thousands.
"""

import numpy as np
import pandas as pd

from astromae.asking.own_columns import beside
from astromae.asking.search import nearest
from astromae.contracts.embeddings import Embeddings
from astromae.errors import InputError
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


def _worst(
    embeddings: Embeddings, rows: np.ndarray, order: np.ndarray, found: dict[str, np.ndarray], label: str | None = None
) -> pd.DataFrame:
    """Return what was found of some galaxies, `order` among those of `rows`, beside the columns of the file.

    Of `label`, which is among what was found, the file's column is left out.
    """
    table = embeddings.table(rows[order])
    values = pd.DataFrame({"objid": table["objid"], **{name: value[order] for name, value in found.items()}})
    return beside(values, table.drop(columns=["objid"] if label is None else ["objid", label]))


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
    return _worst(embeddings, np.flatnonzero(known), order, found, column)


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
