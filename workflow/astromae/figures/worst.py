"""The test galaxies that a model mistakes most, in colour, with their redshifts."""

from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle

from astromae.errors import InputError
from astromae.figures.composites import colour_composite, composite_noise
from astromae.figures.samples import read_sample
from astromae.figures.style import TWO_COLUMNS, bare, drawing
from astromae.tables.names import model_name
from astromae.tasks.redshift import normalised_error

#: Stamps beside each other, and the length of the bar that shows the scale.
COLUMNS, BAR_ARCSEC = 6, 5


def draw_worst(sample: Path, crop: int, pdf: Path, png: Path) -> None:
    """Draw each galaxy's colour composite under its redshifts, worst first.

    Parameters
    ----------
    sample
        Galaxies to draw (`sampling.sample_worst`).
    crop
        Central pixels on a side that the network saw; a frame shows them.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the sample cannot be read or is another one.
    """
    worst = read_sample(sample)
    absent = {"z_spec", "z_pred"} - set(worst.galaxies.columns)
    if absent or "model" not in worst.about:
        raise InputError(f"{sample}: a sample without {', '.join(sorted(absent)) or 'its model'}")
    side = worst.images.shape[-1]
    rows = -(-len(worst.images) // COLUMNS)
    width = TWO_COLUMNS / COLUMNS
    with drawing(pdf, png, TWO_COLUMNS, 0.22 + rows * (width + 0.30)) as figure:
        figure.suptitle(model_name(worst.about["model"]), fontsize=8)
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for axes in grid.flat[len(worst.images) :]:
            axes.set_visible(False)
        for axes, image, galaxy in zip(
            grid.flat, worst.images.astype(np.float64), worst.galaxies.itertuples(), strict=False
        ):
            axes.imshow(colour_composite(image, worst.bands, composite_noise(image, worst.bands)), origin="lower")
            error = normalised_error(galaxy.z_spec, galaxy.z_pred)
            axes.set_title(
                f"$z_{{\\rm spec}}={galaxy.z_spec:.3f}$, $z_{{\\rm pred}}={galaxy.z_pred:.3f}$\n"
                f"$\\Delta z={error:+.3f}$",
                fontsize=6,
                pad=2,
                linespacing=1.3,
            )
            corner = (side - crop) / 2 - 0.5
            axes.add_patch(Rectangle((corner, corner), crop, crop, fc="none", ec="white", lw=0.5, ls=(0, (3, 3))))
            bare(axes)
        length = BAR_ARCSEC / worst.pixel_scale_arcsec
        first = grid.flat[0]
        first.plot([4, 4 + length], [5, 5], color="white", lw=1.2, solid_capstyle="butt")
        first.text(4 + length / 2, 6.5, f"{BAR_ARCSEC}″", color="white", ha="center", va="bottom", fontsize=6)
