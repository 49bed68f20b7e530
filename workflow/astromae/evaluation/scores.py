"""Every model's metrics with their uncertainty, from one paired bootstrap of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from astromae.evaluation.bootstrap import bootstrap_metrics, percentile_interval, resampled_mean
from astromae.evaluation.metrics import METRICS, badness, redshift_metrics
from astromae.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Scores:
    """Metrics of an experiment's models.

    Attributes
    ----------
    models
        Names, in the order of the predictions.
    interval
        Central fraction that intervals enclose.
    by_seed
        For each metric and model the value of each seed, shape (seeds,).
    resampled
        For each metric the mean over seeds on each resample, shape (models, samples). Column i holds the
        same galaxies for every model, and of several seeds a draw of each model's own.
    """

    models: tuple[str, ...]
    interval: float
    by_seed: Mapping[str, tuple[np.ndarray, ...]]
    resampled: Mapping[str, np.ndarray]

    def value(self, metric: str) -> np.ndarray:
        """Return the mean over seeds of `metric`, shape (models,)."""
        return np.array([values.mean() for values in self.by_seed[metric]])

    def deviation(self, metric: str) -> np.ndarray:
        """Return the standard deviation over seeds, shape (models,); NaN for a single seed."""
        return np.array([values.std(ddof=1) if len(values) > 1 else np.nan for values in self.by_seed[metric]])

    def limits(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval of the mean over seeds, each of shape (models,)."""
        return percentile_interval(self.resampled[metric], self.interval)

    def difference(self, metric: str, one: int, other: int) -> tuple[float, float, float]:
        """Return how much worse model number `one` is than `other`, with the ends of its interval.

        Both are taken on the same resampled galaxies. The interval excludes zero where the order of the
        two is supported. Of the bias, its size is compared; of R2, its negative.
        """
        value, resampled = badness(metric, self.value(metric)), badness(metric, self.resampled[metric])
        low, high = percentile_interval(resampled[one] - resampled[other], self.interval)
        return float(value[one] - value[other]), float(low), float(high)

    def best(self, metric: str) -> int | None:
        """Return the number of the best model, or None where the intervals do not support one.

        It must have the best value, and its paired difference from every other model must exclude zero.
        """
        first = int(np.argmin(badness(metric, self.value(metric))))
        others = [i for i in range(len(self.models)) if i != first]
        if not others or any(self.difference(metric, i, first)[1] <= 0 for i in others):
            return None
        return first


def score(predictions: Predictions, settings: Mapping) -> Scores:
    """Compute metrics and their paired bootstrap for every model.

    Parameters
    ----------
    predictions
        The experiment's predictions.
    settings
        The configuration's section ``evaluation``: bootstrap_samples, interval, outlier_threshold, seed.
    """
    threshold = settings["outlier_threshold"]
    z_pred = np.concatenate([model.z_pred for model in predictions.models])  # (runs, galaxies)
    ends = np.cumsum([len(model.seeds) for model in predictions.models])[:-1]
    point = redshift_metrics(predictions.z_spec, z_pred, threshold)
    resampled = bootstrap_metrics(
        predictions.z_spec, z_pred, settings["bootstrap_samples"], settings["seed"], threshold
    )
    return Scores(
        models=tuple(model.model for model in predictions.models),
        interval=settings["interval"],
        by_seed={metric: tuple(np.split(point[metric], ends)) for metric in METRICS},
        resampled={
            metric: np.stack(
                [
                    resampled_mean(runs, settings["seed"], model.model)
                    for runs, model in zip(np.split(resampled[metric], ends), predictions.models, strict=True)
                ]
            )
            for metric in METRICS
        },
    )
