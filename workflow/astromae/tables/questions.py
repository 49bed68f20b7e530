"""The table of answers to the questions on shapes: of each question and model the metrics with their intervals."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from astromae.contracts.predictions import Predictions, read_predictions
from astromae.contracts.votes import QUESTIONS, vote_column
from astromae.evaluation.answers import answer_metrics, decided_answers
from astromae.evaluation.scores import score
from astromae.settings.evaluation import Evaluation
from astromae.tables.formatting import GALAXIES, short
from astromae.tables.names import model_name
from astromae.tables.plain import write_plain_table
from astromae.tasks import task_of, task_settings
from astromae.tasks.morphology import METRICS, predicted_column


def questions_table(predictions: Predictions, settings: Evaluation) -> pd.DataFrame:
    """Return a row for each question and model of an experiment.

    Returns
    -------
    DataFrame
        question, model, n_yes and n_no (galaxies whose votes decide it), n_seeds, and of each of
        `astromae.tasks.morphology.METRICS` the mean over seeds and the ends of its interval, ``_low`` and ``_high``.
    """
    asked, task, rows = task_settings(predictions.task), task_of(predictions.task), []
    for question in asked.questions:
        fraction, column = vote_column(question), predicted_column(question)
        yes, no = decided_answers(predictions.targets[fraction], asked.decided)
        own = replace(
            task,
            columns=(column,),
            measure=lambda given, outlier_threshold, fraction=fraction, column=column: answer_metrics(
                given[fraction], given[column], asked.decided
            ),
        )
        scores = score(predictions, settings, own)
        limits = {metric: scores.limits(metric) for metric in METRICS}
        for number, model in enumerate(predictions.models):
            row = {"question": question, "model": model.model, "n_yes": int(yes.sum()), "n_no": int(no.sum())}
            row["n_seeds"] = len(model.seeds)
            for metric, (low, high) in limits.items():
                row |= {metric: scores.value(metric)[number], f"{metric}_low": low[number]}
                row[f"{metric}_high"] = high[number]
            rows.append(row)
    return pd.DataFrame(rows)


def write_questions_table(predictions: Sequence[Path], settings: Evaluation, csv: Path, tex: Path) -> None:
    """Write `questions_table` of an experiment's predictions as CSV, and for LaTeX.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    table = questions_table(read_predictions(predictions, settings.subset), settings)
    parts = []
    for question, of_question in table.groupby("question", sort=False):
        counts = f"{of_question['n_yes'].iloc[0]} yes, {of_question['n_no'].iloc[0]} no"
        rows = [
            [model_name(row["model"]), *(short(row[metric], tex=True) for metric in METRICS)]
            for row in of_question.to_dict("records")
        ]
        parts.append((rf"\emph{{{QUESTIONS[question]}}}, {counts}", rows))
    notes = [f"{GALAXIES[settings.subset]} whose votes decide the question, means over seeds"]
    write_plain_table(table, csv, tex, notes, [metric.printed for metric in METRICS.values()], parts)
