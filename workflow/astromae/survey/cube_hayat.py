"""The cube of Hayat et al. 2021 (ApJL 911, L33): stamps of SDSS galaxies with redshifts in one HDF5 file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.stamps.shards import STAMP_SIZE
from astromae.survey.objid import decode_objid

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
                absent = [name for name in ("images", *_NEEDED) if name not in file]
                shape = () if absent else file["images"].shape
                lengths = {} if absent else {name: len(file[name]) for name in _NEEDED}
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

    def labels(self) -> pd.DataFrame:
        """Return the labels under the catalogue's names, in the order of the cube. There are no magnitudes."""
        with h5py.File(self.path, "r") as file:
            extinction = file["e_bv"][:]
            if extinction.shape != (self.count, len(BANDS)):
                raise InputError(f"{self.path}: `e_bv` is {extinction.shape}; it should be {(self.count, len(BANDS))}")
            labels = {
                "objid": file["ObjID"][:].astype(np.int64),
                "ra": file["ra"][:],
                "dec": file["dec"][:],
                "z": file["specz_redshift"][:],
                "z_err": file["specz_redshift_err"][:],
            }
        parts = decode_objid(labels["objid"])
        labels |= {name: parts[name] for name in _FIELD}
        labels |= {f"extinction_{band}": extinction[:, index] for index, band in enumerate(BANDS)}
        return pd.DataFrame(labels)

    def units(self) -> Mapping[str, str]:
        """Return what is unusual about the columns of `labels`."""
        return {"mag_*": "NaN: the cube has no magnitudes", "petro_r": "NaN: the cube has no magnitudes"}
