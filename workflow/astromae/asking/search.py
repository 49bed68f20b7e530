"""The galaxies that look most like one: nearest neighbours among embeddings, by cosine.

Every search looks at every embedding: it is exact, needs nothing but the file, and takes a tenth of a second among a
million. From some ten millions on an index library (Faiss, for example) would be the way, which finds most of the
nearest without looking at all.
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from astropy.coordinates import angular_separation

from astromae.asking.own_columns import beside
from astromae.contracts.embeddings import BLOCK, Embeddings, EmbeddingsWriter, lengths
from astromae.errors import InputError
from astromae.seeds import generator

#: Positions within this distance are those of one galaxy, arcsec.
RADIUS_ARCSEC = 1.0

#: Cosines that are held at a time, float32: 256 MB.
_COSINES = 1 << 26

#: Queries that are answered at a time, at most.
_QUERIES = 1024

#: Numbers that are held in float64 at a time: 64 MB.
_EXACT = 1 << 23

#: Candidates beyond the k nearest that are looked at again; more than these lie close only where many are alike.
_MORE = 22


def nearest(
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    block: int = BLOCK,
    *,
    norms: np.ndarray | None = None,
    own: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k vectors whose directions are nearest to those of queries.

    All cosines are computed in float32, by matrix products of blocks; those that could be among the k largest, within
    the bound on the rounding errors of such products, are computed again in float64. The result is that of float64
    throughout, and depends on neither blocks nor threads.

    Parameters
    ----------
    vectors
        Shape (n, width), any float type; may be memory-mapped.
    queries
        Shape (q, width).
    k
        How many; with fewer vectors all of them are returned.
    block
        Vectors that are turned into float32 at a time.
    norms
        Lengths of the vectors, shape (n,), right to float32; computed where they are not given.
    own
        Of each query a vector that is not to be found, shape (q,): the query itself, where it is one of them.

    Returns
    -------
    indices : ndarray
        The nearest first, of equal cosines the lower index first; shape (q, min(k, n)), with `own` (q, min(k, n - 1)).
    cosines : ndarray
        Their cosines, float64, the same shape.

    Raises
    ------
    InputError
        If k is below 1, shapes do not fit together, or a vector or query is zero or not finite: names the row.
    """
    queries = np.asarray(queries, np.float64)
    if vectors.ndim != 2 or queries.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise InputError(f"queries of shape {queries.shape}: expected (q, width) for vectors of shape {vectors.shape}")
    if k < 1:
        raise InputError(f"{k} nearest galaxies: expected 1 or more")
    if norms is None:
        norms = lengths(vectors)
        _require_directions(norms, "vector")
    sizes = lengths(queries)
    _require_directions(sizes, "query")
    units, count = queries / sizes[:, None], min(k, len(vectors) - (own is not None))
    indices, cosines = np.empty((len(queries), count), np.intp), np.empty((len(queries), count))
    if count < 1:
        return indices, cosines
    inverse = torch.from_numpy(1 / norms.astype(np.float32))
    step = min(_QUERIES, max(1, _COSINES // len(vectors)))
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        with _threads_for(len(units[some])):
            coarse = _coarse(vectors, units[some], inverse, block)
        if own is not None:
            coarse[np.arange(len(coarse)), own[some]] = -np.inf
        indices[some], cosines[some] = _exact(vectors, units[some], coarse, count)
    return indices, cosines


def _require_directions(sizes: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0)))
    if len(bad):
        kind = "zero" if sizes[bad[0]] == 0 else "not finite"
        raise InputError(f"{what} {bad[0]} is {kind}, and has no direction; leave it out")


@contextlib.contextmanager
def _threads_for(queries: int) -> Iterator[None]:
    """Let one query take one thread of torch.

    It is bound by reading memory, of which two threads do little more; where other processes keep the cores busy, they
    wait for each other in every block, ten to forty times as long in all.
    """
    threads = torch.get_num_threads()
    if queries == 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _coarse(vectors: np.ndarray, units: np.ndarray, inverse: torch.Tensor, block: int) -> torch.Tensor:
    """Return the cosines (q, n) in float32."""
    queries = torch.from_numpy(units.astype(np.float32))
    buffer, found = torch.empty(block, vectors.shape[1]), torch.empty(len(queries), len(vectors))
    for start in range(0, len(vectors), block):
        part = slice(start, min(start + block, len(vectors)))
        rows = vectors[part]
        # torch turns float16 into float32 twenty times faster than numpy, but takes only memory that could be written.
        given = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
        single = buffer[: len(rows)].copy_(given)
        if len(queries) == 1:
            torch.mv(single, queries[0], out=found[0, part])
        else:
            found[:, part] = queries @ single.T
    return found.mul_(inverse)


def _exact(vectors: np.ndarray, units: np.ndarray, coarse: torch.Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and cosines (q, count) of the nearest, given all cosines (q, n) in float32."""
    values, candidates = (found.numpy() for found in torch.topk(coarse, min(count + _MORE, len(vectors)), dim=1))
    if np.isnan(values).any():  # topk has NaN above all numbers
        row = int(torch.isnan(coarse).any(dim=0).nonzero()[0, 0])
        raise InputError(f"vector {row} is not finite, and has no direction; leave it out")
    # The error of a product in float32 in any order of summation (Higham 2002, section 3.1), and those of rounding the
    # query, the vector, its length, the length's inverse and the product with it.
    error = (vectors.shape[1] + 8) * 2.0**-24
    # What lies below this lies below all of the first `count`, whatever the errors of both.
    least = values[:, count - 1].astype(np.float64) - 2 * error
    indices, cosines = _best(vectors, candidates, values, units, count)
    if candidates.shape[1] < len(vectors):
        for row in np.flatnonzero(values[:, -1] >= least):
            found = coarse[row].numpy()
            close = np.flatnonzero(found >= least[row])[None]
            indices[row], cosines[row] = _best(vectors, close, found[close], units[row, None], count)
    return indices, cosines


def _best(
    vectors: np.ndarray, candidates: np.ndarray, values: np.ndarray, units: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and cosines (q, count) of the best candidates (q, m), without those whose value is -inf."""
    cosines = np.empty(candidates.shape)
    step = max(1, _EXACT // units.size)
    for start in range(0, candidates.shape[1], step):
        part = slice(start, start + step)
        rows = vectors[candidates[:, part]].astype(np.float64)  # (q, step, width)
        # Sums along the last axis: equal vectors get equal cosines, wherever they stand.
        cosines[:, part] = (rows * units[:, None]).sum(axis=2) / np.sqrt((rows**2).sum(axis=2))
    cosines = np.where(np.isneginf(values), -np.inf, np.clip(cosines, -1, 1))
    order = np.lexsort((candidates, -cosines), axis=1)[:, :count]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def find(embeddings: Embeddings, what: int | str | np.ndarray, k: int) -> pd.DataFrame:
    """Return the k galaxies that are most like one.

    Parameters
    ----------
    embeddings
        Where to search.
    what
        An objid; ``RA,DEC`` in degrees, which is the galaxy within `RADIUS_ARCSEC` of it; or a vector (width,).
    k
        How many.

    Returns
    -------
    DataFrame
        objid, cosine, and the columns of the file; the nearest first, without the galaxy itself.

    Raises
    ------
    InputError
        If there is no such galaxy, the vector is zero, not finite or of another width, or k is below 1.
    """
    if isinstance(what, int | np.integer | str):
        row = locate(embeddings, what)
        query, own = embeddings.vectors[row], np.array([row])
    else:
        query, own = np.asarray(what), None
    indices, cosines = nearest(embeddings.vectors, query[None], k, norms=embeddings.norms, own=own)
    found = pd.DataFrame({"objid": embeddings.objid[indices[0]], "cosine": cosines[0]})
    return beside(found, embeddings.table(indices[0]).drop(columns="objid"))


def names_galaxy(what: str) -> bool:
    """Return whether a text is an objid or a position, whatever galaxies there are."""
    return _numbers(what) is not None


def _numbers(what: int | str) -> list[int] | list[float] | None:
    """Return an objid, or right ascension and declination; None of what is neither."""
    try:
        numbers = [float(part) for part in str(what).split(",")] if "," in str(what) else [int(what)]
        return numbers if len(numbers) <= 2 and all(map(math.isfinite, numbers)) else None
    except (ValueError, OverflowError):
        return None


def locate(embeddings: Embeddings, what: int | str) -> int:
    """Return the row of a galaxy.

    Parameters
    ----------
    embeddings
        Where to look it up.
    what
        Its objid, or ``RA,DEC`` in degrees.

    Raises
    ------
    InputError
        If it is neither, or there is no such galaxy: says how far the nearest is from a position.
    """
    numbers = _numbers(what)
    if numbers is None:
        raise InputError(f"{what!r} names no galaxy; expected an objid, or RA,DEC in degrees")
    if len(numbers) == 1:
        if not -(2**63) <= numbers[0] < 2**63:
            raise InputError(f"{what!r} names no galaxy: an objid has 64 bits")
        return int(embeddings.rows(numbers[0])[0])
    return _at_position(embeddings, *numbers)


def _at_position(embeddings: Embeddings, ra_deg: float, dec_deg: float) -> int:
    if not -90 <= dec_deg <= 90:
        raise InputError(f"{ra_deg},{dec_deg}: a declination lies between -90 and 90 degrees; expected RA,DEC")
    ra, dec = embeddings.column("ra"), embeddings.column("dec")
    # Most are too far in declination alone; only where none is near is the nearest of all asked for.
    for rows in (np.flatnonzero(np.abs(dec - dec_deg) <= RADIUS_ARCSEC / 3600), np.arange(len(embeddings))):
        distance = np.degrees(angular_separation(*np.radians([ra_deg, dec_deg]), *np.radians([ra[rows], dec[rows]])))
        distance = np.where(np.isfinite(distance), distance, np.inf) * 3600
        if len(rows) and distance.min() <= RADIUS_ARCSEC:
            return int(rows[distance.argmin()])
    found = "no galaxy there has a known position"
    if np.isfinite(distance.min()):
        far, objid = distance.min(), embeddings.objid[distance.argmin()]
        amount = f"{far:.2f} arcsec" if far < 3600 else f"{far / 3600:.2f} degrees"
        found = f"the nearest, objid {objid}, is {amount} away"
    raise InputError(f"{embeddings.path}: no galaxy within {RADIUS_ARCSEC:g} arcsec of {ra_deg},{dec_deg}: {found}")


def bench_search(n: int, width: int, k: int, repeats: int = 5) -> float:
    """Measure a search for one galaxy among random embeddings, from an opened file, and check what it finds.

    Parameters
    ----------
    n, width
        Embeddings, and numbers in each. The file, in the folder for temporary files, has 2 n width bytes.
    k
        How many are searched.
    repeats
        Searches that are measured, after one that is not.

    Returns
    -------
    float
        Median time of a search, seconds.

    Raises
    ------
    RuntimeError
        If the indices or cosines of a search are not those of all cosines in float64.
    """
    random = generator(0, "search bench", n, width)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.h5"
        with EmbeddingsWriter(path, {"encoder": "random"}) as writer:
            for start in range(0, n, BLOCK):
                rows = min(BLOCK, n - start)
                writer.append(np.arange(start, start + rows), random.standard_normal((rows, width), np.float32))
        embeddings = Embeddings(path)
        seconds = []
        for row in random.integers(0, n, repeats + 1):
            began = time.perf_counter()
            found = find(embeddings, int(row), k)
            seconds.append(time.perf_counter() - began)
        query, cosines = embeddings.vectors[row].astype(np.float64), np.empty(n)
        for start in range(0, n, BLOCK):
            rows = embeddings.vectors[start : start + BLOCK].astype(np.float64)
            cosines[start : start + BLOCK] = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
        cosines[row] = -np.inf
        expected = np.lexsort((np.arange(n), -cosines))[: len(found)]
        if not (np.array_equal(found["objid"], expected) and np.allclose(found["cosine"], cosines[expected], 0, 1e-12)):
            raise RuntimeError(f"the {k} nearest of galaxy {row} are not those of all cosines in float64")
    return float(np.median(seconds[1:]))
