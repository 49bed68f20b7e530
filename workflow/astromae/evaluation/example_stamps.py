"""Example galaxies over the redshift range, in five bands and in colour."""

from pathlib import Path

import numpy as np

from astromae.constants import BANDS
from astromae.evaluation.composites import arcsinh_stretch, colour_composite, composite_noise
from astromae.evaluation.samples import read_sample
from astromae.evaluation.style import BAND_COLOURS, ONE_COLUMN, bare, drawing


def draw_stamps(sample: Path, pdf: Path, png: Path) -> None:
    """Draw one row a galaxy: bands u, g, r, i, z, and a colour composite of i, r, g.

    Parameters
    ----------
    sample
        Galaxies to draw, with z, mag_r and stamps (`astromae.evaluation.example_galaxies`).
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the sample cannot be read.
    """
    examples = read_sample(sample)
    images = examples.images.astype(np.float64)  # (n, 5, side, side)
    columns = len(BANDS) + 1
    with drawing(pdf, png, ONE_COLUMN, 0.15 + ONE_COLUMN / (columns + 0.6) * len(images)) as figure:
        grid = figure.subplots(len(images), columns, squeeze=False)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        for row, image, galaxy in zip(grid, images, examples.galaxies.itertuples(), strict=True):
            for axes, pixels in zip(row[:-1], image, strict=True):
                axes.imshow(arcsinh_stretch(pixels), origin="lower", cmap="Greys_r", vmin=0, vmax=1)
            row[-1].imshow(colour_composite(image, composite_noise(image)), origin="lower")
            row[0].set_ylabel(f"$z={galaxy.z:.3f}$\n$r={galaxy.mag_r:.1f}$", fontsize=6.5, labelpad=2)
            for axes in row:
                bare(axes)
        for axes, band in zip(grid[0, :-1], BANDS, strict=True):
            axes.set_title(f"${band}$", color=BAND_COLOURS[band], pad=2)
        grid[0, -1].set_title("$irg$", pad=2)
