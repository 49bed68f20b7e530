"""Which galaxies stand for a survey: a few, over its whole range of redshift."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.catalog import read_catalog
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.evaluation.samples import write_sample

#: Galaxies that are shown, one of each of as many equal parts of the catalogue by redshift.
SHOWN = 6

#: Of each part the galaxy at this quantile of r magnitude is shown: brighter than usual, not the brightest.
BRIGHTNESS_QUANTILE = 0.15


def choose_examples(catalog: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the galaxies to show, by ascending redshift; see `SHOWN` and `BRIGHTNESS_QUANTILE`."""
    ordered = catalog.sort_values(["z", "objid"], ignore_index=True)
    parts = np.array_split(np.arange(len(ordered)), min(SHOWN, len(ordered)))
    chosen = []
    for part in parts:
        by_magnitude = ordered.iloc[part].sort_values(["mag_r", "objid"])
        chosen.append(by_magnitude.index[int(BRIGHTNESS_QUANTILE * len(part))])
    return ordered.loc[chosen]


def sample_examples(catalog: Path, stamps: Sequence[Path], output: Path) -> None:
    """Write the sample of example galaxies: objid, z, mag_r and stamps.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    stamps
        Shards that hold their stamps.
    output
        Sample to write (`astromae.evaluation.samples`).

    Raises
    ------
    InputError
        If a file cannot be read or no galaxy has a stamp.
    """
    table = read_catalog(catalog, ["objid", "z", "mag_r"]).dropna()
    table = table[table["objid"].isin(StampSet(stamps).objid)]
    if table.empty:
        raise InputError(f"{catalog}: none of its galaxies has a stamp in the {len(stamps)} shards")
    write_sample(output, choose_examples(table), stamps)
