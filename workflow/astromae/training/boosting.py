"""The classical row: histogram gradient boosting on magnitudes, with the networks' training galaxies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from astromae.constants import BANDS
from astromae.files import write_json
from astromae.training.checkpoint import fingerprint
from astromae.training.predictions import write_predictions
from astromae.training.provenance import Cost, provenance
from astromae.training.subsets import EVALUATED, MAGNITUDES, require_finite


@dataclass(frozen=True)
class Boosting:
    """A fitted regressor, and what it was fitted on: `galaxies` (split and catalogue) where `train` is true."""

    model: HistGradientBoostingRegressor
    galaxies: pd.DataFrame
    train: np.ndarray

    def predict(self, magnitudes: np.ndarray) -> np.ndarray:
        """Predict redshifts (n,) from dereddened magnitudes (n, 5)."""
        return self.model.predict(_inputs(magnitudes))

    def training_inputs(self) -> np.ndarray:
        """Return what the regressor saw of its training galaxies, shape (n, 5)."""
        return _inputs(self.galaxies.loc[self.train, MAGNITUDES].to_numpy(np.float64))


def _inputs(magnitudes: np.ndarray) -> np.ndarray:
    """Return the r magnitude and the colours u-g, g-r, r-i, i-z: trees cut along axes, and a redshift moves colours."""
    return np.column_stack([magnitudes[:, BANDS.index("r")], -np.diff(magnitudes, axis=1)])


def fit_boosting(catalog: Path, split: Path, seed: int) -> Boosting:
    """Fit scikit-learn's regressor with its default settings to the training galaxies of an experiment.

    Parameters
    ----------
    catalog, split
        Catalogue and split of the experiment.
    seed
        Seed of the regressor.

    Raises
    ------
    InputError
        If a galaxy that is learnt from or predicted has no redshift or no magnitudes.
    """
    subsets = pd.read_parquet(split).sort_values("objid")
    table = subsets.merge(pd.read_parquet(catalog), on="objid", validate="one_to_one")
    require_finite(table[table.subset.isin(["train", *EVALUATED])].set_index("objid"), ["z", *MAGNITUDES], catalog)
    train = (table.subset == "train").to_numpy()
    inputs = _inputs(table.loc[train, MAGNITUDES].to_numpy(np.float64))
    return Boosting(HistGradientBoostingRegressor(random_state=seed).fit(inputs, table.z[train]), table, train)


def boost(catalog: Path, split: Path, recipe: dict[str, Any], seed: int, output: Path) -> None:
    """Fit the classical method and write its predictions, recipe and provenance.

    Parameters
    ----------
    catalog, split
        Catalogue and split of the experiment.
    recipe
        `experiment`, `model` and `group`.
    seed
        Seed of the regressor.
    output
        Folder for predictions.parquet, recipe.json and provenance.json.
    """
    cost = Cost()
    fitted = fit_boosting(catalog, split, seed)
    table, count = fitted.galaxies, int(fitted.train.sum())
    evaluated = table[table.subset.isin(EVALUATED)]
    predictions = pd.DataFrame(
        {
            "objid": evaluated.objid,
            "z_spec": evaluated.z.astype(np.float64),
            "z_pred": fitted.predict(evaluated[MAGNITUDES].to_numpy(np.float64)),
            "subset": evaluated.subset,
        }
    )
    write_predictions(output / "predictions.parquet", predictions, recipe, seed, count)
    recipe = {**recipe, "settings": fitted.model.get_params()}
    write_json(output / "recipe.json", {"recipe": recipe, "seed": seed, "train_galaxies": count})
    marks = fingerprint("boost", recipe, seed, fitted.training_inputs(), table.z[fitted.train].to_numpy())
    packages = ("scikit-learn", "numpy")
    write_json(output / "provenance.json", provenance(recipe, seed, marks, count, cost, packages))
