"""A classical method over numbers of labels: a line of a study."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.classical import METHODS, fit_method, predict_method
from astromae.classical.fit import PACKAGES, measure_galaxies
from astromae.classical.recipe import ClassicalRecipe
from astromae.contracts.label_curves import write_label_curve
from astromae.files import write_json
from astromae.settings.studies import label_counts
from astromae.training.fingerprint import fingerprint
from astromae.training.provenance import Cost, provenance
from astromae.training.subsets import labelled_order


def classical_curve(
    catalog: Path,
    split: Path,
    recipe: ClassicalRecipe,
    labels: Sequence[float],
    seed: int,
    predictions: Path,
    record: Path,
    stamps: Sequence[Path] = (),
) -> None:
    """Fit a classical method to each number of labels, and write its predictions.

    Parameters
    ----------
    catalog, split
        Catalogue and split of the study.
    recipe
        Which method and task; its `experiment` is the study.
    labels
        Fractions of the train subset that have labels.
    seed
        Seed of the method, and of which galaxies have labels (`astromae.training.subsets.labelled_order`).
    predictions, record
        Files to write: a label curve (`astromae.contracts.label_curves`) and where it comes from.
    stamps
        Shards, for a method that measures stamps.

    Raises
    ------
    InputError
        As `astromae.classical.fit.fit_classical`.
    """
    cost, method = Cost(), METHODS[recipe.model]
    measured = measure_galaxies(catalog, split, recipe, stamps)
    order = labelled_order(measured.targets, seed)
    frames = []
    for count in label_counts(len(order), labels):
        chosen = np.sort(order[:count])
        fitted = fit_method(method, measured.task, measured.inputs[chosen], measured.targets[chosen], seed)
        table = measured.predicted(predict_method(method, measured.task, fitted, measured.known))
        frames.append(table[table.subset == "test"].assign(n_labels=count))
    about = {"study": recipe.experiment, "objective": recipe.model, "network": "", "frozen": False, "task": recipe.task}
    hashes = fingerprint("classical-curve", recipe, seed, measured.inputs, measured.targets)
    write_label_curve(predictions, pd.concat(frames), about, seed)
    write_json(record, provenance(recipe.as_json(), seed, hashes, len(order), cost, PACKAGES))
