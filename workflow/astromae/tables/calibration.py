"""The table of calibration: whether the distributions of each model mean what they say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from astromae.contracts.densities import read_densities
from astromae.evaluation.calibration import calibration, recalibrate
from astromae.evaluation.densities import galaxy_scores
from astromae.settings.evaluation import Evaluation
from astromae.tables.formatting import GALAXIES, short
from astromae.tables.names import model_name
from astromae.tables.plain import write_plain_table
from astromae.tables.reading import read_csv_table

#: Columns of the table that hold numbers, and how they are printed.
PRINTED = {
    "pit_ks": "KS",
    "pit_ks_p": "p",
    "crps": "CRPS",
    "cde_loss": "CDE loss",
    "nll": "NLL",
    "coverage_68": "68 %",
    "coverage_95": "95 %",
    "sharpness": "Sharpness",
}

#: Quantiles of the validation galaxies' PIT that a recalibration goes through at most.
KNOTS = 20

_BESIDES = ("pit_cvm", "pit_ad", "nz_shift", "nz_ks")


def calibration_table(predictions: Sequence[Path], subset: str = "test") -> pd.DataFrame:
    """Judge every model's distributions, as they are and recalibrated on the validation galaxies.

    Parameters
    ----------
    predictions
        Files of predictions of experiments whose tasks have distributions.
    subset
        Galaxies that they are judged by. On validation galaxies nothing is recalibrated: it would judge itself.

    Returns
    -------
    DataFrame
        experiment, model, recalibrated (0 or 1), n_test, n_seeds, and means over seeds of what
        `astromae.evaluation.calibration.calibration` returns; of the p-value the smallest times their number, which is
        below a level no more often than it says.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    rows = []
    for path in predictions:
        given = read_densities(path, subset)
        name = {"experiment": given.experiment, "model": given.model, "seed": given.seed}
        rows.append({**name, "recalibrated": 0, **calibration(given.edges, given.masses, given.target)})
        if subset != "val":
            known = read_densities(path, "val")
            # Ten galaxies to a knot, or the map would follow their noise.
            knots = min(KNOTS, len(known.objid) // 10)
            if knots < 2:
                continue
            mend = recalibrate(galaxy_scores(known.edges, known.masses, known.target)["pit"], knots)
            mended = mend(given.edges, given.masses)
            rows.append({**name, "recalibrated": 1, **calibration(given.edges, mended, given.target)})
    by_seed = pd.DataFrame(rows)
    groups = by_seed.groupby(["experiment", "model", "recalibrated"], sort=False)
    table = groups.mean().drop(columns="seed")
    table["n_seeds"] = groups["seed"].nunique()
    table["pit_ks_p"] = (groups["pit_ks_p"].min() * table["n_seeds"]).clip(upper=1)
    table["n_test"] = table["n_test"].astype(int)
    table = table.reset_index()
    ordered = ["experiment", "model", "recalibrated", "n_test", "n_seeds", *PRINTED, *_BESIDES]
    return table[ordered]


def write_calibration_table(predictions: Sequence[Path], settings: Evaluation, csv: Path, tex: Path) -> None:
    """Write `calibration_table` as CSV and for LaTeX."""
    table = calibration_table(predictions, settings.subset)
    notes = [
        f"{GALAXIES[settings.subset]}, means over seeds; p of the KS test: the smallest times the number of seeds",
        "lines `recalibrated': by the PIT of the validation galaxies",
    ]
    heads = [text.replace("%", r"\%") for text in PRINTED.values()]
    parts = [
        (rf"\emph{{{experiment}}}", [_cells(row) for row in rows.to_dict("records")])
        for experiment, rows in table.groupby("experiment", sort=False)
    ]
    write_plain_table(table, csv, tex, notes, heads, parts)


def _cells(row: Mapping) -> list[str]:
    name = r"\quad recalibrated" if row["recalibrated"] else model_name(row["model"])
    return [name, *(short(row[column], tex=True) for column in PRINTED)]


def read_calibration_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_calibration_table` wrote.

    Raises
    ------
    InputError
        If it cannot be read or lacks a column.
    """
    return read_csv_table(path, ("experiment", "model", "recalibrated", *PRINTED), "table of calibration")
