"""What galaxies were seen in training: the range of what can be measured of each, and who lies outside it.

The measurements are simple, and made of the central crop that networks see: they are to tell a stamp in another unit or
with its bands in another order, a star or a blank, from a galaxy, and cost little beside a network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Aperture for fluxes, pixels; beyond the second radius an object is another one, not the galaxy.
APERTURE_PX, ELSEWHERE_PX = 4.0, 7.0

#: Fractions of the training galaxies below and above the ranges of what is measured of stamps.
TAIL = 0.001

#: Stamps that are measured of the training galaxies, about.
MEASURED = 4096

#: How far outside the range a value has to lie: magnitudes, and decades of noise and of a pixel's brightness. What a
#: catalogue says of a galaxy has no margin: its range is that of all training galaxies.
MARGINS = {"aperture": 0.3, "offset": 0.5, "noise": 0.3, "peak": 0.3, "mag": 0.0, "colour": 0.0}

#: Faintest flux that counts, in units of the noise of the aperture: below, a magnitude says nothing.
FAINTEST_SIGMA = 3.0

#: Standard deviation of a normal distribution over the median of its absolute values.
_NORMAL_MAD = 1.4826


@dataclass(frozen=True)
class StampMeasures:
    """What is measured of stamps.

    Attributes
    ----------
    noise
        Noise of a pixel, (n, bands), nanomaggies.
    flux
        Flux in the central aperture, less that of the border's median, (n, bands), nanomaggies.
    peak
        Brightest pixel of the aperture, (n, bands), nanomaggies.
    neighbour
        Brightest place away from the centre over the brightest in the centre, both means over 3 by 3 pixels and over
        the bands, (n,).
    blank
        Whether a row or column at the border has the same value throughout, in some band, (n,).
    """

    noise: np.ndarray
    flux: np.ndarray
    peak: np.ndarray
    neighbour: np.ndarray
    blank: np.ndarray


def measure_stamps(images: np.ndarray) -> StampMeasures:
    """Measure stamps (n, bands, side, side), nanomaggies a pixel."""
    images = np.asarray(images, dtype=np.float32)
    side = images.shape[-1]
    edges = [images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]]
    steps = [images[..., a, :] - images[..., b, :] for a, b in ((0, 1), (-1, -2))]
    steps += [images[..., a] - images[..., b] for a, b in ((0, 1), (-1, -2))]
    noise = np.median(np.abs(np.concatenate(steps, axis=-1)), axis=-1) * np.float32(_NORMAL_MAD / np.sqrt(2))
    sky = np.median(np.concatenate(edges, axis=-1), axis=-1)
    away = np.hypot(*(np.indices((side, side)) - (side - 1) / 2))
    inside = images[..., away < APERTURE_PX] - sky[..., None]
    peak = inside.max(axis=-1)
    light = (images - sky[..., None, None]).mean(axis=1)
    around = np.pad(light, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
    smooth = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
    centre = smooth[:, away < APERTURE_PX].max(axis=-1)
    other = smooth[:, away > ELSEWHERE_PX].max(axis=-1)
    return StampMeasures(
        noise,
        inside.sum(axis=-1),
        peak,
        np.where(centre > 0, other / np.where(centre > 0, centre, 1), np.inf),
        np.any([edge.max(axis=-1) == edge.min(axis=-1) for edge in edges], axis=0).any(axis=1),
    )


def values_of(
    bands: Sequence[str], measures: StampMeasures | None, magnitudes: np.ndarray | None, count: int
) -> dict[str, np.ndarray]:
    """Return what has a range, each (n,), NaN where it is not known.

    Parameters
    ----------
    bands
        Names of the bands.
    measures
        Of the stamps; None without stamps.
    magnitudes
        Dereddened magnitudes (n, bands), NaN where missing; None without.
    count
        The number n of galaxies.

    Returns
    -------
    dict
        ``mag:{band}`` and ``colour:{band}-{band}`` of the magnitudes; of stamps ``noise:{band}`` and ``peak:{band}``,
        decades, ``aperture:{band}-{band}``, colours of the apertures, and ``offset:{band}``, the aperture's magnitude
        less that of the catalogue.
    """
    nothing = np.full((count, len(bands)), np.nan)
    given = nothing if magnitudes is None else np.asarray(magnitudes, dtype=np.float64)
    noise, peak, own = nothing, nothing, nothing
    if measures is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            noise, peak = np.log10(measures.noise, dtype=np.float64), np.log10(measures.peak, dtype=np.float64)
            faintest = FAINTEST_SIGMA * measures.noise * np.sqrt(np.pi) * APERTURE_PX
            own = 22.5 - 2.5 * np.log10(np.where(measures.flux > faintest, measures.flux, np.nan), dtype=np.float64)
        noise, peak = (np.where(np.isnan(x), -np.inf, x) for x in (noise, peak))
    values: dict[str, np.ndarray] = {}
    for number, band in enumerate(bands):
        values[f"mag:{band}"], values[f"noise:{band}"] = given[:, number], noise[:, number]
        values[f"peak:{band}"], values[f"offset:{band}"] = peak[:, number], own[:, number] - given[:, number]
        if number:
            pair = f"{bands[number - 1]}-{band}"
            values[f"colour:{pair}"] = given[:, number - 1] - given[:, number]
            values[f"aperture:{pair}"] = own[:, number - 1] - own[:, number]
    return values


def seen_ranges(values: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Return the range of each of `values_of` training galaxies; what nobody has is left out."""
    ranges = {}
    for name, value in values.items():
        known = value[np.isfinite(value)]
        if len(known):
            tail = 0.0 if name.startswith(("mag:", "colour:")) else TAIL
            low, high = np.quantile(known, [tail, 1 - tail])
            ranges[name] = float(low), float(high)
    return ranges


def training_ranges(
    bands: Sequence[str], magnitudes: np.ndarray, images: np.ndarray | None = None, own: np.ndarray | None = None
) -> dict[str, tuple[float, float]]:
    """Return what training galaxies are like, by which answers are flagged.

    Parameters
    ----------
    bands
        Names of the bands.
    magnitudes
        Dereddened magnitudes of all of them (n, bands), NaN where missing.
    images
        Stamps of some of them, as `measure_stamps` takes them; None without stamps.
    own
        The magnitudes of these.
    """
    ranges = {}
    if images is not None:
        ranges = seen_ranges(values_of(bands, measure_stamps(images), own, len(own)))
    # The ranges of magnitudes are those of all galaxies.
    return ranges | seen_ranges(values_of(bands, None, magnitudes, len(magnitudes)))


def outside(
    values: Mapping[str, np.ndarray], ranges: Mapping[str, Sequence[float]], kind: str, side: str = "either"
) -> np.ndarray:
    """Return which galaxies lie outside the range in any value of a kind, (n,); unknown ones lie inside.

    Parameters
    ----------
    values
        As `values_of` returns them.
    ranges
        As `seen_ranges` returned them.
    kind
        The part of the names before the colon.
    side
        Whether ``below`` the range, ``above``, or on ``either`` side.
    """
    margin = MARGINS[kind]
    found = np.zeros(len(next(iter(values.values()))), dtype=bool)
    for name in ranges.keys() & values.keys():
        if name.partition(":")[0] == kind:
            low, high = ranges[name]
            if side != "above":
                found |= values[name] < low - margin
            if side != "below":
                found |= values[name] > high + margin
    return found
