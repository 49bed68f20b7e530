"""Stamps, what the autoencoder sees of them, and what it makes of the rest (figure 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from astromae.contracts.stamp_format import split_bands
from astromae.errors import InputError
from astromae.figures.composites import colour_composite, composite_noise
from astromae.figures.style import TWO_COLUMNS, bare, drawing

#: Galaxies that are drawn, in two blocks side by side.
SHOWN, BLOCKS = 6, 2

#: Grey of a masked patch.
MASKED_GREY = 0.62


@dataclass(frozen=True)
class Reconstructions:
    """What an encoder's autoencoder made of masked stamps.

    Attributes
    ----------
    objid
        Galaxies, shape (n,).
    original, reconstructed
        Nanomaggies a pixel, shape (n, bands, side, side).
    masked
        True where a patch was hidden, shape (n, patches), patches row by row.
    bands
        Names of the bands.
    """

    objid: np.ndarray
    original: np.ndarray
    reconstructed: np.ndarray
    masked: np.ndarray
    bands: tuple[str, ...]


def read_reconstructions(path: Path) -> Reconstructions:
    """Read a file of reconstructions.

    Raises
    ------
    InputError
        If it cannot be read or lacks a data set.
    """
    try:
        with h5py.File(path) as file:
            arrays = (file[name][:] for name in ("objid", "original", "reconstructed", "masked"))
            return Reconstructions(*arrays, split_bands(file.attrs["bands"]))
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not a readable file of reconstructions ({error})") from error


def hide(image: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Return a colour image, shape (side, side, 3), with its masked patches in grey."""
    patches = round(len(masked) ** 0.5)
    mask = np.kron(masked.reshape(patches, patches), np.ones((image.shape[0] // patches,) * 2, dtype=bool))
    return np.where(mask[..., None].astype(bool), MASKED_GREY, image)


def draw_reconstructions(encoders: Sequence[str], reconstructions: Sequence[Path], pdf: Path, png: Path) -> None:
    """Draw galaxies as they are, masked, and as each encoder's autoencoder completes them.

    Parameters
    ----------
    encoders
        Name of the encoder of each file.
    reconstructions
        Files of reconstructions, of the same galaxies with the same masks.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If a file cannot be read, or the files hold other galaxies or masks.
    """
    files = reconstructions
    if len(encoders) != len(files):
        raise InputError(f"{len(encoders)} names of encoders for {len(files)} files; give one for each")
    made = [read_reconstructions(path) for path in files]
    first = made[0]
    for path, other in zip(files[1:], made[1:], strict=True):
        same = np.array_equal(other.objid, first.objid) and np.array_equal(other.masked, first.masked)
        if not same:
            raise InputError(f"{path}: other galaxies or masks than {files[0]}; make both with the same split and seed")
    shown = min(SHOWN, len(first.objid))
    rows = -(-shown // BLOCKS)
    heads = ["original", "masked", *encoders]
    with drawing(pdf, png, TWO_COLUMNS, 0.2 + rows * TWO_COLUMNS / (BLOCKS * len(heads) + 0.3)) as figure:
        blocks = np.atleast_1d(figure.subfigures(1, BLOCKS, wspace=0.02))
        grids = [block.subplots(rows, len(heads), squeeze=False) for block in blocks]
        for grid in grids:
            for axes in grid.flat:
                axes.set_visible(False)
        for number in range(shown):
            block, row = divmod(number, rows)
            original = first.original[number]
            noise = composite_noise(original, first.bands)
            image = colour_composite(original, first.bands, noise)
            images = [image, hide(image, first.masked[number])]
            images += [colour_composite(other.reconstructed[number], other.bands, noise) for other in made]
            for axes, head, picture in zip(grids[block][row], heads, images, strict=True):
                axes.set_visible(True)
                axes.imshow(picture, origin="lower")
                bare(axes)
                if row == 0:
                    axes.set_title(head, pad=3)
