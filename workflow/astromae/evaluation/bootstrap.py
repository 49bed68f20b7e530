"""Metrics on resampled galaxies, the same galaxies for every run, so that differences are paired."""

import numpy as np

from astromae.tasks.redshift import METRICS, redshift_metrics

#: Redshifts that are resampled at a time, which bounds memory (a few arrays of 8 bytes each).
CHUNK_ELEMENTS = 2_000_000


def resampled_indices(n: int, resample: int, seed: int) -> np.ndarray:
    """Return the `n` galaxies (with repeats) of one resample: a function of its number and the seed alone."""
    return np.random.default_rng([seed, resample]).integers(0, n, size=n)


def bootstrap_metrics(
    z_spec: np.ndarray, z_pred: np.ndarray, samples: int, seed: int, outlier_threshold: float
) -> dict[str, np.ndarray]:
    """Compute every metric of every run on resampled galaxies.

    Resample number i takes the same galaxies in every run, and in every call with the same seed and
    number of galaxies: differences between runs are differences on the same galaxies.

    Parameters
    ----------
    z_spec
        Spectroscopic redshifts, shape (n,).
    z_pred
        Predicted redshifts of m runs, shape (m, n), in the same order of galaxies.
    samples
        Number of resamples.
    seed
        Seed of the resampling.
    outlier_threshold
        As in `redshift_metrics`.

    Returns
    -------
    dict
        For each metric an array of shape (m, samples).
    """
    runs, n = z_pred.shape
    result = {metric: np.empty((runs, samples)) for metric in METRICS}
    step = max(1, CHUNK_ELEMENTS // (runs * n))
    for start in range(0, samples, step):
        stop = min(start + step, samples)
        indices = np.stack([resampled_indices(n, i, seed) for i in range(start, stop)])  # (step, n)
        # take, unlike plain indexing, lays galaxies out contiguously whatever m: sums round the same way
        drawn = np.take(z_pred, indices, axis=1)  # (m, step, n)
        values = redshift_metrics(z_spec[indices], drawn, outlier_threshold)  # each (m, step)
        for metric in METRICS:
            result[metric][:, start:stop] = values[metric]
    return result
