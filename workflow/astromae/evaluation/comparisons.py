"""Which of two models is better, said only where the same test galaxies support it."""

from collections.abc import Mapping
from dataclasses import dataclass

from astromae.evaluation.formatting import PUBLISHED_DECIMALS, decimals_for, fixed
from astromae.evaluation.names import model_name
from astromae.evaluation.scores import Scores

#: The questions that the two tables ask, as pairs of models: what does the first have that helps?
QUESTIONS = (
    ("pcm-astromae", "henghes", "a frozen pcm encoder"),
    ("plain-astromae", "henghes", "a frozen plain encoder"),
    ("pcm-astromae", "plain-astromae", "pcm in AstroMAE's frozen encoder"),
    ("pcm-vit", "plain-vit", "pcm in a frozen encoder alone"),
    ("scratch-pcm-vit", "scratch-plain-vit", "pcm in an encoder from scratch"),
    ("plain-vit", "scratch-plain-vit", "pretraining and freezing"),
    ("pcm-vit", "scratch-pcm-vit", "pretraining and freezing, with pcm"),
    ("inception-only", "plain-vit", "Inception for a frozen encoder"),
    ("pcm-astromae", "hgb-magnitudes", "images, beside magnitudes"),
    ("henghes", "hgb-magnitudes", "images, beside magnitudes"),
)

#: Compared metric: the paper's own measure of scatter (equation 8).
METRIC = "precision"


@dataclass(frozen=True)
class Comparison:
    """One model against another on the same galaxies.

    Attributes
    ----------
    one, other
        The models.
    question
        What `one` has and `other` has not.
    value, other_value
        The metric of each.
    difference, low, high
        `value` minus `other_value`, and the ends of its paired bootstrap interval.
    published
        The published difference; None where one is not published.
    """

    one: str
    other: str
    question: str
    value: float
    other_value: float
    difference: float
    low: float
    high: float
    published: float | None

    @property
    def order(self) -> int:
        """Return -1 where `one` scatters less, 1 where it scatters more, 0 where the interval holds zero."""
        return -1 if self.high < 0 else 1 if self.low > 0 else 0

    def as_text(self) -> dict:
        """Return the comparison as text: names, values, interval, and words that hold for this outcome."""
        digits = decimals_for((self.high - self.low) / 2)
        verdict = {-1: "scatters less than", 0: "cannot be told apart from", 1: "scatters more than"}[self.order]
        return {
            "pair": [self.one, self.other],
            "one": model_name(self.one),
            "other": model_name(self.other),
            "question": self.question,
            "value": fixed(self.value, digits),
            "other_value": fixed(self.other_value, digits),
            "difference": fixed(self.difference, digits, sign=True),
            "low": fixed(self.low, digits, sign=True),
            "high": fixed(self.high, digits, sign=True),
            "supported": self.order != 0,
            "verdict": verdict,
            "published": "" if self.published is None else fixed(self.published, PUBLISHED_DECIMALS, sign=True),
        }


def compare(scores: Scores, published: Mapping[str, float]) -> list[Comparison]:
    """Answer every question of `QUESTIONS` whose two models there are.

    Parameters
    ----------
    scores
        Scores of an experiment's models.
    published
        The published value of `METRIC` of each model that has one.
    """
    answers = []
    value = scores.value(METRIC)
    place = {model: number for number, model in enumerate(scores.models)}
    for one, other, question in QUESTIONS:
        if one in place and other in place:
            difference, low, high = scores.difference(METRIC, place[one], place[other])
            both = one in published and other in published
            answers.append(
                Comparison(
                    one,
                    other,
                    question,
                    float(value[place[one]]),
                    float(value[place[other]]),
                    difference,
                    low,
                    high,
                    published[one] - published[other] if both else None,
                )
            )
    return answers
