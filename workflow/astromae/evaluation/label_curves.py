"""The error of ways to learn over numbers of labels, and how many labels learning without them saves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from astromae.contracts.label_curves import LabelCurve, LabelCurves
from astromae.evaluation.bootstrap import bootstrap_metrics
from astromae.evaluation.intervals import estimate_mean, shared_part
from astromae.seeds import generator
from astromae.settings.evaluation import Evaluation
from astromae.tasks import task_of


@dataclass(frozen=True)
class CurveScores:
    """Metrics of one way to learn.

    Attributes
    ----------
    curve
        The way to learn.
    by_seed
        For each metric the value after each number of labels with each seed, shape (labels, seeds).
    resampled
        The same on each resample, shape (labels, seeds, samples). Resample i holds the same galaxies for every way to
        learn, number of labels and seed.
    interval
        Confidence of intervals.
    """

    curve: LabelCurve
    by_seed: Mapping[str, np.ndarray]
    resampled: Mapping[str, np.ndarray]
    interval: float

    def value(self, metric: str) -> np.ndarray:
        """Return the mean over seeds of a metric, shape (labels,)."""
        return self.by_seed[metric].mean(axis=1)

    def limits(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval of the mean over seeds, each of shape (labels,)."""
        return estimate_mean(self.by_seed[metric], self.resampled[metric], self.interval).limits(self.interval)


def score_curves(curves: LabelCurves, settings: Evaluation) -> list[CurveScores]:
    """Compute metrics and their paired bootstrap for every way to learn.

    Parameters
    ----------
    curves
        The study's predictions.
    settings
        The configuration's section ``evaluation``.
    """
    task, scores = task_of(curves.task), []
    for curve in curves.curves:
        shape = (len(curves.labels), len(curves.seeds))
        runs = {name: values.reshape(-1, *values.shape[2:]) for name, values in curve.predicted.items()}
        by_run = task.measure({**curves.targets, **runs}, settings.outlier_threshold)
        resampled = bootstrap_metrics(
            task, curves.targets, runs, settings.bootstrap_samples, settings.seed, settings.outlier_threshold
        )
        scores.append(
            CurveScores(
                curve,
                {metric: by_run[metric].reshape(shape) for metric in task.metrics},
                {metric: resampled[metric].reshape(*shape, -1) for metric in task.metrics},
                settings.interval,
            )
        )
    return scores


def labels_needed(error: np.ndarray, labels: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many labels a reference needs for an error, by its curve over numbers of labels.

    The curve is taken to fall: with more labels the reference may do as well as with fewer. Between numbers of labels
    the logarithm of the error is linear in that of the labels.

    Parameters
    ----------
    error
        Errors, shape (...).
    labels
        Numbers of labels, ascending, shape (labels,).
    reference
        Error of the reference after each of them, shape (..., labels), positive.

    Returns
    -------
    tuple of array
        Labels, shape (...), and 1 where the reference never gets as good, so that it needs more than these; -1 where it
        is as good with the fewest, so that it needs no more than these; 0 elsewhere.
    """
    falling = np.log(np.minimum.accumulate(reference, axis=-1))
    log_error, log_labels = np.log(error), np.log(labels)
    worse = (falling > log_error[..., None]).sum(axis=-1)  # numbers of labels after which it is not there yet
    after = np.clip(worse, 1, len(labels) - 1)
    high, low = (np.take_along_axis(falling, (after - step)[..., None], axis=-1)[..., 0] for step in (1, 0))
    inside = (worse > 0) & (worse < len(labels))
    part = np.divide(high - log_error, high - low, out=np.zeros_like(log_error), where=inside)
    between = log_labels[after - 1] + part * (log_labels[after] - log_labels[after - 1])
    ends = np.where(worse == 0, log_labels[0], log_labels[-1])
    return np.exp(np.where(inside, between, ends)), np.where(inside, 0, np.where(worse == 0, -1, 1))


@dataclass(frozen=True)
class LabelsSaved:
    """By which factor a way to learn makes do with fewer labels than its reference, for each of its numbers of labels.

    Attributes
    ----------
    needed
        Labels that the reference needs for the same error, shape (labels,).
    factor
        `needed` over the number of labels.
    low, high
        Ends of the factor's interval.
    bound
        As of `labels_needed`: 1 where the factor is at least, -1 where it is at most what is said.
    """

    needed: np.ndarray
    factor: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bound: np.ndarray


def labels_saved(
    labels: np.ndarray, way: CurveScores, reference: CurveScores, metric: str, settings: Evaluation
) -> LabelsSaved:
    """Compare a way to learn with a reference.

    The interval is of a bootstrap: each sample has its own test galaxies, the same for both curves, and its own seeds.
    Few seeds say little of the scatter between them, so that seeds are not resampled but drawn from the distribution of
    their mean that a few normal values leave, Student's t, the same draw for both curves and all numbers of labels.

    Parameters
    ----------
    labels
        Numbers of labels, shape (labels,).
    way, reference
        Scores of both, with the same galaxies and seeds.
    metric
        Metric to compare, positive and better when it is less.
    settings
        The configuration's section ``evaluation``.
    """
    both = (way, reference)
    curves = np.log([scores.by_seed[metric] for scores in both])  # (2, labels, seeds)
    resampled = np.log([scores.resampled[metric] for scores in both])  # (2, labels, seeds, samples)
    count, samples = curves.shape[-1], resampled.shape[-1]
    drawn = resampled.mean(axis=2)  # (2, labels, samples)
    if count > 1:
        # What the scatter between seeds holds too is counted once.
        centre = drawn.mean(axis=-1, keepdims=True)
        drawn = centre + shared_part(resampled)[..., None] * (drawn - centre)
        random = generator(settings.seed, "seeds of label curves")
        weights = random.standard_normal((count, samples))
        stretch = np.sqrt((count - 1) / random.chisquare(count - 1, samples))
        scatter = (curves - curves.mean(axis=-1, keepdims=True)) / np.sqrt(count * (count - 1))
        drawn = drawn + (scatter @ weights) * stretch
    mean = np.exp(curves.mean(axis=-1))
    needed, bound = labels_needed(mean[0], labels, np.broadcast_to(mean[1], (len(labels), len(labels))))
    error, of_reference = np.exp(drawn[0]), np.exp(drawn[1]).T[:, None, :]  # (labels, samples), (samples, 1, labels)
    sampled, _ = labels_needed(error.T, labels, np.broadcast_to(of_reference, (samples, len(labels), len(labels))))
    tail = (1 - settings.interval) / 2
    low, high = np.quantile(sampled, [tail, 1 - tail], axis=0)
    low, high = np.minimum(low, needed), np.maximum(high, needed)
    return LabelsSaved(needed, needed / labels, low / labels, high / labels, bound)
