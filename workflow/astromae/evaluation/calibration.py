"""Whether redshift distributions mean what they say: calibration of their PIT, coverage, sharpness and N(z)."""

from dataclasses import dataclass

import numpy as np

from astromae.evaluation.conformal import LEVELS
from astromae.evaluation.densities import cumulated, galaxy_scores, point_estimates, rebinned


def pit_tests(pit: np.ndarray) -> dict[str, float]:
    """Hold PIT values against the uniform distribution, which they have if all distributions are calibrated.

    Returns
    -------
    dict
        ``pit_ks`` and ``pit_cvm``, the statistics of Kolmogorov and Smirnov and of Cramér and von Mises, with ``_p``
        their p-values; ``pit_ad``, that of Anderson and Darling with both ends kept from 0 and 1 by half a galaxy.
    """
    # Its import takes a second, which predictions need not wait for.
    from scipy import stats

    ks, cvm = stats.kstest(pit, "uniform"), stats.cramervonmises(pit, "uniform")
    n = len(pit)
    ordered = np.clip(np.sort(pit), 0.5 / n, 1 - 0.5 / n)
    weights = (2 * np.arange(1, n + 1) - 1) / n
    darling = -n - np.sum(weights * (np.log(ordered) + np.log1p(-ordered[::-1])))
    return {
        "pit_ks": float(ks.statistic),
        "pit_ks_p": float(ks.pvalue),
        "pit_cvm": float(cvm.statistic),
        "pit_cvm_p": float(cvm.pvalue),
        "pit_ad": float(darling),
    }


def coverage(pit: np.ndarray, level: float) -> float:
    """Return the fraction of true redshifts inside the central interval of probability `level`."""
    return float(np.mean(np.abs(pit - 0.5) <= level / 2))


def calibration(edges: np.ndarray, masses: np.ndarray, z: np.ndarray) -> dict[str, float]:
    """Judge the distributions of a sample.

    Parameters
    ----------
    edges, masses
        As in `astromae.evaluation.densities`.
    z
        True redshifts, shape (n,).

    Returns
    -------
    dict
        What `pit_tests` returns; means ``crps``, ``cde_loss``, ``nll`` (`galaxy_scores`); ``coverage_68``,
        ``coverage_95``; ``sharpness``, the median of the standard deviation over 1 + mean; ``nz_shift``, the mean of
        all distributions together minus that of the true redshifts, and ``nz_ks``, the largest distance of their
        distribution functions at the edges of the bins.
    """
    scores, points = galaxy_scores(edges, masses, z), point_estimates(edges, masses)
    stacked = np.sum(masses, axis=0, dtype=np.float64)[None]
    true = np.searchsorted(np.sort(z), edges, side="right") / len(z)
    return {
        "n_test": len(z),
        **pit_tests(scores["pit"]),
        **{name: float(scores[name].mean()) for name in ("crps", "cde_loss", "nll")},
        **{f"coverage_{100 * level:.0f}": coverage(scores["pit"], level) for level in LEVELS},
        "sharpness": float(np.median(points["deviation"] / (1 + points["mean"]))),
        "nz_shift": float(points["mean"].mean() - np.mean(z)),
        "nz_ks": float(np.abs(cumulated(stacked)[0] - true).max()),
    }


@dataclass(frozen=True)
class Recalibration:
    """A map of the distribution function that makes a validation sample's PIT uniform (Kuleshov et al. 2018).

    Attributes
    ----------
    levels, reached
        Distribution functions, and the fraction of validation galaxies whose PIT is below; both ascend from 0 to 1,
        and between them the map is linear.
    """

    levels: np.ndarray
    reached: np.ndarray

    def __call__(self, edges: np.ndarray, masses: np.ndarray) -> np.ndarray:
        """Return recalibrated masses, shape (n, k)."""
        return rebinned(edges, masses, lambda f: np.interp(f, self.levels, self.reached))


def recalibrate(pit: np.ndarray, knots: int) -> Recalibration:
    """Fit a recalibration to the PIT values of validation galaxies.

    Parameters
    ----------
    pit
        Shape (n,).
    knots
        Quantiles of the PIT that the map goes through: fewer of them follow a small sample's noise less.

    Raises
    ------
    ValueError
        If there are fewer galaxies than knots.
    """
    if len(pit) < knots:
        raise ValueError(f"{len(pit)} galaxies are too few for a recalibration by {knots} quantiles")
    reached = np.linspace(0, 1, knots + 1)
    levels = np.quantile(pit, reached)
    levels[0], levels[-1] = 0.0, 1.0
    # Many equal PIT values, of distributions that end before them, would make the map two-valued.
    levels, first = np.unique(levels, return_index=True)
    reached = reached[first]
    # Where many are 1, of redshifts beyond the bins, the first of them came before the end.
    reached[-1] = 1.0
    return Recalibration(levels, reached)
