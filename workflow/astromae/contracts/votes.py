"""Votes on the shapes of galaxies: the columns of the catalogue that hold them, where a survey has some."""

from collections.abc import Iterable

#: Questions by name, as tables and figures print them. Which Hayat et al. 2021 asked is not published; these are those
#: of Domínguez Sánchez et al. 2018 (MNRAS 476, 3661), whom they follow: a guess.
QUESTIONS = {
    "features": "Features or disc",
    "edgeon": "Edge-on",
    "bar": "Bar",
    "bulge": "Prominent bulge",
    "round": "Completely round",
    "merger": "Merger",
}

_PREFIX = "vote_"


def vote_column(question: str) -> str:
    """Return the catalogue's column of the fraction of votes for yes, from 0 to 1; NaN where nobody was asked."""
    return _PREFIX + question


def voted(columns: Iterable[str]) -> list[str]:
    """Return the questions whose columns are among `columns`, in the order of `QUESTIONS`."""
    given = set(columns)
    return [question for question in QUESTIONS if vote_column(question) in given]
