"""Metrics on resampled galaxies, the same galaxies for every run, so that differences are paired."""

from collections.abc import Mapping

import numpy as np

from astromae.tasks import Task

#: Predicted numbers that are resampled at a time, which bounds memory (a few arrays of 8 bytes each).
CHUNK_ELEMENTS = 2_000_000


def resampled_indices(n: int, resample: int, seed: int) -> np.ndarray:
    """Return the `n` galaxies (with repeats) of one resample: a function of its number and the seed alone."""
    return np.random.default_rng([seed, resample]).integers(0, n, size=n)


def bootstrap_metrics(
    task: Task,
    targets: Mapping[str, np.ndarray],
    predicted: Mapping[str, np.ndarray],
    samples: int,
    seed: int,
    outlier_threshold: float,
) -> dict[str, np.ndarray]:
    """Compute every metric of every run on resampled galaxies.

    Resample number i takes the same galaxies in every run, and in every call with the same seed and
    number of galaxies: differences between runs are differences on the same galaxies.

    Parameters
    ----------
    task
        Task whose metrics are computed.
    targets
        True values by column, shape (n,) each.
    predicted
        What m runs predict, by column, shape (m, n) or (m, n, k), in the same order of galaxies.
    samples
        Number of resamples.
    seed
        Seed of the resampling.
    outlier_threshold
        As in the task's `measure`.

    Returns
    -------
    dict
        For each metric an array of shape (m, samples).
    """
    runs, n = next(iter(predicted.values())).shape[:2]
    result = {metric: np.empty((runs, samples)) for metric in task.metrics}
    step = max(1, CHUNK_ELEMENTS // max(values.size for values in predicted.values()))
    for start in range(0, samples, step):
        stop = min(start + step, samples)
        indices = np.stack([resampled_indices(n, i, seed) for i in range(start, stop)])  # (step, n)
        # take, unlike plain indexing, lays galaxies out contiguously whatever m: sums round the same way
        drawn = {name: np.take(values, indices, axis=1) for name, values in predicted.items()}  # each (m, step, n)
        truth = {name: values[indices] for name, values in targets.items()}
        values = task.measure(truth | drawn, outlier_threshold)  # each (m, step)
        for metric in task.metrics:
            result[metric][:, start:stop] = values[metric]
    return result
