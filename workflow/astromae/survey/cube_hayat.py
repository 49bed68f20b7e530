"""The cube of Hayat et al. 2021 (ApJL 911, L33): stamps of SDSS galaxies with redshifts in one HDF5 file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from astromae.constants import BANDS, STAMP_SIZE
from astromae.errors import InputError
from astromae.survey.objid import decode_objid, exact_identifiers
from astromae.survey.sentinels import Sentinels, numbers

_FIELD = ("run", "rerun", "camcol", "field")
_NEEDED = ("ObjID", "ra", "dec", "specz_redshift", "specz_redshift_err", "e_bv")


class HayatCube:
    """The cube as published: ``images`` (n, 5, 107, 107), bands first, and a one-dimensional dataset a label.

    Parameters
    ----------
    path
        The HDF5 file.

    Raises
    ------
    InputError
        If the file is no such cube.
    """

    #: Where the file is published.
    published = "https://portal.nersc.gov/project/dasrepo/self-supervised-learning-sdss (sdss_w_specz_valid.h5)"
    #: Data release that the galaxies were selected from.
    release = 12
    selection = "Hayat et al. 2021, ApJL 911, L33"
    #: Their resampling is not stated.
    kernel = "unknown"
    #: HDF5 finds any range of rows.
    random_access = True

    def __init__(self, path: Path):
        self.path = path
        try:
            with h5py.File(path, "r") as file:
                absent = [name for name in ("images", *_NEEDED) if not isinstance(file.get(name), h5py.Dataset)]
                shape = () if absent else file["images"].shape
                lengths = {} if absent else {name: (*file[name].shape, 1)[0] for name in _NEEDED}
        except OSError as error:
            raise InputError(f"{path}: not a readable HDF5 file ({error})") from error
        if absent:
            raise InputError(f"{path}: has no dataset {', '.join(absent)}")
        if len(shape) != 4 or shape[1] != len(BANDS) or min(shape[2:]) < STAMP_SIZE:
            raise InputError(f"{path}: `images` has the shape {shape}; it should be (n, 5, 107, 107)")
        self.count, self._size = shape[0], shape[2:]
        wrong = [f"{name} ({length})" for name, length in lengths.items() if length != self.count]
        if wrong:
            raise InputError(f"{path}: {self.count} stamps, but other numbers of {', '.join(wrong)}")

    def stamps(self, start: int, stop: int, block: int) -> Iterator[np.ndarray]:
        """Yield the central 64 pixels of stamps `start` to `stop`, blocks of (n, 5, 64, 64), nanomaggies.

        Of an odd number of pixels the centre is one of them: the galaxy then stands half a pixel above and right
        of the centre of the crop.
        """
        top, left = ((size - STAMP_SIZE) // 2 for size in self._size)
        try:
            with h5py.File(self.path, "r") as file:
                for first in range(start, stop, block):
                    rows = slice(first, min(first + block, stop))
                    yield file["images"][rows, :, top : top + STAMP_SIZE, left : left + STAMP_SIZE]
        except OSError as error:
            raise InputError(f"{self.path}: `images` is damaged ({error}); fetch it again") from error

    def labels(self, sentinels: Sentinels) -> pd.DataFrame:
        """Return the labels under the catalogue's names, in the order of the cube. There are no magnitudes.

        Parameters
        ----------
        sentinels
            Counts what is taken for a missing value.

        Raises
        ------
        InputError
            If a dataset has another shape or type than it should, or a value is wrong: names the row, from 1.
        """
        with h5py.File(self.path, "r") as file:
            read = {name: file[name][:] for name in _NEEDED}
        extinction = read["e_bv"]
        if extinction.shape != (self.count, len(BANDS)):
            raise InputError(f"{self.path}: `e_bv` is {extinction.shape}; it should be {(self.count, len(BANDS))}")

        def number(name: str) -> np.ndarray:
            return numbers(read[name], f"{self.path}: {name}")

        labels = {
            "objid": exact_identifiers(read["ObjID"], f"{self.path}: ObjID"),
            "ra": number("ra"),
            "dec": number("dec"),
            "z": sentinels.clean("z", number("specz_redshift")),
            "z_err": sentinels.clean("z_err", number("specz_redshift_err")),
        }
        parts = decode_objid(labels["objid"])
        labels |= {name: parts[name] for name in _FIELD}
        for index, band in enumerate(BANDS):
            name = f"extinction_{band}"
            labels[name] = sentinels.clean(name, numbers(extinction[:, index], f"{self.path}: e_bv"))
        return pd.DataFrame(labels)

    def units(self) -> Mapping[str, str]:
        """Return what is unusual about the columns of `labels`."""
        return {"mag_*": "NaN: the cube has no magnitudes", "petro_r": "NaN: the cube has no magnitudes"}
