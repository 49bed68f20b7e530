"""Which galaxies the figures show: examples of the survey, the worst predictions, and the magnitudes of test galaxies.

What is drawn of them stands in other files, so that a change of a drawing needs no stamps.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.catalog import column_names, magnitude_bands, read_catalog
from astromae.contracts.predictions import read_predictions
from astromae.contracts.shards import StampSet
from astromae.contracts.splits import read_split
from astromae.errors import InputError
from astromae.evaluation.bands import reference_bands
from astromae.evaluation.representatives import validation_scatter
from astromae.figures.samples import write_sample
from astromae.files import atomic_path
from astromae.tasks.redshift import normalised_error

#: Galaxies that are shown, one of each of as many equal parts of the catalogue by redshift.
EXAMPLES = 6

#: Of each part the galaxy at this quantile of magnitude is shown: brighter than usual, not the brightest.
BRIGHTNESS_QUANTILE = 0.15

#: Test galaxies that are taken, the worst predicted ones.
WORST = 12


def choose_examples(catalog: pd.DataFrame, magnitude: str) -> pd.DataFrame:
    """Return the rows of the galaxies to show, by ascending redshift; see `EXAMPLES` and `BRIGHTNESS_QUANTILE`.

    Parameters
    ----------
    catalog
        Galaxies with objid, z and magnitudes.
    magnitude
        Column of the magnitude that decides.
    """
    ordered = catalog.sort_values(["z", "objid"], ignore_index=True)
    parts = np.array_split(np.arange(len(ordered)), min(EXAMPLES, len(ordered)))
    chosen = []
    for part in parts:
        by_magnitude = ordered.iloc[part].sort_values([magnitude, "objid"])
        chosen.append(by_magnitude.index[int(BRIGHTNESS_QUANTILE * len(part))])
    return ordered.loc[chosen]


def sample_examples(catalog: Path, stamps: Sequence[Path], output: Path) -> None:
    """Write the sample of example galaxies: objid, z, the magnitude in the band that it is about, and stamps.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    stamps
        Shards that hold their stamps.
    output
        Sample to write (`astromae.figures.samples`).

    Raises
    ------
    InputError
        If a file cannot be read or no galaxy has a stamp.
    """
    survey = StampSet(stamps)
    _, band = reference_bands(survey.format.bands)
    table = read_catalog(catalog, ["objid", "z", f"mag_{band}"]).dropna()
    table = table[table["objid"].isin(survey.objid)]
    if table.empty:
        raise InputError(f"{catalog}: none of its galaxies has a stamp in the {len(stamps)} shards")
    write_sample(output, choose_examples(table, f"mag_{band}"), stamps, {"magnitude": band})


def choose_worst(predictions: Sequence[Path]) -> tuple[str, pd.DataFrame]:
    """Return the model that scatters least on validation galaxies, and the test galaxies that it mistakes most.

    Parameters
    ----------
    predictions
        Predictions of the models to choose from, of one experiment.

    Returns
    -------
    tuple
        The model's name; and objid, z_spec and z_pred (the mean over seeds) of `WORST` galaxies, by
        descending abs(dz).
    """
    scatter = validation_scatter(predictions)
    best = min(scatter, key=scatter.get)
    test = read_predictions(predictions)
    z_spec = test.targets["z_spec"]
    z_pred = next(model.predicted["z_pred"] for model in test.models if model.model == best).mean(axis=0)
    order = np.argsort(-np.abs(normalised_error(z_spec, z_pred)), kind="stable")[:WORST]
    return best, pd.DataFrame({"objid": test.objid[order], "z_spec": z_spec[order], "z_pred": z_pred[order]})


def sample_worst(predictions: Sequence[Path], stamps: Sequence[Path], output: Path) -> None:
    """Write the sample of the galaxies that the best of some models mistakes most; see `choose_worst`.

    Parameters
    ----------
    predictions
        Predictions of the models to choose from, of one experiment.
    stamps
        Shards that hold the stamps.
    output
        Sample to write (`astromae.figures.samples`); it is about its ``model``.

    Raises
    ------
    InputError
        If a file cannot be read, or the shards lack a galaxy.
    """
    model, galaxies = choose_worst(predictions)
    write_sample(output, galaxies, stamps, {"model": model})


def write_magnitudes(catalog: Path, split: Path, output: Path) -> None:
    """Write objid and two dereddened magnitudes of an experiment's test galaxies; see `reference_bands`.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    split
        Split of the experiment: objid, subset.
    output
        Table to write (Parquet), by ascending objid.

    Raises
    ------
    InputError
        If a file cannot be read or no test galaxy is in the catalogue.
    """
    subsets = read_split(split)
    bands = reference_bands(magnitude_bands(column_names(catalog)))
    columns = [f"mag_{band}" for band in bands]
    table = read_catalog(catalog, ["objid", *columns])
    table = table[table["objid"].isin(subsets["objid"][subsets["subset"] == "test"])]
    if table.empty:
        raise InputError(f"{catalog}: holds no test galaxy of {split}")
    table = table.sort_values("objid", ignore_index=True).astype(dict.fromkeys(columns, np.float32))
    with atomic_path(output) as temporary:
        table.to_parquet(temporary, index=False)
