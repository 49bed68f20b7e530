"""Cubes of stamps: one file with the stamps and labels of many galaxies, read in part and never unpickled."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import h5py
import numpy as np
import pandas as pd

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.survey.npz import NpzArray
from astromae.survey.objid import SPECOBJID_EMPTY_BITS, decode_objid, exact_identifiers
from astromae.survey.sentinels import Sentinels, numbers

_FIELD = ("run", "rerun", "camcol", "field")


class _Column(NamedTuple):
    """A label of all galaxies, and what messages call it."""

    name: str
    values: np.ndarray


class Cube:
    """A cube of stamps.

    Parameters
    ----------
    path
        The file.
    bands
        Names of its bands, in their order; None where it says so itself, or holds SDSS's.

    Attributes
    ----------
    count : int
        Stamps that it holds.
    bands : tuple of str
        Names of its bands.
    pixel_scale_arcsec : float or None
        What the file says of it.
    shape : tuple of int
        Rows and columns of a stamp.
    is_published : bool
        Whether it is taken for the published file: one that names its bands or pixels, or has others, is not.
    random_access : bool
        Whether a range of stamps is read without reading those before it.
    """

    #: Where the published file is.
    published: str
    #: Who selected the galaxies of the published file, from which data release of SDSS.
    published_selection: str
    published_release = 12
    #: Kernel that resampled its stamps.
    published_kernel: str
    #: What the file calls the labels: identifiers that will do, redshift, its error.
    identifiers: Sequence[str] = ("objID", "specObjID")
    redshift: tuple[str, str] = ("z", "zErr")
    #: What is unusual about the columns of `labels`.
    units: ClassVar[Mapping[str, str]] = {}

    def __init__(self, path: Path, bands: Sequence[str] | None):
        self.path = path
        self.count, self.shape, self.random_access, said = self._open()
        self.pixel_scale_arcsec: float | None = said.get("pixel_scale_arcsec")
        if bands is not None and said.get("bands", tuple(bands)) != tuple(bands):
            raise InputError(
                f"{path}: says that its bands are {', '.join(said['bands'])}, but cube.bands is {', '.join(bands)}"
            )
        self.bands: tuple[str, ...] = tuple(bands or said.get("bands", BANDS))
        self._check_shape()
        # The published ones say nothing of what all SDSS images have in common.
        self.is_published = self.bands == BANDS and not said

    @property
    def kernel(self) -> str:
        """Kernel that resampled the stamps."""
        return self.published_kernel if self.is_published else "unknown"

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the galaxies come from: selection, and data release of SDSS for published cubes."""
        if not self.is_published:
            return {"selection": f"all galaxies of {self.path.name}"}
        return {"release": self.published_release, "selection": self.published_selection}

    def format(self, pixel_scale_arcsec: float | None, size: int | None) -> StampFormat:
        """Return the format of the stamps that are taken from it: the central pixels of larger ones.

        Parameters
        ----------
        pixel_scale_arcsec
            The configured scale; None where the file says it, or it is SDSS's.
        size
            Pixels on a side; None for 64, or as many as there are.

        Raises
        ------
        InputError
            If the file says another pixel scale, or its stamps are smaller.
        """
        said = self.pixel_scale_arcsec
        if None not in (said, pixel_scale_arcsec) and not np.isclose(said, pixel_scale_arcsec, rtol=1e-6):
            raise InputError(
                f"{self.path}: says that its pixels are {said:g} arcsec, but cube.pixel_scale_arcsec is "
                f"{pixel_scale_arcsec:g}"
            )
        largest = min(self.shape) // 2 * 2
        if size is not None and size > largest:
            raise InputError(f"{self.path}: stamps.size is {size}, but its stamps have {largest} px; use null or less")
        return StampFormat(
            self.bands, pixel_scale_arcsec or said or PIXEL_SCALE_ARCSEC, size or min(largest, STAMP_SIZE)
        )

    def stamps(self, start: int, stop: int, block: int, size: int) -> Iterator[np.ndarray]:
        """Yield the central pixels of stamps `start` to `stop` in blocks of at most `block`.

        Their shape is (n, bands, size, size), their unit the nanomaggie. Of an odd number of pixels the centre is one
        of them: the galaxy then stands half a pixel above and right of the centre of the crop.
        """
        top, left = ((side - size) // 2 for side in self.shape)
        yield from self._blocks(start, stop, block, slice(top, top + size), slice(left, left + size))

    def labels(self, sentinels: Sentinels) -> pd.DataFrame:
        """Return the labels under the catalogue's names, as far as there are any, in the order of the cube.

        Magnitudes are dereddened: ``mag_{band}`` as they stand, or ``modelMag_{band}`` less ``extinction_{band}``.

        Parameters
        ----------
        sentinels
            Counts what is taken for a missing value.

        Raises
        ------
        InputError
            If labels are missing, there is not one row a stamp, or a value is wrong: names the row, from 1.
        """
        read = self._read_labels()
        identifiers = [name for name in self.identifiers if name.lower() in read]
        absent = [name for name in self._needed(read) if name.lower() not in read]
        if absent or not identifiers:
            absent += [] if identifiers else [" or ".join(self.identifiers)]
            raise InputError(f"{self.path}: the labels have no column {', '.join(absent)}")

        def number(name: str) -> np.ndarray:
            column = read[name.lower()]
            return numbers(column.values, f"{self.path}: {column.name}")

        def measured(column: str, name: str) -> np.ndarray:
            return sentinels.clean(column, number(name))

        identifier = identifiers[0]
        objid = exact_identifiers(
            read[identifier.lower()].values,
            f"{self.path}: {identifier}",
            empty_bits=SPECOBJID_EMPTY_BITS if identifier == "specObjID" else 0,
        )
        labels = {"objid": objid}
        if identifier.lower() == "objid" and self.bands == BANDS:
            parts = decode_objid(objid)
            labels |= {name: parts[name] for name in _FIELD}
        # A field that is not known is 0.
        labels |= {name: np.maximum(np.nan_to_num(number(name)), 0) for name in _FIELD if name in read}
        z, z_err = self.redshift
        labels |= {"ra": number("ra"), "dec": number("dec"), "z": measured("z", z)}
        if z_err.lower() in read:
            labels["z_err"] = measured("z_err", z_err)
        for band in self.bands:
            extinction, magnitude = f"extinction_{band}", f"mag_{band}"
            if extinction in read:
                labels[extinction] = measured(extinction, extinction)
            if magnitude in read:
                labels[magnitude] = measured(magnitude, magnitude)
            elif f"modelmag_{band}" in read:
                labels[magnitude] = measured(magnitude, f"modelMag_{band}") - labels[extinction]
        if "dered_petro_r" in read:
            labels["petro_r"] = measured("petro_r", "dered_petro_r")
        elif "petromag_r" in read and "extinction_r" in labels:
            labels["petro_r"] = measured("petro_r", "petroMag_r") - labels["extinction_r"]
        return pd.DataFrame(labels)

    def _needed(self, read: Mapping[str, _Column]) -> list[str]:
        """Return the labels that there must be besides an identifier."""
        bands = [band for band in self.bands if f"mag_{band}" not in read]
        return ["ra", "dec", self.redshift[0], *(f"{kind}_{b}" for kind in ("modelMag", "extinction") for b in bands)]

    def _open(self) -> tuple[int, tuple[int, int], bool, dict[str, Any]]:
        """Return number and shape of the stamps, `random_access`, and what the file says of bands and pixel scale."""
        raise NotImplementedError

    def _check_shape(self) -> None:
        """Raise InputError if there are not as many bands as names."""
        raise NotImplementedError

    def _blocks(self, start: int, stop: int, block: int, rows: slice, columns: slice) -> Iterator[np.ndarray]:
        """Yield blocks of stamps, bands first."""
        raise NotImplementedError

    def _read_labels(self) -> dict[str, _Column]:
        """Return all labels by their names in lower case."""
        raise NotImplementedError


class NpzCube(Cube):
    """A cube in an .npz file: ``cube`` (n, side, side, bands), bands last, and ``labels``, a table with a row a galaxy.

    So are the 659,857 galaxies of Pasquet et al. 2019 (A&A 621, A26) published. A file may name its ``bands`` (text)
    and its ``pixel_scale_arcsec`` in arrays of those names. Where ``{name}.labels.npz`` stands beside ``{name}.npz``,
    labels are taken from it.

    Raises
    ------
    InputError
        If the file is no such cube, or its labels can only be read by unpickling.
    """

    published = "https://deepdip.iap.fr/#item/60ef1e05be2b8ebb048d951d (sdss.npz, 54 GB)"
    published_selection = "Pasquet et al. 2019, A&A 621, A26, with the galaxies beyond their cuts"
    #: SWarp's, with which they resampled the stamps.
    published_kernel = "lanczos3"
    units: ClassVar[Mapping[str, str]] = {"objid": "SDSS objID where the labels have it, else specObjID"}

    def _open(self) -> tuple[int, tuple[int, int], bool, dict[str, Any]]:
        self._cube = NpzArray(self.path, "cube")
        if len(self._cube.shape) != 4 or self._cube.dtype.kind != "f":
            raise InputError(f"{self.path}: `cube` is {self._cube.dtype} {self._cube.shape}; {self._expected()}")
        said: dict[str, Any] = {}
        with np.load(self.path, allow_pickle=False) as file:
            try:
                if "bands" in file.files:
                    said["bands"] = tuple(map(str, np.ravel(file["bands"])))
                if "pixel_scale_arcsec" in file.files:
                    said["pixel_scale_arcsec"] = float(file["pixel_scale_arcsec"])
            except (ValueError, TypeError) as error:
                raise InputError(f"{self.path}: `bands` or `pixel_scale_arcsec` cannot be read ({error})") from error
        return self._cube.shape[0], self._cube.shape[1:3], self._cube.stored, said

    def _check_shape(self) -> None:
        shape = self._cube.shape
        if shape[3] != len(self.bands) or min(shape[1:3]) < 2:
            raise InputError(f"{self.path}: `cube` is {self._cube.dtype} {shape}; {self._expected()}")

    def _expected(self) -> str:
        bands = getattr(self, "bands", None)
        return (
            f"it should be float32 ('n', side, side, {len(bands or BANDS)}); cube.bands names other bands than "
            f"{', '.join(bands or BANDS)}"
        )

    def _blocks(self, start: int, stop: int, block: int, rows: slice, columns: slice) -> Iterator[np.ndarray]:
        for images in self._cube.blocks(start, stop, block):
            yield np.moveaxis(images[:, rows, columns], 3, 1)

    def _read_labels(self) -> dict[str, _Column]:
        table = _label_table(self.path)
        if len(table) != self.count:
            raise InputError(f"{self.path}: {len(table)} rows of labels for {self.count} stamps")
        return {name.lower(): _Column(name, table[name]) for name in table.dtype.names}


class HayatCube(Cube):
    """The cube of Hayat et al. 2021 (ApJL 911, L33), as published in HDF5.

    ``images`` (n, 5, 107, 107), bands first, and a one-dimensional dataset a label; there are no magnitudes.

    Raises
    ------
    InputError
        If the file is no such cube.
    """

    published = "https://portal.nersc.gov/project/dasrepo/self-supervised-learning-sdss (sdss_w_specz_valid.h5)"
    published_selection = "Hayat et al. 2021, ApJL 911, L33"
    #: Their resampling is not stated.
    published_kernel = "unknown"
    identifiers = ("ObjID",)
    redshift = ("specz_redshift", "specz_redshift_err")
    units: ClassVar[Mapping[str, str]] = {
        "mag_*": "NaN: the cube has no magnitudes",
        "petro_r": "NaN: the cube has no magnitudes",
    }
    _datasets = ("ObjID", "ra", "dec", *redshift, "e_bv")

    def _open(self) -> tuple[int, tuple[int, int], bool, dict[str, Any]]:
        try:
            with h5py.File(self.path, "r") as file:
                absent = [name for name in ("images", *self._datasets) if not isinstance(file.get(name), h5py.Dataset)]
                self._shape = () if absent else file["images"].shape
                lengths = {} if absent else {name: (*file[name].shape, 1)[0] for name in self._datasets}
        except OSError as error:
            raise InputError(f"{self.path}: not a readable HDF5 file ({error})") from error
        if absent:
            raise InputError(f"{self.path}: has no dataset {', '.join(absent)}")
        if len(self._shape) != 4:
            raise InputError(f"{self.path}: `images` has the shape {self._shape}; it should be (n, 5, 107, 107)")
        wrong = [f"{name} ({length})" for name, length in lengths.items() if length != self._shape[0]]
        if wrong:
            raise InputError(f"{self.path}: {self._shape[0]} stamps, but other numbers of {', '.join(wrong)}")
        return self._shape[0], self._shape[2:], True, {}

    def _check_shape(self) -> None:
        if self._shape[1] != len(self.bands) or min(self._shape[2:]) < STAMP_SIZE:
            raise InputError(
                f"{self.path}: `images` has the shape {self._shape}; it should be (n, {len(self.bands)}, 107, 107)"
            )

    def _blocks(self, start: int, stop: int, block: int, rows: slice, columns: slice) -> Iterator[np.ndarray]:
        try:
            with h5py.File(self.path, "r") as file:
                for first in range(start, stop, block):
                    yield file["images"][first : min(first + block, stop), :, rows, columns]
        except OSError as error:
            raise InputError(f"{self.path}: `images` is damaged ({error}); fetch it again") from error

    def _needed(self, read: Mapping[str, _Column]) -> list[str]:
        return []

    def _read_labels(self) -> dict[str, _Column]:
        with h5py.File(self.path, "r") as file:
            read = {name.lower(): _Column(name, file[name][:]) for name in self._datasets}
        extinction = read.pop("e_bv").values
        if extinction.shape != (self.count, len(self.bands)):
            raise InputError(f"{self.path}: `e_bv` is {extinction.shape}; it should be {(self.count, len(self.bands))}")
        return read | {f"extinction_{band}": _Column("e_bv", extinction[:, i]) for i, band in enumerate(self.bands)}


def open_cube(path: str | Path, bands: Sequence[str] | None = None) -> Cube:
    """Open a cube, of whichever kind it is.

    Parameters
    ----------
    path
        The file.
    bands
        Names of its bands; None where the file says them, or they are SDSS's.

    Raises
    ------
    InputError
        If there is no file, or it is no cube that is known.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file. cube.path names a cube, yours or a published one, to be fetched by hand: "
            f"{NpzCube.published}, or {HayatCube.published}"
        )
    if h5py.is_hdf5(path):
        return HayatCube(path, bands)
    if path.suffix == ".npz" or zipfile.is_zipfile(path):
        return NpzCube(path, bands)
    raise InputError(f"{path}: neither an .npz nor an HDF5 file, and so no cube that is known")


def _label_table(path: Path) -> np.ndarray:
    beside = path.with_suffix(".labels.npz")
    array = None
    try:
        array = NpzArray(beside if beside.exists() else path, "labels")
    except InputError as error:
        if "pickled" not in str(error):
            raise
        raise InputError(
            f"{error}: unpickling runs whatever code the file's maker put there. The safe way is to convert the "
            "labels once where that can do no harm (a container without network, with this folder as its only "
            f"mount): python -c \"import numpy as np; a = np.load('{path.name}', allow_pickle=True)['labels']; "
            f"np.savez('{beside.name}', labels=np.rec.fromarrays([np.array(a[n].tolist()) for n in a.dtype.names], "
            f'names=a.dtype.names))". {beside} is then read instead of the labels inside {path.name}.'
        ) from error
    table = array.read()
    if table.dtype.names is None or table.ndim != 1:
        raise InputError(
            f"{array.path}: `labels` is {table.dtype} {table.shape}; it should be a table with named columns"
        )
    return table
