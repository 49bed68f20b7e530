"""Which of two models is better, judged only where seeds and the same test galaxies support it."""

from collections.abc import Mapping
from dataclasses import dataclass

from astromae.evaluation.scores import Scores
from astromae.tables.formatting import PUBLISHED_DECIMALS, decimals_for, fixed
from astromae.tables.names import model_name
from astromae.tasks import Metric
from astromae.tasks.redshift import METRICS

#: The questions that the two tables ask, as pairs of models: what does the first have that helps?
QUESTIONS = (
    ("pcm-astromae", "henghes", "a frozen pcm encoder"),
    ("plain-astromae", "henghes", "a frozen plain encoder"),
    ("pcm-astromae", "plain-astromae", "pcm in AstroMAE's frozen encoder"),
    ("pcm-vit", "plain-vit", "pcm in a frozen encoder alone"),
    ("scratch-pcm-vit", "scratch-plain-vit", "pcm in an encoder from scratch"),
    ("plain-vit", "scratch-plain-vit", "pretraining and freezing"),
    ("pcm-vit", "scratch-pcm-vit", "pretraining and freezing, with pcm"),
    ("plain-vit", "random-plain-vit", "pretraining of a frozen encoder"),
    ("pcm-vit", "random-pcm-vit", "pretraining of a frozen encoder, with pcm"),
    ("pcm-astromae", "random-pcm-astromae", "pretraining of AstroMAE's frozen encoder"),
    ("inception-only", "plain-vit", "Inception for a frozen encoder"),
    ("inception-only", "hgb-apertures", "a network on pixels instead of aperture fluxes"),
    ("pcm-astromae", "local-linear", "images, beside magnitudes"),
    ("henghes", "local-linear", "images, beside magnitudes"),
)

#: Compared metric: the paper's own measure of scatter (equation 8).
METRIC = "precision"


@dataclass(frozen=True)
class Comparison:
    """One model against another on the same galaxies, with the same seeds.

    Attributes
    ----------
    one, other
        The models.
    question
        What `one` has and `other` has not.
    value, other_value
        The metric of each.
    difference, low, high
        `value` minus `other_value`, and the ends of the interval of this difference alone.
    judged
        Whether the two can be told apart at all, which needs several seeds.
    supported
        Whether they are told apart, all questions of the experiment taken together.
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
    judged: bool
    supported: bool
    published: float | None

    @property
    def verdict(self) -> str:
        """Return in words what was found."""
        if not self.judged:
            return "not judged"
        if not self.supported:
            return "cannot be told apart from"
        return "scatters less than" if self.difference < 0 else "scatters more than"

    def as_text(self) -> dict:
        """Return the comparison as text: names, values, interval, and words that hold for this outcome."""
        digits = decimals_for((self.high - self.low) / 2)
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
            "judged": self.judged,
            "supported": self.supported,
            "verdict": self.verdict,
            "published": "" if self.published is None else fixed(self.published, PUBLISHED_DECIMALS, sign=True),
        }


def comparable(metrics: Mapping[str, Metric]) -> bool:
    """Return whether a task has the compared metric; another one may call something else by its name."""
    return metrics.get(METRIC) == METRICS[METRIC]


def compare(scores: Scores, published: Mapping[str, float]) -> list[Comparison]:
    """Answer every question of `QUESTIONS` whose two models there are, all of them together (`Scores.supported`).

    Parameters
    ----------
    scores
        Scores of an experiment's models.
    published
        The published value of `METRIC` of each model that has one.
    """
    place = {model: number for number, model in enumerate(scores.models)}
    asked = [question for question in QUESTIONS if question[0] in place and question[1] in place]
    if not asked or not comparable(scores.metrics):
        return []
    pairs = [(place[one], place[other]) for one, other, _ in asked]
    value = scores.value(METRIC)
    differences = scores.differences(METRIC, pairs)
    low, high = differences.limits(scores.interval)
    told_apart = scores.supported(METRIC, pairs)
    return [
        Comparison(
            one,
            other,
            question,
            float(value[place[one]]),
            float(value[place[other]]),
            float(differences.value[number]),
            float(low[number]),
            float(high[number]),
            scores.judged(*pairs[number]),
            bool(told_apart[number]),
            published[one] - published[other] if one in published and other in published else None,
        )
        for number, (one, other, question) in enumerate(asked)
    ]
