"""A plane through the nearest training galaxies, as SDSS's own redshifts are estimated.

The 100 training galaxies that are nearest in a magnitude and the colours, each in units of its standard deviation, give
a linear fit; those that deviate from it by more than three times its root mean square are left out, and a second fit
gives the estimate (Beck et al. 2016, MNRAS 460, 1371; the units of the axes, and that the fit is repeated once, are
choices of ours).
"""

from collections.abc import Mapping

import numpy as np

from astromae.classical import Distributions, Method
from astromae.classical.colours import magnitude_and_colours
from astromae.classical.neighbours import keep_galaxies, nearest
from astromae.evaluation.densities import normal_masses

#: Neighbours of a galaxy, and deviation from the plane beyond which one is left out of a second fit.
NEIGHBOURS, CLIP_SIGMA = 100, 3.0

#: Directions in which the neighbours spread by less than the root of this fraction of their widest one have no slope.
LEAST_EIGENVALUE = 1e-12


def predict_planes(fitted: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Return the values (m, targets) of local planes for inputs (m, k), from what `keep_galaxies` returned."""
    return np.concatenate(
        [
            np.column_stack([_planes(ways, target)[0] for target in np.moveaxis(labels, 2, 0)])
            for ways, labels in nearest(fitted, inputs, NEIGHBOURS)
        ]
    )


def predict_normals(fitted: Mapping[str, np.ndarray], inputs: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the masses of normal distributions about local planes, as wide as the neighbours scatter (Beck et al.)."""
    planes = [_planes(ways, labels[..., 0]) for ways, labels in nearest(fitted, inputs, NEIGHBOURS)]
    value, scatter = (np.concatenate(part) for part in zip(*planes, strict=True))
    return normal_masses(edges, value, scatter)


def _planes(ways: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the value at its own place (block,) of each galaxy's plane through its neighbours, and their scatter.

    The scatter is the root of the mean squared deviation of those that are not left out, for the degrees of freedom.

    Parameters
    ----------
    ways
        Ways from the galaxy to its neighbours, (block, neighbours, k).
    labels
        Labels of the neighbours, (block, neighbours).
    """
    design = np.concatenate([np.ones((*labels.shape, 1)), ways], axis=2)
    coefficients = _least_squares(design, labels, np.ones(labels.shape))
    distances = np.abs(labels - (design @ coefficients[..., None])[..., 0])
    sigma = np.sqrt(np.mean(distances**2, axis=1, keepdims=True))
    kept = distances <= CLIP_SIGMA * sigma
    coefficients = _least_squares(design, labels, kept.astype(np.float64))
    deviations = (labels - (design @ coefficients[..., None])[..., 0]) * kept
    freedom = np.maximum(kept.sum(axis=1) - design.shape[2], 1)
    return coefficients[:, 0], np.sqrt((deviations**2).sum(axis=1) / freedom)


def _least_squares(design: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the coefficients (block, k + 1) of weighted linear fits, the shortest where several fit equally well."""
    transposed = np.swapaxes(design * weights[..., None], 1, 2)
    inverse = np.linalg.pinv(transposed @ design, rcond=LEAST_EIGENVALUE, hermitian=True)
    return (inverse @ (transposed @ labels[..., None]))[..., 0]


METHOD = Method(
    magnitude_and_colours,
    keep_galaxies,
    predict_planes,
    settings={"neighbours": NEIGHBOURS, "clip_sigma": CLIP_SIGMA},
    distributions=Distributions(keep_galaxies, predict_normals),
)
