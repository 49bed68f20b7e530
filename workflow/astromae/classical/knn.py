"""The mean label of the nearest training galaxies, the simplest that colours can do."""

from collections.abc import Mapping

import numpy as np

from astromae.classical import Method
from astromae.classical.colours import magnitude_and_colours
from astromae.classical.neighbours import keep_galaxies, nearest

#: Neighbours of a galaxy.
NEIGHBOURS = 10


def predict_means(fitted: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Return the mean labels (m, targets) of the neighbours of galaxies with inputs (m, k)."""
    return np.concatenate([labels.mean(axis=1) for _, labels in nearest(fitted, inputs, NEIGHBOURS)])


METHOD = Method(
    magnitude_and_colours,
    keep_galaxies,
    predict_means,
    settings={"neighbours": NEIGHBOURS},
)
