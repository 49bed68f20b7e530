"""Stars and galaxies counted on a frame, genuine or drawn, by one simple method."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: Aperture in pixels, edge that is left out, and by how many magnitudes a galaxy exceeds a star of the same peak.
APERTURE, EDGE, EXTENDED = 7, 20, 0.15


@dataclass(frozen=True)
class Census:
    """What was found: aperture magnitudes, and which objects are more extended than a star."""

    magnitude: np.ndarray
    extended: np.ndarray

    def count(self, kind: str, bright: float, faint: float) -> int:
        chosen = (self.magnitude >= bright) & (self.magnitude < faint)
        return int((chosen & (self.extended == (kind == "galaxy"))).sum())


def census(image: np.ndarray) -> Census:
    """Find the peaks of a smoothed frame, and tell stars from galaxies by the light around the peak.

    The brightest peaks of middling magnitude are stars for the most part: their ratio of aperture flux to peak,
    the mode of all ratios, is that of the frame's point spread function.
    """
    image = image - np.median(image[::7, ::7])
    smooth = ndimage.gaussian_filter(image, 1.3)
    noise = 1.4826 * np.median(np.abs(smooth[::7, ::7]))
    peak = (smooth == ndimage.maximum_filter(smooth, 9)) & (smooth > 6 * noise)
    row, column = np.nonzero(peak)
    inside = (row > EDGE) & (row < image.shape[0] - EDGE) & (column > EDGE) & (column < image.shape[1] - EDGE)
    row, column = row[inside], column[inside]
    y, x = np.indices((2 * APERTURE + 1, 2 * APERTURE + 1)) - APERTURE
    aperture = np.hypot(y, x) <= APERTURE
    light = np.array(
        [
            image[r - APERTURE : r + APERTURE + 1, c - APERTURE : c + APERTURE + 1][aperture].sum()
            for r, c in zip(row, column, strict=True)
        ]
    )
    light = np.maximum(light, 1e-3)
    magnitude, excess = 22.5 - 2.5 * np.log10(light), 2.5 * np.log10(light / smooth[row, column])
    counts, edges = np.histogram(excess[(magnitude > 15.5) & (magnitude < 19)], np.arange(1.5, 6, 0.08))
    locus = edges[counts.argmax()] + 0.04
    return Census(magnitude, excess > locus + EXTENDED)
