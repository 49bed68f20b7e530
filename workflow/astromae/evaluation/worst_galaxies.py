"""Which test galaxies a model mistakes most, with their stamps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.evaluation.predictions import read_predictions
from astromae.evaluation.representatives import validation_scatter
from astromae.evaluation.samples import write_sample
from astromae.tasks.redshift import normalised_error

#: Galaxies that are taken.
TAKEN = 12


def choose_worst(predictions: Sequence[Path]) -> tuple[str, pd.DataFrame]:
    """Return the model that scatters least on validation galaxies, and the test galaxies that it mistakes most.

    Parameters
    ----------
    predictions
        Predictions of the models to choose from, of one experiment.

    Returns
    -------
    tuple
        The model's name; and objid, z_spec and z_pred (the mean over seeds) of `TAKEN` galaxies, by
        descending abs(dz).
    """
    scatter = validation_scatter(predictions)
    best = min(scatter, key=scatter.get)
    test = read_predictions(predictions)
    z_pred = next(model.z_pred for model in test.models if model.model == best).mean(axis=0)
    order = np.argsort(-np.abs(normalised_error(test.z_spec, z_pred)), kind="stable")[:TAKEN]
    return best, pd.DataFrame({"objid": test.objid[order], "z_spec": test.z_spec[order], "z_pred": z_pred[order]})


def sample_worst(predictions: Sequence[Path], stamps: Sequence[Path], output: Path) -> None:
    """Write the sample of the galaxies that the best of some models mistakes most; see `choose_worst`.

    Parameters
    ----------
    predictions
        Predictions of the models to choose from, of one experiment.
    stamps
        Shards that hold the stamps.
    output
        Sample to write (`astromae.evaluation.samples`); it is about its ``model``.

    Raises
    ------
    InputError
        If a file cannot be read, or the shards lack a galaxy.
    """
    model, galaxies = choose_worst(predictions)
    write_sample(output, galaxies, stamps, {"model": model})
