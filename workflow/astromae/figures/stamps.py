"""Example galaxies over a survey's range of redshift, in every band and in colour."""

from pathlib import Path

import numpy as np

from astromae.figures.composites import arcsinh_stretch, colour_composite, coloured_bands, composite_noise
from astromae.figures.samples import read_sample
from astromae.figures.style import BAND_COLOURS, BLACK, ONE_COLUMN, bare, drawing


def draw_stamps(sample: Path, pdf: Path, png: Path) -> None:
    """Draw one row a galaxy: every band, and a colour composite.

    Parameters
    ----------
    sample
        Galaxies to draw, with z, a magnitude and stamps (`sampling.sample_examples`).
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the sample cannot be read.
    """
    examples = read_sample(sample)
    images, bands = examples.images.astype(np.float64), examples.bands  # (n, bands, side, side)
    columns, band = len(bands) + 1, examples.about["magnitude"]
    magnitudes = examples.galaxies[f"mag_{band}"]
    with drawing(pdf, png, ONE_COLUMN, 0.15 + ONE_COLUMN / (columns + 0.6) * len(images)) as figure:
        grid = figure.subplots(len(images), columns, squeeze=False)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        for row, image, z, magnitude in zip(grid, images, examples.galaxies["z"], magnitudes, strict=True):
            for axes, pixels in zip(row[:-1], image, strict=True):
                axes.imshow(arcsinh_stretch(pixels), origin="lower", cmap="Greys_r", vmin=0, vmax=1)
            row[-1].imshow(colour_composite(image, bands, composite_noise(image, bands)), origin="lower")
            row[0].set_ylabel(f"$z={z:.3f}$\n${band}={magnitude:.1f}$", fontsize=6.5, labelpad=2)
            for axes in row:
                bare(axes)
        for axes, band in zip(grid[0, :-1], bands, strict=True):
            axes.set_title(f"${band}$", color=BAND_COLOURS.get(band, BLACK), pad=2)
        grid[0, -1].set_title(f"${''.join(coloured_bands(bands))}$", pad=2)
