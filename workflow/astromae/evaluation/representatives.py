"""Which models stand for the others in figures that cannot show them all."""

from collections.abc import Sequence
from pathlib import Path

from astromae.contracts.predictions import Predictions, read_predictions
from astromae.tasks.redshift import dispersion, normalised_error


def validation_scatter(predictions: Sequence[Path]) -> dict[str, float]:
    """Return each model's NMAD on the validation galaxies, the mean over its seeds.

    A choice by the test galaxies would favour the chosen model in every figure that then shows it on them.

    Parameters
    ----------
    predictions
        Predictions of one experiment.
    """
    validation = read_predictions(predictions, subset="val")
    return {
        model.model: float(dispersion(normalised_error(validation.targets["z_spec"], model.predicted["z_pred"])).mean())
        for model in validation.models
    }


def best_of_groups(test: Predictions, predictions: Sequence[Path]) -> list[str]:
    """Return of each group the model with the least scatter of validation galaxies, in the groups' order.

    Parameters
    ----------
    test
        The experiment's predictions, which say of which group each model is.
    predictions
        The files that they were read from.
    """
    scatter = validation_scatter(predictions)
    best: dict[str, str] = {}
    for model in test.models:
        rival = best.get(model.group)
        if rival is None or scatter[model.model] < scatter[rival]:
            best[model.group] = model.model
    return list(best.values())
