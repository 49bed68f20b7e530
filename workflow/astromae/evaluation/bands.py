"""The bands that stand for a galaxy's magnitude and colour where not all are shown."""

from collections.abc import Sequence


def reference_bands(bands: Sequence[str]) -> tuple[str, str]:
    """Return the bands whose difference is shown as colour, the latter as magnitude: g and r, or two in the middle.

    Parameters
    ----------
    bands
        Bands of a survey, from short to long waves.
    """
    if {"g", "r"} <= set(bands):
        return "g", "r"
    middle = len(bands) // 2
    return bands[max(middle - 1, 0)], bands[middle]
