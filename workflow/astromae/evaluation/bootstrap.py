"""Intervals from resampled galaxies, the same galaxies for every run, so that differences are paired."""

import math

import numpy as np

from astromae.evaluation.metrics import METRICS, redshift_metrics
from astromae.seeds import generator

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


def resampled_mean(runs: np.ndarray, seed: int, model: str) -> np.ndarray:
    """Return the mean over a model's runs on each resample, with the scatter of its seeds.

    Galaxies are resampled already; of several runs, as many are drawn anew (with repeats) for each resample, since
    another set of seeds would have given another mean. Drawing from k runs understates their variance by (k - 1) / k,
    which is made up for. A single run stays as it is: it says nothing about seeds.

    Parameters
    ----------
    runs
        A metric of k runs, shape (k, samples).
    seed
        Seed of the drawing.
    model
        The model, whose draws are its own.
    """
    count, samples = runs.shape
    mean = runs.mean(axis=0)
    if count == 1:
        return mean
    drawn = generator(seed, f"seeds of {model}").integers(0, count, size=(count, samples))
    scatter = np.take_along_axis(runs, drawn, axis=0).mean(axis=0) - mean
    return mean + scatter * math.sqrt(count / (count - 1))


def percentile_interval(resampled: np.ndarray, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the central fraction `interval` of the last axis (Efron's percentile interval)."""
    tail = (1.0 - interval) / 2.0
    low, high = np.quantile(resampled, [tail, 1.0 - tail], axis=-1)
    return low, high
