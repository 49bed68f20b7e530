"""How a stamp looks, in numbers: concentration, asymmetry, flux of neighbours, noise of the sky."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astromae.constants import BANDS
from astromae.photometry import pogson_magnitude

#: What is measured of each stamp, in order.
STATISTICS = ("mag_r", "concentration", "asymmetry", "neighbour_flux", *(f"noise_{band}" for band in BANDS))

# Pixels farther than this from the centre, as a share of the stamp's side, give the sky.
_SKY_FROM = 0.42
# Standard deviation of the smoothing in pixels, and the significance of a smoothed pixel that belongs to an object.
_SMOOTHING, _SIGNIFICANCE = 1.3, 3.0
# Standard deviation of a normal distribution cut off at three sigma.
_CLIPPED = 0.98658
# Petrosian radius: where the brightness is this share of the mean inside (Conselice 2003, ApJS 147, 1, section 3), and
# the aperture in Petrosian radii.
_PETROSIAN, _APERTURE = 0.2, 1.5


def measure(image: NDArray) -> dict[str, float]:
    """Measure one stamp, after Conselice 2003, in r; `STATISTICS` names what comes out.

    Objects other than the central one are those whose smoothed pixels, above three sigma, do not touch it. They are
    masked for all but their own flux.

    Parameters
    ----------
    image
        Nanomaggies a pixel, shape (5, side, side), bands u, g, r, i, z, a galaxy at the centre.

    Returns
    -------
    dict
        ``mag_r`` (AB) in 1.5 Petrosian radii; ``concentration`` 5 log10(r80 / r20); ``asymmetry``, the sum of the
        absolute differences from the image turned by 180 degrees over that of the image, least over centres on a grid
        of half pixels, less what the sky contributes; ``neighbour_flux``, that of other objects over the galaxy's;
        ``noise_{u,g,r,i,z}``, that of the sky, nanomaggies a pixel (`pixel_noise`). NaN where a galaxy has no flux.
    """
    image = np.asarray(image, dtype=np.float64)
    side = image.shape[-1]
    rows, columns = np.indices((side, side))
    middle = (side - 1) / 2
    outside = np.hypot(rows - middle, columns - middle) > _SKY_FROM * side
    noise = {f"noise_{band}": pixel_noise(plane, outside) for band, plane in zip(BANDS, image, strict=True)}
    light = image[BANDS.index("r")]
    light = light - sky(light[outside])[0]
    smooth = ndimage.gaussian_filter(light, _SMOOTHING)
    labels, _ = ndimage.label(smooth > _SIGNIFICANCE * sky(smooth[outside])[1])
    near = np.where(np.hypot(rows - middle, columns - middle) < 4, smooth, -np.inf)
    peak = np.unravel_index(near.argmax(), near.shape)
    others = (labels > 0) & (labels != labels[peak])
    # The wings of neighbours reach beyond their own pixels.
    masked = ndimage.binary_dilation(others, iterations=2) & (labels != labels[peak])
    central = np.where((labels == labels[peak]) & (np.hypot(rows - peak[0], columns - peak[1]) < 8), smooth, 0)
    nothing = dict.fromkeys(STATISTICS[:4], np.nan) | noise
    if labels[peak] == 0 or central.sum() <= 0:
        return nothing
    row, column = (central * rows).sum() / central.sum(), (central * columns).sum() / central.sum()
    distance = np.hypot(rows - row, columns - column)
    edge = np.arange(0.5, side / 2, 0.5)
    # Mean brightness in each ring times its area, so that masked pixels count as the rest of their ring.
    ring = np.digitize(distance, edge)
    counts = np.bincount(ring[~masked], minlength=len(edge) + 1)[: len(edge)]
    sums = np.bincount(ring[~masked], light[~masked], len(edge) + 1)[: len(edge)]
    brightness = np.where(counts > 0, sums / np.maximum(counts, 1), 0)
    growth = np.cumsum(brightness * np.pi * np.diff(edge**2, prepend=0))
    mean = growth / (np.pi * edge**2)
    below = np.flatnonzero((brightness < _PETROSIAN * mean) & (edge > 1.5))
    petrosian = edge[below[0]] if len(below) else edge[-1]
    aperture = min(_APERTURE * petrosian, edge[-1])
    total = np.interp(aperture, edge, growth)
    if total <= 0:
        return nothing
    inside = edge <= aperture
    radius = [np.interp(share * total, np.maximum.accumulate(growth[inside]), edge[inside]) for share in (0.2, 0.8)]
    return {
        "mag_r": float(pogson_magnitude(total)),
        "concentration": float(5 * np.log10(radius[1] / radius[0])),
        "asymmetry": asymmetry(light, masked, (row, column), aperture, outside & ~masked),
        "neighbour_flux": float(light[others].sum() / total),
        **noise,
    }


def asymmetry(
    light: NDArray[np.float64],
    masked: NDArray[np.bool_],
    centre: tuple[float, float],
    aperture: float,
    empty: NDArray[np.bool_],
) -> float:
    """Return the asymmetry of a sky-subtracted image in an aperture, in pixels, around a centre; see `measure`."""
    side = light.shape[0]
    rows, columns = np.indices(light.shape)
    best = np.inf
    start = [round(2 * place) for place in centre]
    for twice_row in range(start[0] - 2, start[0] + 3):
        for twice_column in range(start[1] - 2, start[1] + 3):
            # Turned by 180 degrees, pixel i falls on 2 c - i: half-pixel centres need no interpolation.
            turned_rows, turned_columns = twice_row - rows, twice_column - columns
            valid = (turned_rows >= 0) & (turned_rows < side) & (turned_columns >= 0) & (turned_columns < side)
            valid &= np.hypot(rows - twice_row / 2, columns - twice_column / 2) <= aperture
            turned = light[turned_rows.clip(0, side - 1), turned_columns.clip(0, side - 1)]
            valid &= ~masked & ~masked[turned_rows.clip(0, side - 1), turned_columns.clip(0, side - 1)]
            difference = np.abs(light - turned)[valid].sum()
            if difference < best:
                best, pixels, sum_of_light = difference, valid.sum(), np.abs(light[valid]).sum()
    values = light[empty]
    background = np.mean(np.abs(values - values[::-1])) * pixels
    return float((best - background) / sum_of_light)


def pixel_noise(image: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    """Return the noise of a pixel as the scatter of the means over 2 by 2 pixels tells it, times 2.

    Shifting an image by a part of a pixel averages neighbouring pixels, and so takes a tenth to a fifth of their
    scatter away, but hardly any from such means: stamps that were resampled compare with stamps that were not.

    Parameters
    ----------
    image
        Shape (side, side), side even.
    where
        Pixels of empty sky; blocks that hold another are left out.
    """
    side = image.shape[0]
    blocks = np.where(where, image, np.nan).reshape(side // 2, 2, side // 2, 2).mean(axis=(1, 3))
    return 2 * sky(blocks[np.isfinite(blocks)])[1]


def sky(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return median and standard deviation of pixels, objects clipped at three sigma.

    The deviations are squared, not ranked: pixels of a frame are whole counts, of which the median of absolute
    deviations, three to five counts, would only ever be a whole one.
    """
    while True:
        median, sigma = np.median(values), values.std()
        kept = values[np.abs(values - median) <= 3 * sigma]
        if len(kept) == len(values):
            return float(median), float(sigma / _CLIPPED)
        values = kept
