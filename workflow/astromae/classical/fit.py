"""A classical method, fitted to the labels that the networks learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.classical import METHODS, fit_method, predict_method, settings_of
from astromae.classical.recipe import ClassicalRecipe
from astromae.contracts.catalog import column_names, magnitude_bands, magnitude_columns, read_catalog
from astromae.contracts.predictions import write_predictions, written_columns
from astromae.contracts.shards import READ_BLOCK, StampSet
from astromae.contracts.splits import read_split
from astromae.familiarity.seen import MEASURED, training_ranges
from astromae.photometry_checks import check_finite
from astromae.tasks import Task, task_of
from astromae.training.fingerprint import fingerprint
from astromae.training.folders import write_folder
from astromae.training.provenance import Cost, provenance
from astromae.training.subsets import EVALUATED, labelled_galaxies, require_finite, require_labels

#: Packages that decide a method's numbers.
PACKAGES = ("scikit-learn", "scipy", "numpy")


@dataclass(frozen=True)
class Measured:
    """Galaxies as a classical method reads them.

    Attributes
    ----------
    task
        What is predicted.
    bands
        Names of the bands.
    inputs, targets
        Of the training galaxies, by ascending object id: what the method measures (n, k), and labels (n, targets).
    evaluated
        The evaluated galaxies: objid, labels and subset.
    known
        What the method measures of them, (m, k).
    """

    task: Task
    bands: list[str]
    inputs: np.ndarray
    targets: np.ndarray
    evaluated: pd.DataFrame
    known: np.ndarray

    def predicted(self, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Return the table of predictions of the evaluated galaxies, from what is predicted, by column."""
        columns = {column: self.evaluated[name].astype(np.float64) for name, column in self.task.targets.items()}
        columns |= {name: list(values[name]) for name in written_columns(self.task)}
        return pd.DataFrame({"objid": self.evaluated.objid, **columns, "subset": self.evaluated.subset})


def measure_galaxies(catalog: Path, split: Path, recipe: ClassicalRecipe, stamps: Sequence[Path] = ()) -> Measured:
    """Measure training and evaluated galaxies; parameters and errors as of `fit_classical`."""
    task, method = task_of(recipe.task), METHODS[recipe.model]
    shards = StampSet(stamps) if method.stamps else None
    bands = list(shards.bands) if shards else magnitude_bands(column_names(catalog))
    labels, magnitudes = list(task.targets), [] if shards else magnitude_columns(bands)
    subsets = read_split(split).sort_values("objid")
    galaxies = read_catalog(catalog, list(dict.fromkeys(["objid", *labels, *magnitudes])))
    table = subsets.merge(galaxies, on="objid", validate="one_to_one")
    train, evaluated = table[table.subset == "train"], table[table.subset.isin(EVALUATED)]
    for _, part in table[table.subset.isin(["train", *EVALUATED])].groupby("subset"):
        require_labels(part.set_index("objid"), task, catalog)
        require_finite(part.set_index("objid"), magnitudes, catalog)

    def measure(part: pd.DataFrame) -> np.ndarray:
        if shards is None:
            return method.measure(np.ascontiguousarray(part[magnitudes], np.float64), bands)
        measured = []
        for start in range(0, len(part), READ_BLOCK):
            objid = part.objid.to_numpy(np.int64)[start : start + READ_BLOCK]
            images = shards.read(objid, recipe.crop)
            check_finite(images, objid)
            measured.append(method.measure(images.astype(np.float32), bands))
        return np.concatenate(measured)

    targets = np.array(train[labels], np.float64, order="C")
    return Measured(task, bands, measure(train), targets, evaluated, measure(evaluated))


def ranges_of_training(
    catalog: Path, split: Path, recipe: ClassicalRecipe, stamps: Sequence[Path] = ()
) -> dict[str, tuple[float, float]]:
    """Return the ranges of what the training galaxies are like, by which answers are flagged.

    They are those of the stamps, where the method reads stamps, and of the magnitudes, where the catalogue has those of
    all bands (`astromae.familiarity.seen`). Parameters are as of `fit_classical`.
    """
    subsets = read_split(split)
    objid = np.sort(subsets.objid[subsets.subset == "train"].to_numpy())
    shards = StampSet(stamps) if METHODS[recipe.model].stamps else None
    known = magnitude_bands(column_names(catalog))
    bands = list(shards.bands) if shards else known
    magnitudes = np.full((len(objid), len(bands)), np.nan)
    if set(bands) <= set(known):
        columns = magnitude_columns(bands)
        magnitudes = (
            read_catalog(catalog, ["objid", *columns]).set_index("objid").loc[objid, columns].to_numpy(np.float64)
        )
    if not shards:
        return training_ranges(bands, magnitudes)
    step = -(-len(objid) // MEASURED)
    return training_ranges(bands, magnitudes, shards.read(objid[::step], recipe.crop), magnitudes[::step])


def fit_classical(
    catalog: Path, split: Path, recipe: ClassicalRecipe, seed: int, output: Path, stamps: Sequence[Path] = ()
) -> None:
    """Fit a classical method to the training galaxies, and write its folder and its predictions.

    Parameters
    ----------
    catalog, split
        Catalogue and split of the experiment.
    recipe
        Which method and task, and names for the table.
    seed
        Seed of the method, which need not use it.
    output
        Folder for predictions.parquet, weights.safetensors (what it has fitted), recipe.json (with the ranges of what
        its training galaxies are like) and provenance.json.
    stamps
        Shards, for a method that measures stamps.

    Raises
    ------
    InputError
        If a galaxy that is learnt from or predicted has no label, or lacks magnitudes or a stamp where they are read.
    """
    cost, method = Cost(), METHODS[recipe.model]
    measured = measure_galaxies(catalog, split, recipe, stamps)
    fitted = fit_method(method, measured.task, measured.inputs, measured.targets, seed)
    predictions = measured.predicted(predict_method(method, measured.task, fitted, measured.known))
    count = labelled_galaxies(measured.targets)
    described = {
        "recipe": {**recipe.as_json(), "settings": settings_of(method, measured.task)},
        "fitted": sorted(fitted),
        "seed": seed,
        "train_galaxies": count,
        "bands": measured.bands,
        "seen": ranges_of_training(catalog, split, recipe, stamps),
    }
    hashes = fingerprint("classical", recipe, seed, measured.inputs, measured.targets)
    record = provenance(described["recipe"], seed, hashes, count, cost, PACKAGES)
    write_predictions(output / "predictions.parquet", predictions, described["recipe"], seed, count)
    write_folder(output, {name: np.ascontiguousarray(array) for name, array in fitted.items()}, described, record)
