"""The training galaxies that are nearest in a magnitude and colours."""

from collections.abc import Iterator, Mapping

import numpy as np

from astromae.errors import InputError

#: Galaxies whose neighbours are looked at together: 100 of each, in six columns, take 10 MB.
BLOCK = 2048


def keep_galaxies(inputs: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return inputs (n, k) and labels (n, targets) of the training galaxies: neighbours need no other fit."""
    return {"inputs": inputs, "labels": labels}


def nearest(
    fitted: Mapping[str, np.ndarray], others: np.ndarray, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the nearest training galaxies of other galaxies, block by block.

    Each input counts in units of its standard deviation over the training galaxies: a magnitude spreads over several
    times what a colour does, and would decide alone which galaxies are near.

    Parameters
    ----------
    fitted
        What `keep_galaxies` returned.
    others
        Inputs (m, k).
    count
        Neighbours of each; all training galaxies where there are fewer.

    Yields
    ------
    tuple
        Of each galaxy of a block and each neighbour the way to it in these units, (block, count, k), and its labels,
        (block, count, targets).

    Raises
    ------
    InputError
        If what was kept is not one row of inputs and one of labels a galaxy: the arrays may be anyone's.
    """
    from scipy.spatial import KDTree

    # Sums are rounded in the order in which numbers lie in memory, which must not depend on where they come from.
    inputs, labels = (np.ascontiguousarray(fitted[name]) for name in ("inputs", "labels"))
    if not inputs.ndim == labels.ndim == 2 or not len(inputs) == len(labels) > 0 or inputs.shape[1] != others.shape[1]:
        raise InputError(
            f"neighbours with inputs of shape {inputs.shape} and labels of shape {labels.shape}; expected "
            f"(n, {others.shape[1]}) and (n, targets)"
        )
    deviation = inputs.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    inputs, others = inputs / scale, np.ascontiguousarray(others) / scale
    tree, count = KDTree(inputs), min(count, len(inputs))
    for start in range(0, len(others), BLOCK):
        here = others[start : start + BLOCK]
        found = tree.query(here, k=np.arange(1, count + 1))[1]
        yield inputs[found] - here[:, None], labels[found]
