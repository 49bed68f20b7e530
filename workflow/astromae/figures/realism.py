"""Simulated stamps, real ones beside them where they are given, and the measurements of both."""

from pathlib import Path

import numpy as np

from astromae.evaluation.appearance import measure
from astromae.evaluation.realism import FAINTEST, read_real_stamps, real_measurements
from astromae.figures.composites import colour_composite, composite_noise
from astromae.figures.samples import read_sample
from astromae.figures.style import BLUE, ORANGE, TWO_COLUMNS, bare, drawing

#: Stamps in a row.
SHOWN = 9

#: What the panels show against r magnitude.
_PANELS = {"concentration": "concentration", "asymmetry": "asymmetry", "neighbour_flux": "flux of neighbours / galaxy"}

# Axes that are linear up to here and logarithmic beyond, since blended neighbours take a few galaxies far out.
_LINEAR_UP_TO = {"asymmetry": 0.2, "neighbour_flux": 0.01}


def draw_realism(sample: Path, real_stamps: Path | None, pdf: Path, png: Path) -> None:
    """Draw a row of simulated stamps, one of real stamps where given, and the measurements of both by r magnitude.

    Parameters
    ----------
    sample
        Simulated stamps with measurements (`astromae.evaluation.realism`).
    real_stamps
        Folder of real stamps, or None.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the sample or a stamp cannot be read.
    """
    simulated, real = read_sample(sample), real_measurements()
    rows = [("simulated", simulated.images.astype(np.float64), simulated.galaxies["mag_r"].to_numpy())]
    if real_stamps is not None:
        images = read_real_stamps(real_stamps)
        magnitude = np.array([measure(image)["mag_r"] for image in images])
        bright = magnitude <= FAINTEST
        rows.append(("real", images[bright], magnitude[bright]))
    width, bands = TWO_COLUMNS / SHOWN, simulated.bands
    with drawing(pdf, png, TWO_COLUMNS, len(rows) * (width + 0.16) + 1.8) as figure:
        above, below = figure.subfigures(2, 1, height_ratios=[len(rows) * (width + 0.16), 1.8])
        grid = above.subplots(len(rows), SHOWN, squeeze=False)
        for places, (name, images, magnitude) in zip(grid, rows, strict=True):
            # Evenly over the ranks of brightness.
            order = np.argsort(magnitude)
            chosen = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
            places[0].set_ylabel(name)
            for axes in places:
                bare(axes)
            for axes, index in zip(places, chosen, strict=False):
                axes.imshow(
                    colour_composite(images[index], bands, composite_noise(images[index], bands)), origin="lower"
                )
                axes.set_title(f"$r={magnitude[index]:.1f}$", fontsize=6.5, pad=2)
            for axes in places[len(chosen) :]:
                axes.set_visible(False)
        for axes, (statistic, label) in zip(below.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
            for table, colour, marker, name in (
                (simulated.galaxies, BLUE, "o", "simulated"),
                (real, ORANGE, "^", "real"),
            ):
                axes.plot(table["mag_r"], table[statistic], marker, color=colour, ms=3, mew=0, alpha=0.8, label=name)
                axes.axhline(table[statistic].median(), color=colour, lw=0.8)
            axes.set(xlabel="$r$ magnitude", ylabel=label)
            if statistic in _LINEAR_UP_TO:
                axes.set_yscale("symlog", linthresh=_LINEAR_UP_TO[statistic])
        axes.legend(loc="upper left", handletextpad=0.2)
