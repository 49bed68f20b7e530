"""Boosted trees on aperture photometry of the very pixels that networks see: no image network should lose to it."""

from collections.abc import Sequence

import numpy as np

from astromae.classical import Method
from astromae.classical.boosted_trees import QUANTILES, SETTINGS, fit_trees, predict_trees

#: Radii of the apertures as fractions of half the stamp's side: the galaxy's core, its body, and the largest circle
#: that fits. Of a crop of 32 px of SDSS they are 4, 8 and 16 px: 1.6, 3.2 and 6.3 arcsec.
RADII = (0.25, 0.5, 1.0)

#: Flux at which a magnitude turns from logarithmic to linear, nanomaggies (magnitude 22.5): about the noise of SDSS's
#: u band in the largest aperture. Fainter and negative fluxes stay finite.
SOFTENING_NMGY = 1.0


def aperture_fluxes(stamps: np.ndarray) -> np.ndarray:
    """Return the sums of the pixels whose centres lie in circles around the stamps' centre.

    Parameters
    ----------
    stamps
        Shape (n, bands, side, side), nanomaggies a pixel, sky subtracted.

    Returns
    -------
    ndarray
        Shape (n, apertures, bands), nanomaggies, float64.
    """
    side = stamps.shape[-1]
    y, x = np.indices((side, side)) - (side - 1) / 2
    inside = np.stack([np.hypot(x, y) <= radius * side / 2 for radius in RADII])  # (apertures, side, side)
    # Not a matrix product, whose sums may be rounded in another order for another number of galaxies.
    fluxes = [stamps[:, :, mask].sum(axis=2, dtype=np.float64) for mask in inside]
    return np.stack(fluxes, axis=1)


def aperture_colours(stamps: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Return the asinh magnitudes of all apertures, and in each the colours of neighbouring bands.

    The pixels are as networks see them: not dereddened, and seen through each band's own point spread function.

    Parameters
    ----------
    stamps
        As of `aperture_fluxes`.
    bands
        Names of the bands, of which there may be any number.

    Returns
    -------
    ndarray
        Shape (n, apertures * (2 * bands - 1)), mag.
    """
    magnitudes = -2.5 / np.log(10) * np.arcsinh(aperture_fluxes(stamps) / (2 * SOFTENING_NMGY))
    colours = -np.diff(magnitudes, axis=2)
    return np.concatenate([part.reshape(len(stamps), -1) for part in (magnitudes, colours)], axis=1)


METHOD = Method(
    aperture_colours,
    fit_trees,
    predict_trees,
    stamps=True,
    settings={**SETTINGS, "radii_of_half_side": RADII, "softening_nmgy": SOFTENING_NMGY},
    distributions=QUANTILES,
)
