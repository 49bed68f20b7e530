"""Every model's metrics with their uncertainty, from one paired bootstrap of an experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from astromae.contracts.predictions import CLASSICAL, Predictions
from astromae.evaluation.bootstrap import bootstrap_metrics
from astromae.evaluation.intervals import Estimate, estimate_mean, supported
from astromae.settings.evaluation import Evaluation
from astromae.tasks import Metric, Task, task_of


@dataclass(frozen=True)
class Scores:
    """Metrics of an experiment's models.

    Attributes
    ----------
    metrics
        The metrics of the experiment's task, by name.
    models
        Names, in the order of the predictions.
    trained
        Whether another seed would have given another model, for each of them; not so of a classical method.
    interval
        Confidence of intervals and of statements.
    by_seed
        For each metric the value of each model and seed, shape (models, seeds).
    resampled
        For each metric the same on each resample, shape (models, seeds, samples). Resample i holds the
        same galaxies for every model and seed.
    """

    metrics: Mapping[str, Metric]
    models: tuple[str, ...]
    trained: tuple[bool, ...]
    interval: float
    by_seed: Mapping[str, np.ndarray]
    resampled: Mapping[str, np.ndarray]

    def value(self, metric: str) -> np.ndarray:
        """Return the mean over seeds of `metric`, shape (models,)."""
        return self.by_seed[metric].mean(axis=1)

    def deviation(self, metric: str) -> np.ndarray:
        """Return the standard deviation over seeds, shape (models,); NaN for a single seed."""
        runs = self.by_seed[metric]
        return runs.std(axis=1, ddof=1) if runs.shape[1] > 1 else np.full(len(runs), np.nan)

    def limits(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval of the mean over seeds, each of shape (models,).

        With one seed it knows of the test galaxies only.
        """
        estimate = estimate_mean(self.by_seed[metric], self.resampled[metric], self.interval)
        return estimate.limits(self.interval)

    def differences(self, metric: str, pairs: Sequence[tuple[int, int]]) -> Estimate:
        """Return how much worse the first model of each pair of numbers is than the second, shape (pairs,).

        Both are taken on the same resampled galaxies and with the same seeds. Of the bias, its size is compared; of
        R2, its negative.
        """
        one, other = np.array(pairs).T
        sign = self.metrics[metric].badness_sign(self.value(metric))
        runs = sign[:, None] * self.by_seed[metric]
        resampled = sign[:, None, None] * self.resampled[metric]
        return estimate_mean(runs[one] - runs[other], resampled[one] - resampled[other], self.interval)

    def judged(self, one: int, other: int) -> bool:
        """Return whether two models can be told apart at all: not with one seed, if that decides either of them."""
        several = next(iter(self.by_seed.values())).shape[1] > 1
        return several or not (self.trained[one] or self.trained[other])

    def supported(self, metric: str, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return which pairs of models are told apart, shape (pairs,), by Holm's procedure over those judged."""
        answers = np.zeros(len(pairs), dtype=bool)
        asked = [number for number, pair in enumerate(pairs) if self.judged(*pair)]
        if asked:
            answers[asked] = supported(self.differences(metric, [pairs[number] for number in asked]), self.interval)
        return answers

    def best(self, metric: str) -> int | None:
        """Return the number of the best model, or None where none is told apart from all others, asked together."""
        first = int(np.argmin(self.metrics[metric].badness(self.value(metric))))
        pairs = [(other, first) for other in range(len(self.models)) if other != first]
        return first if pairs and self.supported(metric, pairs).all() else None


def score(predictions: Predictions, settings: Evaluation, task: Task | None = None) -> Scores:
    """Compute metrics and their paired bootstrap for every model.

    Parameters
    ----------
    predictions
        The experiment's predictions.
    settings
        The configuration's section ``evaluation``.
    task
        Task whose metrics are computed, with the targets and columns of that of the predictions; None for this one.
    """
    threshold = settings.outlier_threshold
    task = task or task_of(predictions.task)
    predicted = {
        column: np.stack([model.predicted[column] for model in predictions.models]) for column in task.columns
    }  # (models, seeds, galaxies), and k where a prediction is several numbers
    resampled = bootstrap_metrics(
        task,
        predictions.targets,
        {column: values.reshape(-1, *values.shape[2:]) for column, values in predicted.items()},
        settings.bootstrap_samples,
        settings.seed,
        threshold,
    )
    shape = len(predictions.models), len(predictions.models[0].seeds), -1
    return Scores(
        metrics=task.metrics,
        models=tuple(model.model for model in predictions.models),
        trained=tuple(model.group != CLASSICAL for model in predictions.models),
        interval=settings.interval,
        by_seed=task.measure({**predictions.targets, **predicted}, threshold),
        resampled={metric: resampled[metric].reshape(shape) for metric in task.metrics},
    )
