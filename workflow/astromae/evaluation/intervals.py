"""Confidence intervals of means over seeds: test galaxies are a sample, and so are the seeds of a training.

The mean over k seeds of a metric on n test galaxies differs from what endless seeds and galaxies would give,
by three things: the galaxies, which all seeds share; the seeds; and each seed's own errors on these galaxies.
The scatter between the k values holds the last two, and is known with k - 1 degrees of freedom; the bootstrap
of the mean holds the first and the third, and is known well. What both hold is counted once.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

#: The square of the critical value goes from that of the normal distribution to that of Student's t as the seeds' part
#: of the variance goes from 0 to 1. In proportion to it (the modified large-sample method of Graybill & Wang 1980,
#: JASA 75, 869) an interval never holds the truth less often than it says, but with two seeds up to 98.8 % instead of
#: 95 %: good for statements. In proportion to this power of it, it holds 94 to 97.5 % with two seeds, 94.8 to 96.3 %
#: with three, 95 to 95.7 % with five, whatever their part (simulated in tests/unit/test_intervals.py).
PART_POWER = 1.5


@dataclass(frozen=True)
class Estimate:
    """Means over seeds, and how far to trust them. All arrays have one shape, (...).

    Attributes
    ----------
    value
        The mean over k seeds.
    below, above
        Standard error that the shared galaxies give it, from the lower and the upper side of their bootstrap.
    seeds
        Standard error from the scatter between seeds; 0 for one seed, of which nothing is known.
    freedom
        Degrees of freedom of `seeds`: k - 1.
    """

    value: np.ndarray
    below: np.ndarray
    above: np.ndarray
    seeds: np.ndarray
    freedom: int

    def limits(self, confidence: float | np.ndarray, power: float = PART_POWER) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval that holds the true mean with probability `confidence`, shape (...)."""
        low, high = (self._reach(galaxies, confidence, power) for galaxies in (self.below, self.above))
        return self.value - low, self.value + high

    def _reach(self, galaxies: np.ndarray, confidence: float | np.ndarray, power: float) -> np.ndarray:
        tail = (1 + np.asarray(confidence)) / 2
        variance = self.seeds**2 + galaxies**2
        squared = ndtri(tail) ** 2
        if self.freedom:
            part = np.divide(self.seeds**2, variance, out=np.zeros_like(variance), where=variance > 0)
            squared = squared + part**power * (stdtrit(self.freedom, tail) ** 2 - squared)
        return np.sqrt(squared * variance)


def estimate_mean(runs: np.ndarray, resampled: np.ndarray, confidence: float) -> Estimate:
    """Estimate the mean of a metric over the seeds of a training.

    Parameters
    ----------
    runs
        The metric of k seeds on the test galaxies, shape (..., k).
    resampled
        The same on resampled galaxies, shape (..., k, samples); resample i holds the same galaxies for every seed. NaN
        where too few of a kind were drawn to tell: such a resample counts as the sample itself.
    confidence
        Confidence at which the bootstrap's two sides are read off (Efron's percentile interval): of one seed, the
        interval of this confidence is the percentile interval.
    """
    count = runs.shape[-1]
    resampled = np.where(np.isnan(resampled), runs[..., None], resampled)
    value, mean = runs.mean(axis=-1), resampled.mean(axis=-2)  # (...), (..., samples)
    tail = (1 - confidence) / 2
    low, high = np.quantile(mean, [tail, 1 - tail], axis=-1)
    below, above = np.maximum(value - low, 0), np.maximum(high - value, 0)
    scatter = np.zeros_like(value)
    if count > 1:
        scatter = runs.std(axis=-1, ddof=1) / np.sqrt(count)
        shared = shared_part(resampled)
        below, above = shared * below, shared * above
    normal = ndtri(1 - tail)
    return Estimate(value, below / normal, above / normal, scatter, count - 1)


def shared_part(resampled: np.ndarray) -> np.ndarray:
    """Return which part of the bootstrap's deviation of a mean over seeds comes from the galaxies that seeds share.

    The rest is each seed's own errors on these galaxies, which the scatter between seeds holds too.

    Parameters
    ----------
    resampled
        A metric on resampled galaxies, shape (..., k, samples), of k seeds, two at least.
    """
    count, mean = resampled.shape[-2], resampled.mean(axis=-2)
    # the variance of a seed's own errors on these galaxies, which averages out over seeds as their scatter does
    own = (resampled - mean[..., None, :]).var(axis=-1).sum(axis=-1) / (count - 1)
    both = mean.var(axis=-1)
    part = np.divide(own / count, both, out=np.zeros_like(both), where=both > 0)
    return np.sqrt(np.clip(1 - part, 0, 1))


def supported(differences: Estimate, confidence: float) -> np.ndarray:
    """Return which of several differences are told from zero together, by Holm's procedure.

    Of m true zeros, the probability that any is called a difference is at most 1 - `confidence` (Holm 1979,
    Scandinavian Journal of Statistics 6, 65): those whose interval excludes zero when the risk is shared equally are
    found, then the risk is shared among the others, until no more are found. These intervals are the wider ones that
    never hold the truth less often than they say (see `PART_POWER`).

    Parameters
    ----------
    differences
        Estimates of shape (..., m): the last axis holds what is asked together.
    confidence
        Of all m statements together.

    Returns
    -------
    array
        Booleans, shape (..., m).
    """
    found = np.zeros(differences.value.shape, dtype=bool)
    for _ in range(found.shape[-1]):
        left = np.maximum((~found).sum(axis=-1, keepdims=True), 1)
        low, high = differences.limits(1 - (1 - confidence) / left, power=1)
        found = found | (low > 0) | (high < 0)
    return found
