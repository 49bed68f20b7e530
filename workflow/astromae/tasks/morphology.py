"""Shapes of galaxies as a task: the fraction of people's votes for yes, for each of some questions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from astromae.contracts.votes import QUESTIONS, vote_column
from astromae.evaluation.answers import answer_metrics
from astromae.settings.base import SomeOf, setting
from astromae.tasks import Metric, Task
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import Tensor

#: Of the galaxies whose votes decide a question; means over the questions.
METRICS = {
    # First, since it is quoted: accuracy is high by itself where hardly anybody says yes.
    "roc_auc": Metric("ROC area", better="more"),
    "accuracy": Metric("Accuracy", better="more"),
    "precision": Metric("Precision", better="more"),
    "recall": Metric("Recall", better="more"),
}


class MorphologySettings(Typed):
    """Shapes of galaxies."""

    questions: SomeOf[Literal[tuple(QUESTIONS)]] = setting("Questions that models answer.", tuple(QUESTIONS))
    decided: float = setting(
        "Fraction of votes that decides a question; galaxies in between judge nothing.", 0.7, gt=0.5, le=1
    )


def predicted_column(question: str) -> str:
    """Return the column of the predicted fraction of votes for yes."""
    return f"p_{question}"


def _loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Return the mean binary cross-entropy between logits and fractions; an answer that is missing counts as no loss.

    Over the answers that there are alone, one would weigh more in a batch of few, and on one of several GPUs.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    known = targets.isfinite()
    losses = binary_cross_entropy_with_logits(
        outputs.float(), targets.where(known, targets.new_zeros(())), reduction="none"
    )
    return (losses * known).mean()


def _bias(targets: np.ndarray) -> np.ndarray:
    """Return the logits of the mean fractions, at which outputs start."""
    known = np.isfinite(targets)
    # One vote more for either answer, or a question with one answer only would start at infinity.
    mean = (np.where(known, targets, 0).sum(axis=0) + 1) / (known.sum(axis=0) + 2)
    return np.log(mean / (1 - mean)).astype(np.float32)


def morphology(settings: MorphologySettings) -> Task:
    """Return the task of some questions."""
    questions = settings.questions
    columns = tuple(map(predicted_column, questions))

    def of_fractions(fractions: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(columns, np.clip(fractions, 0, 1).T, strict=True))

    def measure(given: Mapping[str, np.ndarray], outlier_threshold: float) -> dict[str, np.ndarray]:
        answers = [
            answer_metrics(given[vote_column(question)], given[column], settings.decided)
            for question, column in zip(questions, columns, strict=True)
        ]
        return {name: _mean(np.stack([answer[name] for answer in answers])) for name in METRICS}

    return Task(
        title="shape",
        targets={vote_column(question): vote_column(question) for question in questions},
        outputs=len(questions),
        loss=_loss,
        bias=_bias,
        columns=columns,
        predict=lambda outputs: of_fractions(np.exp(-np.logaddexp(0, -outputs))),
        metrics=METRICS,
        measure=measure,
        incomplete=True,
        of_estimates=of_fractions,
        settings=MorphologySettings,
        configured=morphology,
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the means over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


TASK = morphology(MorphologySettings())
