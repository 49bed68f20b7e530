"""A sample of features: some evaluated galaxies with what frozen encoders make of them, in a small file.

Features themselves are as large as all views of a training; tables and the results page read this instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pandas as pd

from astromae.contracts.catalog import column_names, magnitude_bands, magnitude_columns, read_catalog
from astromae.contracts.stamp_format import join_bands, split_bands
from astromae.errors import InputError
from astromae.files import atomic_path
from astromae.seeds import generator

#: Galaxies of a sample, at most: as many points as a map on a page can show.
MOST = 2000

#: Classes of Hubble types T, and the first T of all but the first: ellipticals are -5 and -4, lenticulars -3 to -1,
#: Sa 1, Sb 3, Sc 5, Sd 7 (de Vaucouleurs).
TYPES = ("E", "S0", "Sa", "Sb", "Sc", "Sd")
_FIRST_T = (-3.5, 0.0, 2.0, 4.0, 6.0)


@dataclass(frozen=True)
class FeatureSample:
    """Some galaxies of an experiment, and features of them.

    Attributes
    ----------
    galaxies
        One row a galaxy, by ascending objid: objid, and z, mag_{band} of all bands and hubble_type as far as they are
        known, of all galaxies then.
    bands
        Bands of the magnitudes; empty where there are none.
    features
        By encoder, float16, shape (seeds, n, width).
    """

    galaxies: pd.DataFrame
    bands: tuple[str, ...]
    features: Mapping[str, np.ndarray]

    @property
    def types(self) -> np.ndarray | None:
        """Return the index in `TYPES` of each galaxy's drawn type, shape (n,); None where nothing is known of it."""
        return np.digitize(self.galaxies["hubble_type"], _FIRST_T) if "hubble_type" in self.galaxies else None

    @property
    def redshifts(self) -> np.ndarray | None:
        """Return the redshifts, shape (n,), or None."""
        return self.galaxies["z"].to_numpy() if "z" in self.galaxies else None


def sample_features(
    features: Sequence[Path],
    encoders: Sequence[str],
    catalog: Path,
    subset: Literal["test", "val"],
    seed: int,
    output: Path,
) -> None:
    """Take features of at most `MOST` galaxies of a subset, drawn with a seed, and what the catalogue knows of them.

    Columns that the catalogue knows of none of them are left out; galaxies that lack one of the others are not taken.

    Parameters
    ----------
    features
        Files of features of one experiment (`astromae.contracts.features`).
    encoders
        Encoder of each; of one encoder in the order of the seeds.
    catalog
        Catalogue of galaxies.
    subset
        Evaluated galaxies to draw from.
    seed
        Of the draw.
    output
        Sample to write (HDF5).

    Raises
    ------
    InputError
        If a file cannot be read, the files are of different galaxies, or fewer than two galaxies are left.
    """
    found = [_read_features(path, subset) for path in features]
    objid = found[0][0]
    for path, (other, _) in zip(features, found, strict=True):
        if not np.array_equal(other, objid):
            raise InputError(f"{path}: its {subset} galaxies are not those of {features[0]}; make both again")
    galaxies, bands = _known(catalog, objid)
    if len(galaxies) < 2:
        raise InputError(f"{catalog}: knows {len(galaxies)} of the {subset} galaxies of {features[0]}; two are needed")
    order = generator(seed, "feature sample").permutation(len(galaxies))[:MOST]
    galaxies = galaxies.iloc[np.sort(order)]
    place = pd.Index(objid).get_indexer(galaxies["objid"])
    with atomic_path(output) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["bands"] = join_bands(bands)
        columns = file.create_group("galaxies", track_order=True)
        group = file.create_group("features", track_order=True)
        for name, values in galaxies.items():
            columns[name] = values.to_numpy()
        for encoder in dict.fromkeys(encoders):
            of_seeds = [rows[place] for name, (_, rows) in zip(encoders, found, strict=True) if name == encoder]
            group[encoder] = np.stack(of_seeds)


def _read_features(path: Path, subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return objid (n,) and the features (n, width) of their plain stamps."""
    try:
        with h5py.File(path) as file:
            return file[f"{subset}_objid"][:], file[subset][:]
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: no readable features of {subset} galaxies ({error})") from error


def _known(catalog: Path, objid: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    """Return what a catalogue knows of galaxies, by ascending objid, and the bands of their magnitudes."""
    names = column_names(catalog)
    bands = magnitude_bands(names)
    magnitudes = magnitude_columns(bands)
    further = [*magnitudes, *(["hubble_type"] if "hubble_type" in names else [])]
    table = read_catalog(catalog, ["objid", "z", *further])
    table = table[table["objid"].isin(objid)].sort_values("objid", ignore_index=True)
    numbers = table[["z", *further]].astype(np.float64)
    lacking = [name for name in numbers if not np.isfinite(numbers[name]).any()]
    if set(lacking) & set(magnitudes):
        # Colours want all of them.
        bands, lacking = [], sorted({*lacking, *magnitudes})
    table = table.drop(columns=lacking)
    kept = np.isfinite(numbers.drop(columns=lacking)).all(axis=1)
    return table[kept], bands


def read_feature_sample(path: Path) -> FeatureSample:
    """Read a sample of `sample_features`.

    Raises
    ------
    InputError
        If the file cannot be read, or is none.
    """
    try:
        with h5py.File(path) as file:
            galaxies = pd.DataFrame({name: values[:] for name, values in file["galaxies"].items()})
            features = {name: values[:] for name, values in file["features"].items()}
            return FeatureSample(galaxies, split_bands(file.attrs["bands"]), features)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a readable sample of features ({error})") from error
