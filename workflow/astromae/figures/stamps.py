"""Example galaxies over a survey's range of redshift: which they are, and their stamps in every band and in colour."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.catalog import read_catalog
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.figures.composites import arcsinh_stretch, colour_composite, coloured_bands, composite_noise
from astromae.figures.samples import read_sample, write_sample
from astromae.figures.style import BAND_COLOURS, BLACK, ONE_COLUMN, bare, drawing

#: Galaxies that are shown, one of each of as many equal parts of the catalogue by redshift.
SHOWN = 6

#: Of each part the galaxy at this quantile of r magnitude is shown: brighter than usual, not the brightest.
BRIGHTNESS_QUANTILE = 0.15


def choose_examples(catalog: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the galaxies to show, by ascending redshift; see `SHOWN` and `BRIGHTNESS_QUANTILE`."""
    ordered = catalog.sort_values(["z", "objid"], ignore_index=True)
    parts = np.array_split(np.arange(len(ordered)), min(SHOWN, len(ordered)))
    chosen = []
    for part in parts:
        by_magnitude = ordered.iloc[part].sort_values(["mag_r", "objid"])
        chosen.append(by_magnitude.index[int(BRIGHTNESS_QUANTILE * len(part))])
    return ordered.loc[chosen]


def sample_examples(catalog: Path, stamps: Sequence[Path], output: Path) -> None:
    """Write the sample of example galaxies: objid, z, mag_r and stamps.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    stamps
        Shards that hold their stamps.
    output
        Sample to write (`astromae.figures.samples`).

    Raises
    ------
    InputError
        If a file cannot be read or no galaxy has a stamp.
    """
    table = read_catalog(catalog, ["objid", "z", "mag_r"]).dropna()
    table = table[table["objid"].isin(StampSet(stamps).objid)]
    if table.empty:
        raise InputError(f"{catalog}: none of its galaxies has a stamp in the {len(stamps)} shards")
    write_sample(output, choose_examples(table), stamps)


def draw_stamps(sample: Path, pdf: Path, png: Path) -> None:
    """Draw one row a galaxy: every band, and a colour composite.

    Parameters
    ----------
    sample
        Galaxies to draw, with z, mag_r and stamps (`astromae.figures.stamps`).
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the sample cannot be read.
    """
    examples = read_sample(sample)
    images, bands = examples.images.astype(np.float64), examples.bands  # (n, bands, side, side)
    columns = len(bands) + 1
    with drawing(pdf, png, ONE_COLUMN, 0.15 + ONE_COLUMN / (columns + 0.6) * len(images)) as figure:
        grid = figure.subplots(len(images), columns, squeeze=False)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        for row, image, galaxy in zip(grid, images, examples.galaxies.itertuples(), strict=True):
            for axes, pixels in zip(row[:-1], image, strict=True):
                axes.imshow(arcsinh_stretch(pixels), origin="lower", cmap="Greys_r", vmin=0, vmax=1)
            row[-1].imshow(colour_composite(image, bands, composite_noise(image, bands)), origin="lower")
            row[0].set_ylabel(f"$z={galaxy.z:.3f}$\n$r={galaxy.mag_r:.1f}$", fontsize=6.5, labelpad=2)
            for axes in row:
                bare(axes)
        for axes, band in zip(grid[0, :-1], bands, strict=True):
            axes.set_title(f"${band}$", color=BAND_COLOURS.get(band, BLACK), pad=2)
        grid[0, -1].set_title(f"${''.join(coloured_bands(bands))}$", pad=2)
