"""Intervals around estimates by split conformal prediction (Lei et al. 2018)."""

from collections.abc import Sequence

import numpy as np

#: Probabilities of the intervals that are given, and whose coverage is counted.
LEVELS = (0.68, 0.95)


def conformal_widths(scores: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the score that split conformal prediction takes for each level, shape (levels,).

    An interval that holds all values with a score up to it covers a new galaxy with at least that probability, if
    validation galaxies are exchangeable with it: the ceil((n + 1) level)-th smallest of n scores.

    Raises
    ------
    ValueError
        If there are too few validation galaxies for a level.
    """
    ordered, n = np.sort(scores), len(scores)
    # (99 + 1) 0.68 is 68 and a little in floating point, whose ceiling would be 69.
    ranks = np.ceil(np.round((n + 1) * np.asarray(levels), 9)).astype(int)
    if (ranks > n).any():
        raise ValueError(f"{n} galaxies are too few for a coverage of {max(levels):g}")
    return ordered[ranks - 1]
