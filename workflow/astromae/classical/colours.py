"""Magnitudes as classical methods read them: one magnitude, and colours, which a redshift moves."""

from collections.abc import Sequence

import numpy as np


def magnitude_and_colours(magnitudes: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Return one magnitude and the colours of neighbouring bands, shape (n, bands).

    Parameters
    ----------
    magnitudes
        Shape (n, bands).
    bands
        Their names. The magnitude is r, or that of the middle band.
    """
    bands = list(bands)
    reference = bands.index("r") if "r" in bands else len(bands) // 2
    return np.column_stack([magnitudes[:, reference], -np.diff(magnitudes, axis=1)])
