"""Simulated stamps held against real ones: the same measurements of both, at the same magnitudes.

realism.csv, beside this file, holds what `astromae realism` measured on 27 stamps of genuine SDSS galaxies from all
over the survey: numbers, no pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.constants import BANDS, STAMP_SIZE
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.evaluation.appearance import STATISTICS, measure
from astromae.figures.samples import read_sample, write_sample
from astromae.files import atomic_path, write_text
from astromae.tables.formatting import fixed

#: Measurements of the real stamps.
REAL = Path(__file__).with_suffix(".csv")

#: Simulated stamps that are measured, and for each real one those of nearest magnitude that stand beside it.
MEASURED, MATCHED = 600, 3

#: Real stamps whose central object is fainter in r have no counterpart among galaxies of the Main Galaxy Sample.
FAINTEST = 18.2

#: Quantiles that a table gives of each measurement.
QUANTILES = {"low": 0.16, "median": 0.5, "high": 0.84}

#: Shape of a real stamp: bands, rows, columns.
_SHAPE = (len(BANDS), STAMP_SIZE, STAMP_SIZE)

_NAMES = {
    "mag_r": "r magnitude",
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "neighbour_flux": "flux of neighbours / galaxy",
    **{f"noise_{band}": f"sky noise in {band}, nanomaggies" for band in "ugriz"},
}


def read_real_stamps(folder: Path) -> np.ndarray:
    """Read the stamps of a folder: every ``*.npy`` in the order of names, shape (64, 64, 5) or (5, 64, 64).

    Raises
    ------
    InputError
        If there is none, or one has another shape.
    """
    paths = sorted(Path(folder).glob("*.npy"))
    if not paths:
        raise InputError(f"{folder}: holds no stamps; it should hold .npy files of 64 x 64 pixels in u, g, r, i, z")
    images = []
    for path in paths:
        try:
            image = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable .npy file ({error})") from error
        if image.shape == _SHAPE[1:] + _SHAPE[:1]:
            image = np.moveaxis(image, -1, 0)
        if image.shape != _SHAPE:
            raise InputError(f"{path}: its shape is {image.shape}; use (64, 64, 5) or (5, 64, 64)")
        images.append(image)
    return np.stack(images)


def write_measurements(folder: Path, output: Path) -> None:
    """Measure the stamps of a folder and write the measurements as CSV, one row a stamp."""
    table = pd.DataFrame([measure(image) for image in read_real_stamps(folder)], columns=list(STATISTICS))
    with atomic_path(output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g", lineterminator="\n")


def real_measurements() -> pd.DataFrame:
    """Return the measurements of the real stamps that are as bright as the survey's galaxies (`FAINTEST`)."""
    table = pd.read_csv(REAL)
    return table[table["mag_r"] <= FAINTEST]


def match(real: pd.DataFrame, simulated: pd.DataFrame) -> np.ndarray:
    """Return the rows of simulated stamps that stand for the real ones: `MATCHED` of nearest r for each, none twice."""
    free = simulated["mag_r"].to_numpy(copy=True)
    chosen = []
    for magnitude in real["mag_r"].sort_values():
        distance = np.abs(free - magnitude)
        nearest = np.argsort(distance, kind="stable")[:MATCHED]
        nearest = nearest[np.isfinite(distance[nearest])]
        chosen += nearest.tolist()
        free[nearest] = np.nan
    return np.array(chosen, dtype=int)


def sample_realism(stamps: Sequence[Path], output: Path) -> None:
    """Write the sample of simulated stamps whose r magnitudes are those of the real ones, with their measurements.

    Parameters
    ----------
    stamps
        Shards of the survey, of which `MEASURED` stamps are measured, evenly spread over runs and camera columns.
    output
        Sample to write (`astromae.figures.samples`).
    """
    survey = StampSet(stamps)
    objid = np.sort(survey.objid)
    objid = objid[np.linspace(0, len(objid) - 1, min(MEASURED, len(objid))).astype(int)]
    measured = pd.DataFrame([measure(image) for image in survey.read(objid)], columns=list(STATISTICS))
    measured.insert(0, "objid", objid)
    write_sample(output, measured.iloc[match(real_measurements(), measured)], stamps)


def realism_table(sample: Path) -> pd.DataFrame:
    """Return quantiles of each measurement of real and of simulated stamps, one row a measurement."""
    rows = []
    tables = {"real": real_measurements(), "simulated": read_sample(sample).galaxies}
    for statistic in STATISTICS:
        row = {"statistic": statistic}
        for kind, table in tables.items():
            if statistic not in table:
                raise InputError(f"{sample}: a sample without {statistic}; make it with the rule `sample`")
            row |= {f"{kind}_{name}": table[statistic].quantile(share) for name, share in QUANTILES.items()}
            row[f"{kind}_stamps"] = int(table[statistic].notna().sum())
        rows.append(row)
    return pd.DataFrame(rows)


def write_realism_table(sample: Path, csv: Path, tex: Path) -> None:
    """Write `realism_table` as CSV and for LaTeX."""
    table = realism_table(sample)
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.3g", lineterminator="\n")
    lines = [r"\begin{tabular}{lrr}", r"\toprule", r" & real & simulated \\", r"\midrule"]
    for row in table.to_dict("records"):
        cells = [
            f"{fixed(row[f'{kind}_median'], 3)} ({fixed(row[f'{kind}_low'], 3)} to {fixed(row[f'{kind}_high'], 3)})"
            for kind in ("real", "simulated")
        ]
        lines.append(" & ".join([_NAMES[row["statistic"]], *cells]) + r" \\")
    write_text(tex, "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""]))
