"""Receiver operating characteristics of the answers to questions on shapes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from astromae.contracts.predictions import read_predictions
from astromae.contracts.votes import QUESTIONS, vote_column
from astromae.evaluation.answers import answer_metrics, decided_answers, roc_curve
from astromae.figures.style import BLACK, COLOURS, ONE_COLUMN, TWO_COLUMNS, drawing, grid_of
from astromae.tables.names import model_name
from astromae.tasks import task_settings
from astromae.tasks.morphology import predicted_column

#: Of lines, in turn, whenever the colours come again.
STYLES = ("-", "--", ":")


def draw_roc(predictions: Sequence[Path], subset: str, pdf: Path, png: Path) -> None:
    """Draw the curve of every model, a panel for each question; of several seeds the first given.

    Parameters
    ----------
    predictions
        Predictions of an experiment whose models answer questions on shapes.
    subset
        Galaxies that are shown, ``test`` or ``val``.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    data = read_predictions(predictions, subset)
    asked = task_settings(data.task)
    columns = min(2, len(asked.questions))
    rows = -(-len(asked.questions) // columns)
    with drawing(pdf, png, TWO_COLUMNS if columns > 1 else ONE_COLUMN, 0.5 + rows * 2.6) as figure:
        panels, _ = grid_of(figure, len(asked.questions), columns)
        for axes, question in zip(panels, asked.questions, strict=True):
            fraction = data.targets[vote_column(question)]
            yes, no = decided_answers(fraction, asked.decided)
            axes.plot([0, 1], [0, 1], color=BLACK, lw=0.5)
            for number, model in enumerate(data.models):
                predicted = model.predicted[predicted_column(question)][0]
                area = float(answer_metrics(fraction, predicted, asked.decided)["roc_auc"])
                style = {"color": COLOURS[number % len(COLOURS)], "ls": STYLES[number // len(COLOURS) % len(STYLES)]}
                label = f"{model_name(model.model)}, {area:.3f}" if np.isfinite(area) else model_name(model.model)
                axes.plot(*roc_curve(fraction, predicted, asked.decided), lw=1.1, label=label, **style)
            axes.set_title(f"{QUESTIONS[question]}: {yes.sum()} yes, {no.sum()} no", pad=3)
            axes.set(xlim=(0, 1), ylim=(0, 1.005))
            axes.legend(loc="lower right", fontsize=6, title="area", title_fontsize=6)
        figure.supxlabel("of the no, fraction taken for yes", fontsize=8)
        figure.supylabel("of the yes, fraction found", fontsize=8)
