"""The table of the metrics that users of RAIL know, beside those of SDSS papers in tables IV and V."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from astromae.contracts.predictions import Predictions, read_predictions
from astromae.evaluation.scores import score
from astromae.settings.evaluation import Evaluation
from astromae.tables.formatting import GALAXIES, short
from astromae.tables.names import model_name
from astromae.tables.plain import write_plain_table
from astromae.tasks import task_of
from astromae.tasks.redshift import RAIL_METRICS, rail_metrics


def rail_table(predictions: Predictions, settings: Evaluation) -> pd.DataFrame:
    """Return a row for each model of an experiment.

    Returns
    -------
    DataFrame
        model, n_test, n_seeds, and of each of `astromae.tasks.redshift.RAIL_METRICS` the mean over seeds and the ends
        of its interval, ``_low`` and ``_high``.
    """
    task = replace(
        task_of(predictions.task),
        metrics=RAIL_METRICS,
        measure=lambda columns, outlier_threshold: rail_metrics(columns["z_spec"], columns["z_pred"]),
    )
    scores = score(predictions, settings, task)
    columns: dict[str, object] = {
        "model": list(scores.models),
        "n_test": len(predictions.objid),
        "n_seeds": [len(model.seeds) for model in predictions.models],
    }
    for metric in RAIL_METRICS:
        low, high = scores.limits(metric)
        columns |= {metric: scores.value(metric), f"{metric}_low": low, f"{metric}_high": high}
    return pd.DataFrame(columns)


def write_rail_table(predictions: Sequence[Path], settings: Evaluation, csv: Path, tex: Path) -> None:
    """Write `rail_table` of an experiment's predictions as CSV, and for LaTeX.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    table = rail_table(read_predictions(predictions, settings.subset), settings)
    heads = [metric.printed.replace("σ", r"$\sigma$") for metric in RAIL_METRICS.values()]
    rows = [
        [model_name(row["model"]), *(short(row[metric], tex=True) for metric in RAIL_METRICS)]
        for row in table.to_dict("records")
    ]
    write_plain_table(table, csv, tex, [f"{GALAXIES[settings.subset]}, means over seeds"], heads, [("", rows)])
