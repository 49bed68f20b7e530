"""The classical row: histogram gradient boosting on magnitudes, with the networks' training galaxies."""

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


def boost(catalog: Path, split: Path, recipe: dict[str, Any], seed: int, output: Path) -> None:
    """Fit scikit-learn's regressor with its default settings and write predictions, recipe and provenance.

    Its inputs are the r magnitude and the four colours u-g, g-r, r-i, i-z: trees cut along axes, and a
    redshift moves colours.

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
    subsets = pd.read_parquet(split).sort_values("objid")
    table = subsets.merge(pd.read_parquet(catalog), on="objid", validate="one_to_one")
    require_finite(table[table.subset.isin(["train", *EVALUATED])].set_index("objid"), ["z", *MAGNITUDES], catalog)
    magnitudes = table[MAGNITUDES].to_numpy(np.float64)
    inputs = np.column_stack([magnitudes[:, BANDS.index("r")], -np.diff(magnitudes, axis=1)])
    train = (table.subset == "train").to_numpy()
    model = HistGradientBoostingRegressor(random_state=seed).fit(inputs[train], table.z[train])
    evaluated = table.subset.isin(EVALUATED).to_numpy()
    predictions = pd.DataFrame(
        {
            "objid": table.objid[evaluated],
            "z_spec": table.z[evaluated].astype(np.float64),
            "z_pred": model.predict(inputs[evaluated]),
            "subset": table.subset[evaluated],
        }
    )
    write_predictions(output / "predictions.parquet", predictions, recipe, seed, int(train.sum()))
    recipe = {**recipe, "settings": model.get_params()}
    write_json(output / "recipe.json", {"recipe": recipe, "seed": seed, "train_galaxies": int(train.sum())})
    marks = fingerprint("boost", recipe, seed, inputs[train], table.z[train].to_numpy())
    packages = ("scikit-learn", "numpy")
    write_json(output / "provenance.json", provenance(recipe, seed, marks, int(train.sum()), cost, packages))
