"""Trees that are read from a file end."""

import numpy as np
import pytest
from astromae.classical.boosted_trees import Trees, fit_trees
from astromae.errors import InputError


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 3))
    return fit_trees(inputs, inputs[:, :1] ** 2, 0)


def prefix_of(arrays):
    return next(name for name in arrays if name.endswith(".roots")).removesuffix(".roots")


def test_fitted_trees_are_read(arrays):
    prefix = prefix_of(arrays)
    trees = Trees.from_arrays(arrays, prefix)
    assert np.isfinite(trees.predict(np.zeros((2, 3)))).all()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("target", [0, 10**6])
def test_branches_that_lead_back_or_away_are_refused(arrays, side, target):
    prefix = prefix_of(arrays)
    changed = dict(arrays)
    name = f"{prefix}.{side}"
    changed[name] = changed[name].copy()
    changed[name][0] = target
    with pytest.raises(InputError, match="branches lead nowhere"):
        Trees.from_arrays(changed, prefix)
