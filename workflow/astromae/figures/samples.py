"""Samples: a handful of galaxies with their stamps, in files small enough to keep beside the predictions.

Figures that show pixels read a sample instead of the shards, so that they can be drawn again where no
stamps are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from astromae.contracts.shards import StampSet
from astromae.contracts.stamp_format import join_bands, split_bands
from astromae.errors import InputError
from astromae.files import atomic_path


@dataclass(frozen=True)
class Sample:
    """Galaxies and their stamps.

    Attributes
    ----------
    galaxies
        One row a galaxy: objid (int64), and numbers that a figure writes beside it.
    images
        Their stamps in nanomaggies a pixel, float16, shape (n, bands, side, side).
    bands
        Names of the bands.
    pixel_scale_arcsec
        Arcsec a pixel.
    about
        What the sample says of itself, as text.
    """

    galaxies: pd.DataFrame
    images: np.ndarray
    bands: tuple[str, ...]
    pixel_scale_arcsec: float
    about: Mapping[str, str]


def write_sample(
    path: Path, galaxies: pd.DataFrame, stamps: Sequence[Path], about: Mapping[str, str] | None = None
) -> None:
    """Write galaxies and their stamps as HDF5: data set ``images``, and one for every column of `galaxies`.

    Parameters
    ----------
    path
        File to write.
    galaxies
        One row a galaxy, with objid; all columns are numbers.
    stamps
        Shards that hold their stamps.
    about
        What the sample says of itself, as attributes.

    Raises
    ------
    InputError
        If a galaxy has no stamp in the shards.
    """
    survey = StampSet(stamps)
    images = survey.read(galaxies["objid"].to_numpy())
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["images"] = images
        file.attrs["bands"] = join_bands(survey.format.bands)
        file.attrs["pixel_scale_arcsec"] = survey.format.pixel_scale_arcsec
        file.attrs.update(about or {})
        columns = file.create_group("galaxies", track_order=True)
        for name, values in galaxies.items():
            columns[name] = values.to_numpy()


def read_sample(path: Path) -> Sample:
    """Read a sample.

    Raises
    ------
    InputError
        If the file cannot be read, or is none.
    """
    try:
        with h5py.File(path) as file:
            columns = {name: values[:] for name, values in file["galaxies"].items()}
            about = dict(file.attrs)
            bands, scale = split_bands(about.pop("bands")), float(about.pop("pixel_scale_arcsec"))
            return Sample(pd.DataFrame(columns), file["images"][:], bands, scale, about)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a readable sample of galaxies with stamps ({error})") from error
