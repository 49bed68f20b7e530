"""The mean label of the nearest training galaxies, the simplest that colours can do."""

from collections.abc import Mapping

import numpy as np

from astromae.classical import Distributions, Method
from astromae.classical.colours import magnitude_and_colours
from astromae.classical.neighbours import keep_galaxies, nearest
from astromae.evaluation.densities import normal_masses

#: Neighbours of a galaxy.
NEIGHBOURS = 10

#: Neighbours whose labels make a distribution: of ten the width would be a guess.
SPREAD_OVER = 40


def predict_means(fitted: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Return the mean labels (m, targets) of the neighbours of galaxies with inputs (m, k)."""
    return np.concatenate([labels.mean(axis=1) for _, labels in nearest(fitted, inputs, NEIGHBOURS)])


def predict_kernels(fitted: Mapping[str, np.ndarray], inputs: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the masses of a kernel density of the neighbours' labels.

    The width of its kernels is by Scott's rule (1992). Labels are drawn together by as much as kernels widen: the
    density is as wide as the labels are (Jones 1991).
    """
    masses = []
    for _, labels in nearest(fitted, inputs, SPREAD_OVER):
        values = labels[..., 0]
        bandwidth, mean = values.shape[1] ** -0.2, values.mean(axis=1, keepdims=True)
        shrunk = 1 / np.sqrt(1 + bandwidth**2)
        # A single label has no spread: `normal_masses` gives it half a bin.
        spread = values.std(axis=1, ddof=min(1, values.shape[1] - 1), keepdims=True)
        width = spread * bandwidth * shrunk
        centres = mean + (values - mean) * shrunk
        masses.append(normal_masses(edges, centres, np.broadcast_to(width, centres.shape)).mean(axis=1))
    return np.concatenate(masses)


METHOD = Method(
    magnitude_and_colours,
    keep_galaxies,
    predict_means,
    settings={"neighbours": NEIGHBOURS},
    distributions=Distributions(keep_galaxies, predict_kernels, {"neighbours": SPREAD_OVER}),
)
