"""The classical row: histogram gradient boosting on magnitudes, with the networks' training galaxies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from astromae.contracts.catalog import magnitude_columns, read_catalog
from astromae.contracts.predictions import write_predictions
from astromae.contracts.splits import read_split
from astromae.tasks import TASKS
from astromae.training.checkpoint import fingerprint
from astromae.training.folders import write_folder
from astromae.training.provenance import Cost, provenance
from astromae.training.recipes import BoostingRecipe
from astromae.training.subsets import EVALUATED, require_finite

#: What is kept of the nodes of all trees: the split of an inner node and where its branches lead, the value of a leaf.
NODES = ("feature_idx", "num_threshold", "left", "right", "is_leaf", "value")


@dataclass(frozen=True)
class Trees:
    """Fitted trees of one target: the arrays that say all of them.

    Attributes
    ----------
    baseline
        What the sum over trees begins with.
    roots
        Number of the first node of each tree, shape (trees,).
    nodes
        `NODES` by name, shape (nodes,). ``left`` and ``right`` count from the root of the tree.
    """

    baseline: float
    roots: np.ndarray
    nodes: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, model: HistGradientBoostingRegressor) -> "Trees":
        """Return the trees of a fitted model.

        scikit-learn has no public way to write trees but to pickle them, so its own arrays are read; a test holds
        `predict` against its predictions.
        """
        trees = [predictor.nodes for (predictor,) in model._predictors]
        roots = np.cumsum([0, *map(len, trees)])[:-1]
        joined = np.concatenate(trees)
        nodes = {
            name: np.ascontiguousarray(joined[name]).astype(joined[name].dtype.newbyteorder("=")) for name in NODES
        }
        return cls(float(model._baseline_prediction[0, 0]), roots, nodes)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the prediction (n,) for inputs (n, features), to the last bit that of scikit-learn."""
        nodes, rows = self.nodes, np.arange(len(inputs))
        total = np.full(len(inputs), self.baseline)
        for root in self.roots:
            at = np.full(len(inputs), root)
            while not (leaf := nodes["is_leaf"][at].astype(bool)).all():
                left = inputs[rows, nodes["feature_idx"][at]] <= nodes["num_threshold"][at]
                at = np.where(leaf, at, root + np.where(left, nodes["left"][at], nodes["right"][at]))
            total += nodes["value"][at]
        return total

    def tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the arrays by name, each with a prefix, as safetensors holds them."""
        arrays = {"baseline": np.array([self.baseline]), "roots": self.roots, **self.nodes}
        signed = {name: array.astype(np.int64) if array.dtype.kind == "u" else array for name, array in arrays.items()}
        return {f"{prefix}.{name}": torch.from_numpy(array) for name, array in signed.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], prefix: str) -> "Trees":
        """Return what `tensors` was made of.

        Raises
        ------
        KeyError
            If an array is missing.
        """
        baseline, roots, *nodes = (tensors[f"{prefix}.{name}"].numpy() for name in ("baseline", "roots", *NODES))
        return cls(float(baseline[0]), roots, dict(zip(NODES, nodes, strict=True)))


def tree_inputs(magnitudes: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Return one magnitude (r, or that of the middle band) and the colours of neighbouring bands.

    Trees cut along axes, and a redshift moves colours.
    """
    reference = bands.index("r") if "r" in bands else len(bands) // 2
    return np.column_stack([magnitudes[:, reference], -np.diff(magnitudes, axis=1)])


def catalog_bands(catalog: Path) -> list[str]:
    """Return the bands whose magnitudes a catalogue has, in its order."""
    return [name.removeprefix("mag_") for name in pq.read_schema(catalog).names if name.startswith("mag_")]


def boost(catalog: Path, split: Path, recipe: BoostingRecipe, seed: int, output: Path) -> None:
    """Fit scikit-learn's regressor with its default settings to each target, and write its folder and its predictions.

    Parameters
    ----------
    catalog, split
        Catalogue and split of the experiment.
    recipe
        Which task, and names for the table.
    seed
        Seed of the regressor.
    output
        Folder for predictions.parquet, weights.safetensors (the fitted trees), recipe.json and provenance.json.

    Raises
    ------
    InputError
        If a galaxy that is learnt from or predicted has no label or no magnitudes.
    """
    cost, task, bands = Cost(), TASKS[recipe.task], catalog_bands(catalog)
    labels, magnitudes = list(task.targets), magnitude_columns(bands)
    subsets = read_split(split).sort_values("objid")
    galaxies = read_catalog(catalog, list(dict.fromkeys(["objid", *labels, *magnitudes])))
    table = subsets.merge(galaxies, on="objid", validate="one_to_one")
    train, evaluated = table[table.subset == "train"], table[table.subset.isin(EVALUATED)]
    require_finite(pd.concat([train, evaluated]).set_index("objid"), [*labels, *magnitudes], catalog)
    inputs, known = (tree_inputs(part[magnitudes].to_numpy(np.float64), bands) for part in (train, evaluated))

    models = {name: HistGradientBoostingRegressor(random_state=seed).fit(inputs, train[name]) for name in labels}
    trees = {name: Trees.of(model) for name, model in models.items()}
    predicted = task.predict(np.column_stack([of_target.predict(known) for of_target in trees.values()]))
    columns = {column: evaluated[name].astype(np.float64) for name, column in task.targets.items()}
    columns |= {name: predicted[name] for name in task.columns}
    predictions = pd.DataFrame({"objid": evaluated.objid, **columns, "subset": evaluated.subset})
    settings = next(iter(models.values())).get_params()
    made_by = {
        "recipe": {**recipe.as_json(), "settings": settings},
        "seed": seed,
        "train_galaxies": len(train),
        "bands": bands,
    }
    about = fingerprint("boost", recipe, seed, inputs, *(train[name].to_numpy() for name in labels))
    packages = ("scikit-learn", "numpy")
    record = provenance(made_by["recipe"], seed, about, len(train), cost, packages)
    write_predictions(output / "predictions.parquet", predictions, made_by["recipe"], seed, len(train))
    tensors = {key: tensor for name, part in trees.items() for key, tensor in part.tensors(name).items()}
    write_folder(output, tensors, made_by, record)
