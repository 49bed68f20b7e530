"""Redshift distributions as histograms: point estimates, quantiles, and scores of each galaxy's.

A distribution is a probability density that is constant inside each of k bins and zero outside them: `edges`, shape
(k + 1,), and `masses`, shape (n, k), the probability of each bin. Everything is worked out in blocks of galaxies, so
that memory does not grow with their number.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

#: Galaxies that are worked on at once: a few megabytes for each array.
_BLOCK = 8192

#: Density that a logarithm takes at least: one galaxy outside all bins would make the mean infinite.
LEAST_DENSITY = 1e-6


def checked(edges: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges and masses as arrays, float64 and as they are.

    Raises
    ------
    ValueError
        If the shapes do not fit, edges do not ascend, or a galaxy's masses are negative or do not sum to 1.
    """
    edges, masses = np.asarray(edges, dtype=np.float64), np.asarray(masses)
    if edges.ndim != 1 or masses.ndim != 2 or masses.shape[1] != len(edges) - 1:
        raise ValueError(f"edges of the shape {edges.shape} do not belong to masses of the shape {masses.shape}")
    if not (np.diff(edges) > 0).all():
        raise ValueError("the edges of bins do not ascend")
    wrong = sum(
        int((~((abs(block.sum(axis=1, dtype=np.float64) - 1) < 1e-3) & (block >= 0).all(axis=1))).sum())
        for block in _blocks(masses)
    )
    if wrong:
        raise ValueError(f"the masses of {wrong} of {len(masses)} galaxies are negative or do not sum to 1")
    return edges, masses


def _blocks(*arrays: np.ndarray) -> Iterator:
    for start in range(0, len(arrays[0]), _BLOCK):
        parts = tuple(array[start : start + _BLOCK] for array in arrays)
        yield parts[0] if len(parts) == 1 else parts


def cumulated(masses: np.ndarray) -> np.ndarray:
    """Return the distribution function at the edges of the bins, shape (n, k + 1), float64."""
    sums = np.zeros((len(masses), masses.shape[1] + 1))
    np.cumsum(masses, axis=1, dtype=np.float64, out=sums[:, 1:])
    return sums / sums[:, -1:]


def quantiles(edges: np.ndarray, masses: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return where the distribution function reaches each of `levels`, shape (n, levels).

    Where it is flat at a level, that is the end of the flat part.
    """
    reached = cumulated(masses)
    widths, rows = np.diff(edges), np.arange(len(reached))
    found = np.empty((len(reached), len(levels)))
    for number, level in enumerate(levels):
        bins = np.minimum((reached[:, 1:] <= level).sum(axis=1), len(widths) - 1)
        below, above = reached[rows, bins], reached[rows, bins + 1]
        part = (level - below) / np.where(above > below, above - below, 1.0)
        found[:, number] = np.minimum(edges[bins] + widths[bins] * np.clip(part, 0, 1), edges[bins + 1])
    return found


def point_estimates(edges: np.ndarray, masses: np.ndarray) -> dict[str, np.ndarray]:
    """Return each galaxy's point estimates.

    Returns
    -------
    dict
        Arrays (n,): ``mean``, over the centres of the bins (their left edges, as Pasquet et al. 2019's release has,
        are half a bin too low); ``median``; ``mode``, the centre of the densest bin; ``deviation``, the square root of
        the variance, that within bins included.
    """
    centres, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    parts = []
    for block in _blocks(masses):
        sums = block.sum(axis=1, dtype=np.float64)
        mean = block @ centres / sums
        squares = block @ (centres**2 + widths**2 / 12) / sums
        parts.append(
            {
                "mean": mean,
                "median": quantiles(edges, block, [0.5])[:, 0],
                "mode": centres[np.argmax(block / widths, axis=1)],
                "deviation": np.sqrt(np.maximum(squares - mean**2, 0)),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def galaxy_scores(edges: np.ndarray, masses: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    """Score each galaxy's distribution by its true redshift.

    Parameters
    ----------
    edges, masses
        The distributions.
    z
        True redshifts, shape (n,).

    Returns
    -------
    dict
        Arrays (n,), F being the distribution function and p the density:

        - ``pit``: F(z), the probability integral transform;
        - ``crps``: integral of (F - [x >= z])^2 over x, the continuous ranked probability score, in units of z;
        - ``cde_loss``: integral of p^2 minus 2 p(z) (Izbicki & Lee 2017), up to a constant the squared distance to the
          true density;
        - ``nll``: -ln p(z), p(z) at least `LEAST_DENSITY`.
    """
    parts = [_scores(edges, block, truth) for block, truth in _blocks(masses, np.asarray(z, dtype=np.float64))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _scores(edges: np.ndarray, masses: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    widths, rows = np.diff(edges), np.arange(len(z))
    reached = cumulated(masses)
    bins = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, len(widths) - 1)
    below, above = reached[rows, bins], reached[rows, bins + 1]
    part = (z - edges[bins]) / widths[bins]
    pit = below + np.clip(part, 0, 1) * (above - below)
    outside = (z < edges[0]) | (z > edges[-1])
    density = np.where(outside, 0.0, (above - below) / widths[bins])

    # Of a linear piece from a to b over a width w the square has the integral w (a^2 + ab + b^2) / 3. Sums of whole
    # bins come from running sums, the bin of z is cut in two.
    lower, upper = reached[:, :-1], reached[:, 1:]
    squares = np.zeros((len(z), len(widths) + 1))
    np.cumsum(_square(lower, upper, widths), axis=1, out=squares[:, 1:])
    rests = _square(1 - lower, 1 - upper, widths)
    after = np.zeros_like(squares)
    np.cumsum(rests[:, ::-1], axis=1, out=after[:, 1:])
    left = np.clip(part, 0, 1) * widths[bins]
    crps = (
        squares[rows, bins]
        + _square(below, pit, left)
        + _square(1 - pit, 1 - above, widths[bins] - left)
        + after[rows, len(widths) - 1 - bins]
        # Beyond the bins one of both is 0 and the other 1.
        + np.maximum(edges[0] - z, 0)
        + np.maximum(z - edges[-1], 0)
    )
    return {
        "pit": pit,
        "crps": crps,
        "cde_loss": ((upper - lower) ** 2 / widths).sum(axis=1) - 2 * density,
        "nll": -np.log(np.maximum(density, LEAST_DENSITY)),
    }


def _square(start: np.ndarray, end: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the integral of a linear piece's square."""
    return width * (start**2 + start * end + end**2) / 3


def normal_masses(edges: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return the masses (..., k) of normal distributions (...) that are cut off at both ends of the bins."""
    from scipy.special import ndtr

    # Outside the bins the nearest end is the centre, or nothing would be left inside; the same of vanishing widths.
    mean = np.clip(mean, edges[0], edges[-1])[..., None]
    deviation = np.maximum(deviation, np.diff(edges).min() / 2)[..., None]
    masses = np.diff(ndtr((edges - mean) / deviation), axis=-1)
    return masses / masses.sum(axis=-1, keepdims=True)


def masses_of_quantiles(edges: np.ndarray, levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return masses whose distribution function goes through quantiles, linearly between them.

    Parameters
    ----------
    edges
        Edges of the bins.
    levels
        Ascending, between 0 and 1, both excluded, shape (q,).
    values
        Quantiles (n, q); where they cross, they are put in order. The tails beyond the outer ones fall off as
        exponentials with the mean distance that leaves no step in the density at the outer quantile.
    """
    values = np.sort(values, axis=1)
    # Equal quantiles would be a jump: they are spread about their place, by less than anyone could measure.
    apart = np.diff(edges).min() * 1e-6 * (np.arange(len(levels)) - (len(levels) - 1) / 2)
    reached = np.empty((len(values), len(edges)))
    for row, own in enumerate(values):
        own = own + apart
        inside = np.interp(edges, own, levels)
        below, above = edges < own[0], edges > own[-1]
        first, last = (levels[1] - levels[0]) / (own[1] - own[0]), (levels[-1] - levels[-2]) / (own[-1] - own[-2])
        inside[below] = levels[0] * np.exp((edges[below] - own[0]) * first / levels[0])
        inside[above] = 1 - (1 - levels[-1]) * np.exp(-(edges[above] - own[-1]) * last / (1 - levels[-1]))
        reached[row] = inside
    masses = np.maximum(np.diff(reached, axis=1), 0)
    total = masses.sum(axis=1, keepdims=True)
    # All of it beyond the bins: into the nearest one.
    nearest = np.where(values[:, len(levels) // 2] > edges[-1], len(edges) - 2, 0)
    masses[np.arange(len(masses)), nearest] += (total[:, 0] < 1e-6) * 1.0
    return masses / masses.sum(axis=1, keepdims=True)


def rebinned(edges: np.ndarray, masses: np.ndarray, transform: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return masses whose distribution function is `transform` of the old one, a growing map of [0, 1] to itself."""
    return np.concatenate([np.diff(transform(cumulated(block)), axis=1) for block in _blocks(masses)])


def rebinned_to(edges: np.ndarray, masses: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the masses (n, m) of distributions in other bins, with edges (m + 1,); what lies beyond is cut off.

    A distribution that lies beyond them altogether goes into the nearest bin.
    """
    reached = cumulated(masses)
    bins = np.clip(np.searchsorted(edges, other, side="right") - 1, 0, masses.shape[1] - 1)
    part = np.clip((other - edges[bins]) / np.diff(edges)[bins], 0, 1)
    found = np.diff(reached[:, bins] + part * (reached[:, bins + 1] - reached[:, bins]), axis=1)
    total = found.sum(axis=1, keepdims=True)
    beyond = total[:, 0] < 1e-9
    if beyond.any():
        nearest = np.where(point_estimates(edges, masses)["mean"] > other[-1], len(other) - 2, 0)
        found[beyond, nearest[beyond]] = 1
        total = found.sum(axis=1, keepdims=True)
    return found / total
