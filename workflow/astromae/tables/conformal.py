"""The table of conformal intervals: how far from an estimate the redshift may be, without any distribution.

The interval of a galaxy is z_pred ± w (1 + z_pred); w is the quantile of |z - z_pred| / (1 + z_pred) of the validation
galaxies that split conformal prediction takes (Lei et al. 2018). It covers a galaxy of the same kind with at least the
probability that it names, whatever the model is worth; the better model has the shorter one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.predictions import read_predictions
from astromae.evaluation.conformal import LEVELS, conformal_widths
from astromae.settings.evaluation import Evaluation
from astromae.tables.formatting import GALAXIES, short
from astromae.tables.names import model_name
from astromae.tables.plain import write_plain_table


def conformal_table(predictions: Sequence[Path], subset: str = "test") -> pd.DataFrame:
    """Work out the intervals of every model of an experiment that estimates redshifts.

    Parameters
    ----------
    predictions
        All its files of predictions.
    subset
        Galaxies whose coverage is counted.

    Returns
    -------
    DataFrame
        model, n_val, n_test, n_seeds, and for each of `LEVELS` means over seeds of w (``width_68``) and of
        the fraction of galaxies inside (``coverage_68``); both NaN where there are too few validation galaxies, the
        fraction too for these themselves.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    known, judged = read_predictions(predictions, "val"), read_predictions(predictions, subset)
    rows = []
    for own, other in zip(known.models, judged.models, strict=True):
        of_val = [_scores(estimates, known.targets["z_spec"]) for estimates in own.predicted["z_pred"]]
        of_test = [_scores(estimates, judged.targets["z_spec"]) for estimates in other.predicted["z_pred"]]
        row = {"model": own.model, "n_val": len(known.objid), "n_test": len(judged.objid), "n_seeds": len(own.seeds)}
        for level in LEVELS:
            found = [_covered(val, test, level) for val, test in zip(of_val, of_test, strict=True)]
            width, coverage = np.mean(found, axis=0)
            row[f"width_{100 * level:.0f}"] = width
            row[f"coverage_{100 * level:.0f}"] = np.nan if subset == "val" else coverage
        rows.append(row)
    return pd.DataFrame(rows)


def _scores(estimates: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.abs(z - estimates) / (1 + estimates)


def _covered(known: np.ndarray, judged: np.ndarray, level: float) -> tuple[float, float]:
    try:
        (width,) = conformal_widths(known, [level])
    except ValueError:
        return np.nan, np.nan
    return width, float(np.mean(judged <= width))


def write_conformal_table(predictions: Sequence[Path], settings: Evaluation, csv: Path, tex: Path) -> None:
    """Write `conformal_table` as CSV, and for LaTeX.

    Parameters
    ----------
    predictions
        As in `conformal_table`.
    settings
        The section ``evaluation``.
    csv, tex
        Files to write.
    """
    table = conformal_table(predictions, settings.subset)
    columns = [name for name in table if name.startswith(("width", "coverage"))]
    rows = [
        [model_name(row["model"]), *(short(row[column], tex=True) for column in columns)]
        for row in table.to_dict("records")
    ]
    notes = [f"{GALAXIES[settings.subset]}, means over seeds; widths of half an interval over 1 + z"]
    heads = [name.replace("_", " ") + r"~\%" for name in columns]
    write_plain_table(table, csv, tex, notes, heads, [("", rows)])
