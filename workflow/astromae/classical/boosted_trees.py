"""Histogram gradient boosting: scikit-learn fits the trees, and arrays that any machine can read hold them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astromae.classical import Distributions
from astromae.errors import InputError
from astromae.evaluation.densities import masses_of_quantiles

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

#: The default values of scikit-learn 1.9. With ``auto`` a tenth of more than 10,000 galaxies decides when to stop.
SETTINGS = {
    "learning_rate": 0.1,
    "max_iter": 100,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 20,
    "early_stopping": "auto",
}

#: Quantiles that trees are fitted to for a distribution. With as many iterations as a mean has, the outer ones come too
#: near: of 3,000 galaxies 91 % were between what should hold 95.
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
QUANTILE_ITERATIONS = 50

#: Training galaxies of a leaf that are expected beyond its quantile, at least: fewer would not say where it is.
BEYOND_QUANTILE = 10

#: What is kept of the nodes of all trees, and its type: the split of an inner node and where its branches lead, the
#: value of a leaf.
NODES = {
    "feature_idx": np.int64,
    "num_threshold": np.float64,
    "left": np.int64,
    "right": np.int64,
    "is_leaf": np.uint8,
    "value": np.float64,
}

#: Galaxies on which new trees are held against scikit-learn.
CHECKED = 1000


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
    def of(cls, model: "HistGradientBoostingRegressor") -> "Trees":
        """Return the trees of a fitted model.

        scikit-learn documents the nodes of its other trees, and has no public way to these but a pickle, which only
        its own version reads. Two private attributes are therefore read, here and nowhere else: `fit_trees` stops where
        they no longer give the model's predictions to the last bit.
        """
        trees = [predictor.nodes for (predictor,) in model._predictors]
        roots = np.cumsum([0, *map(len, trees)])[:-1]
        joined = np.concatenate(trees)
        nodes = {name: joined[name].astype(kind) for name, kind in NODES.items()}
        return cls(float(model._baseline_prediction[0, 0]), roots, nodes)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the prediction (n,) for inputs (n, k), to the last bit that of scikit-learn.

        Raises
        ------
        InputError
            If a split is by an input that there is not.
        """
        nodes, rows = self.nodes, np.arange(len(inputs))
        columns = nodes["feature_idx"][~nodes["is_leaf"].astype(bool)]
        if len(columns) and not (columns.min() >= 0 and columns.max() < inputs.shape[1]):
            raise InputError(f"boosted trees that read other inputs than the {inputs.shape[1]} of their method")
        total = np.full(len(inputs), self.baseline)
        for root in self.roots:
            at = np.full(len(inputs), root)
            while not (leaf := nodes["is_leaf"][at].astype(bool)).all():
                left = inputs[rows, nodes["feature_idx"][at]] <= nodes["num_threshold"][at]
                at = np.where(leaf, at, root + np.where(left, nodes["left"][at], nodes["right"][at]))
            total += nodes["value"][at]
        return total

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays by name, each with a prefix."""
        arrays = {"baseline": np.array([self.baseline]), "roots": self.roots, **self.nodes}
        return {f"{prefix}.{name}": array for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> "Trees":
        """Return what `arrays` was made of.

        Raises
        ------
        KeyError
            If an array is missing.
        InputError
            If a branch leads anywhere but down its own tree: the arrays may be anyone's, and would never end.
        """
        baseline, roots, *nodes = (arrays[f"{prefix}.{name}"] for name in ("baseline", "roots", *NODES))
        trees = cls(float(baseline[0]), roots, dict(zip(NODES, nodes, strict=True)))
        trees._require_ends()
        return trees

    def _require_ends(self) -> None:
        leaf = self.nodes["is_leaf"].astype(bool)
        count = len(leaf)
        starts = np.append(self.roots, count)
        whole = len(self.roots) and starts[0] == 0 and (np.diff(starts) > 0).all()
        if whole and all(len(values) == count for values in self.nodes.values()):
            own = np.arange(count) - np.repeat(self.roots, np.diff(starts))
            size = np.repeat(np.diff(starts), np.diff(starts))
            sides = [self.nodes[side].astype(np.int64) for side in ("left", "right")]
            if all(((own < side) & (side < size))[~leaf].all() for side in sides):
                return
        raise InputError("weights of boosted trees whose branches lead nowhere; fit them again, or copy them again")


def fit_trees(inputs: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Fit trees to each target; parameters and result as of `astromae.classical.Method.fit`.

    Raises
    ------
    RuntimeError
        If this version of scikit-learn keeps its trees in another way.
    """
    arrays = {}
    for number, target in enumerate(labels.T):
        arrays |= _fitted(inputs, target, seed).arrays(f"target{number}")
    return arrays


def fit_quantiles(inputs: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Fit trees to each of `LEVELS` of the one target, by the pinball loss; result as of `fit_trees`."""
    arrays = {}
    for number, level in enumerate(LEVELS):
        settings = {"loss": "quantile", "quantile": level, "max_iter": QUANTILE_ITERATIONS}
        settings["min_samples_leaf"] = _least_leaf(level)
        arrays |= _fitted(inputs, labels[:, 0], seed, **settings).arrays(f"target{number}")
    return arrays


def _least_leaf(level: float) -> int:
    return math.ceil(BEYOND_QUANTILE / min(level, 1 - level))


def predict_quantiles(fitted: Mapping[str, np.ndarray], inputs: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the masses of distributions through the quantiles of `fit_quantiles`."""
    return masses_of_quantiles(edges, np.array(LEVELS), predict_trees(fitted, inputs))


def _fitted(inputs: np.ndarray, target: np.ndarray, seed: int, **settings: Any) -> Trees:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    # Several threads would round sums in an order that depends on their number.
    with threadpool_limits(1):
        model = HistGradientBoostingRegressor(**{**SETTINGS, **settings}, random_state=seed).fit(inputs, target)
        expected = model.predict(inputs[:CHECKED])
    trees = Trees.of(model)
    if not np.array_equal(trees.predict(inputs[:CHECKED]), expected):
        raise RuntimeError(
            "this version of scikit-learn keeps its trees in another way; install the one that is locked"
        )
    return trees


def predict_trees(fitted: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Return estimates (m, targets) for inputs (m, k) from what `fit_trees` returned."""
    targets = sum(name.endswith(".baseline") for name in fitted)
    return np.column_stack([Trees.from_arrays(fitted, f"target{number}").predict(inputs) for number in range(targets)])


#: How trees predict distributions.
QUANTILES = Distributions(
    fit_quantiles,
    predict_quantiles,
    {
        "levels": LEVELS,
        "max_iter": QUANTILE_ITERATIONS,
        "min_samples_leaf": [_least_leaf(level) for level in LEVELS],
    },
)
