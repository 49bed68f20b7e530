"""Stamps that somebody has already: shards, HDF5, .npz, .npy and FITS files, read a batch at a time."""

import bz2
import contextlib
import gzip
import hashlib
import itertools
import json
import lzma
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.asking.batches import BATCH, Batch, Source
from astromae.contracts.shards import StampSet
from astromae.contracts.stamp_format import PIXEL_TYPE, StampFormat, split_bands
from astromae.errors import InputError
from astromae.survey.npz import NpzArray
from astromae.survey.objid import exact_identifiers
from astromae.survey.sentinels import Sentinels, numbers

if TYPE_CHECKING:
    from astropy.io.fits import HDUList

#: Units of a pixel that are understood, in nanomaggies. A maggie is the flux of AB magnitude 0, 3631 Jy.
UNITS: Mapping[str, float] = MappingProxyType(
    {"nanomaggies": 1.0, "maggies": 1e9, "microjansky": 1 / 3.631, "jansky": 1e6 / 3.631}
)

#: Why a galaxy has no stamp.
NOT_FINITE = "a pixel is not finite"
TOO_BRIGHT = f"a pixel is beyond {np.finfo(PIXEL_TYPE).max:.0f} nanomaggies, more than a network reads"

#: How far pixels may differ from those that a model was trained on.
SCALE_TOLERANCE = 0.01

# Stamps that are read at once; no block lies in two batches.
_BLOCK = BATCH // 8


# How files spell the units, in lower case and without "per pixel".
_SPELLINGS = {
    "nanomaggies": "nanomaggies nanomaggie nanomaggy nmaggies nmaggie nmaggy nmgy nmgys nanomgy",
    "maggies": "maggies maggie maggy mgy mgys",
    "microjansky": "microjansky microjanskys microjanskies ujy µjy μjy microjy",
    "jansky": "jansky janskys janskies jy",
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}

_SUFFIXES = (".h5", ".hdf5", ".npy", ".npz")
_FITS_SUFFIXES = (".fits", ".fit", ".fts")
_UNPACK: Mapping[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def is_stamp_file(path: str | Path) -> bool:
    """Return whether a path holds stamps rather than a table of galaxies.

    Folders, HDF5, .npz and .npy files do; FITS files do unless an extension is a table.
    """
    path = Path(path)
    try:
        if path.is_dir() or path.suffix.lower() in _SUFFIXES:
            return True
        # Zip archives without the suffix are spreadsheets rather than .npz files.
        kind = _kind(path)
        return kind in ("HDF5", ".npy") or (kind == "FITS" and not _has_table(path))
    except Exception:  # a damaged or absent file is left to the reader of tables, which says what is wrong
        return False


def open_stamp_file(
    path: str | Path,
    wanted: StampFormat,
    crop: int,
    bands: Sequence[str] | None = None,
    unit: str = "nanomaggies",
) -> Source:
    """Open stamps of any of the usual formats.

    Understood are, by their content, whatever they are called:

    - a folder of shards, as the step `cut` writes them;
    - HDF5 with a dataset ``images``, such as one shard;
    - .npz with an array ``images``;
    - .npy;
    - FITS, compressed or not: the image of the first HDU with three or four axes;
    - a folder of .npy files of one stamp each, in the order of their names, which become the column ``file``.

    Stamps are (n, bands, size, size) or (n, size, size, bands), or without the first axis where there is one. In HDF5
    and .npz, ``objid`` and all other one-dimensional arrays of n numbers or texts become columns of the table. Names
    of objid, ra, dec and mag_{band} may be in any case. Sentinels in magnitudes (`astromae.survey.sentinels`) become
    NaN. Galaxies without objid are numbered from 0.

    A file may say its bands, pixel scale and unit: ``bands``, ``pixel_scale_arcsec`` and ``unit`` as attributes of an
    HDF5 file or as arrays of an .npz file; BANDS, PIXSCALE (or celestial coordinates) and BUNIT in a FITS header.

    Parameters
    ----------
    path
        File or folder.
    wanted
        Bands, in their order, and pixel scale (arcsec) of the stamps that a model was trained on; its size is not
        looked at.
    crop
        Pixels on a side that the model's networks see.
    bands
        Bands of the file in their order, if they are others than the wanted ones and the file does not say them. Those
        that are not wanted are left out.
    unit
        Unit of a pixel, one of `UNITS`. A file's own unit is believed where this is nanomaggies.

    Returns
    -------
    Source
        Its format has the wanted bands in their order. Its stamps are the centre of the file's: `crop` pixels on a
        side, one more where the file's size has another parity.

    Raises
    ------
    InputError
        If the file cannot be read or is damaged, holds no stamps of the wanted bands, pixel scale and size, says
        something else than `bands` or `unit`, or a value of a column is wrong: names file and row, from 1. Reading
        batches raises it as well, where damage shows only then.
    """
    path, held = Path(path), tuple(bands) if bands is not None else None
    if unit not in UNITS:
        raise InputError(f"unit: {unit!r} is not understood; use {', '.join(UNITS)}")
    with _reading(path):
        stored = _open(path, wanted.bands)
    return StampFile(path, stored, wanted, crop, held, unit)


@dataclass(frozen=True)
class _Stored:
    """What a file holds, before it is known which of its axes is which.

    Attributes
    ----------
    kind
        Format of the file.
    digest
        Text that is another one for other files.
    shape
        Shape of all stamps, (n, a, b, c).
    dtype
        Type of a pixel.
    blocks
        Yields the stamps from a certain one on, so many at a time.
    columns
        Further values of all galaxies, by their names in the file; each of shape (n,).
    said
        Bands (tuple of str), pixel_scale_arcsec (float) and unit (str) as far as the file says them.
    """

    kind: str
    digest: str
    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Callable[[int, int], Iterator[np.ndarray]]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)


class StampFile:
    """The galaxies of a file of stamps; a `Source`, to be made by `open_stamp_file`.

    Parameters
    ----------
    path
        The file.
    stored
        What it holds.
    wanted, crop, bands, unit
        As of `open_stamp_file`.

    Attributes
    ----------
    path : Path
    format : StampFormat
        Bands as wanted; of the size the `crop` pixels in the centre, one more where the file's stamps have another
        parity.
    unit : str
        Unit of the file's pixels, one of `UNITS`.

    Raises
    ------
    InputError
        As of `open_stamp_file`.
    """

    def __init__(
        self, path: Path, stored: _Stored, wanted: StampFormat, crop: int, bands: tuple[str, ...] | None, unit: str
    ):
        self.path, self._stored, self.listed = path, stored, None
        held = _held_bands(path, stored.said.get("bands"), bands, wanted.bands)
        self._order = [held.index(band) for band in wanted.bands]
        self._bands_last, size = _axes(path, stored, held, crop)
        _check_scale(path, stored.said.get("pixel_scale_arcsec"), wanted.pixel_scale_arcsec)
        self.unit = _unit(path, stored.said.get("unit"), unit)
        # What no network sees is read no further; the centre stays where it is, whatever is cropped again.
        kept = crop + (size - crop) % 2
        self._seen = slice((size - kept) // 2, (size + kept) // 2)
        self.format = StampFormat(wanted.bands, wanted.pixel_scale_arcsec, kept)
        self._table = _table(path, stored.shape[0], stored.columns, tuple(dict.fromkeys((*wanted.bands, *held))))
        facts = [stored.kind, stored.digest, stored.shape, stored.dtype.str, held, wanted.bands, self.unit]
        self._identity = hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return self._stored.shape[0]

    @property
    def batch_count(self) -> int:
        """Return the number of batches."""
        return -(-len(self) // BATCH)

    @property
    def objid(self) -> NDArray[np.int64]:
        """Return the identifiers of all galaxies, shape (n,); one may come twice."""
        return self._table["objid"].to_numpy()

    def identity(self) -> str:
        """Return a text that is another one for other galaxies or stamps; it knows sizes and times of files."""
        return self._identity

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield all galaxies, `BATCH` at a time but for the last, from batch number `first` on.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        with _reading(self.path), contextlib.closing(self._stored.blocks(first * BATCH, _BLOCK)) as blocks:
            for start in range(first * BATCH, len(self), BATCH):
                stop = min(start + BATCH, len(self))
                images, reasons = self._read(blocks, stop - start)
                yield Batch(self._table.iloc[start:stop].reset_index(drop=True), images, reasons)

    def _read(self, blocks: Iterator[np.ndarray], count: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
        """Return the stamps of the next `count` galaxies, and why the others have none."""
        images = np.empty((count, *self.format.shape), dtype=np.float32)
        factor, reasons, kept = UNITS[self.unit], [], 0
        for block in itertools.islice(blocks, -(-count // _BLOCK)):
            pixels = images[kept : kept + len(block)]
            if self._bands_last:
                block = np.moveaxis(block, 3, 1)
            block = block[..., self._seen, self._seen]
            # What float32 or float16 cannot hold becomes infinite, and the galaxy has no stamp.
            with np.errstate(over="ignore"):
                for place, band in enumerate(self._order):
                    plane = block[:, band]
                    pixels[:, place] = plane if factor == 1 else np.multiply(plane, factor, dtype=np.float64)
                brightest = np.abs(pixels).max(axis=(1, 2, 3))
                bright = ~np.isfinite(brightest.astype(PIXEL_TYPE))
            reasons.append(np.where(np.isfinite(brightest), np.where(bright, TOO_BRIGHT, ""), NOT_FINITE))
            good = ~bright
            if bright.any():
                images[kept : kept + good.sum()] = pixels[good]
            kept += int(good.sum())
        found = np.concatenate(reasons)
        if len(found) != count:
            raise InputError(f"{self.path}: {count - len(found)} stamps are missing at its end; it became shorter")
        return images[:kept], found


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever the libraries raise at a damaged file into one line that names it."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{path}: cannot be read, or is damaged: {words}") from error


def _kind(path: Path) -> str | None:
    """Return the format of a file, by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(8)
    if h5py.is_hdf5(path):
        return "HDF5"
    if head.startswith(b"\x93NUMPY"):
        return ".npy"
    if head.startswith(b"PK"):
        return ".npz"
    for magic, unpack in _UNPACK.items():
        if head.startswith(magic):
            with unpack(path, "rb") as file:
                head = file.read(8)
            break
    return "FITS" if head.startswith(b"SIMPLE") else None


def _is_packed(path: Path) -> bool:
    """Return whether a FITS file is compressed as a whole."""
    with open(path, "rb") as file:
        return file.read(6) != b"SIMPLE"


def _open(path: Path, bands: Sequence[str]) -> _Stored:
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    kind = _kind(path)
    if kind == "HDF5":
        return _of_hdf5(path, bands)
    if kind == ".npz":
        return _of_npz(path, bands)
    if kind == ".npy":
        return _of_npy(path)
    if kind == "FITS":
        return _of_fits(path)
    damaged = path.suffix.lower() in (*_SUFFIXES, *_FITS_SUFFIXES)
    empty = not path.stat().st_size
    what = "is empty" if empty else f"is no {path.suffix} file" if damaged else "is no file of stamps"
    raise InputError(f"{path}: {what}; use HDF5, .npz, .npy or FITS, or a folder of shards or of .npy files")


def _of_folder(path: Path) -> _Stored:
    # Hidden files are half written.
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    shards = [file for file in files if file.suffix.lower() in (".h5", ".hdf5")]
    arrays = [file for file in files if file.suffix.lower() == ".npy"]
    if bool(shards) == bool(arrays):
        holds = "both shards (.h5) and .npy files" if shards else "neither shards (.h5) nor .npy files"
        raise InputError(f"{path}: a folder of stamps holds one kind of them; this one holds {holds}")
    return _of_shards(path, shards) if shards else _of_arrays(path, arrays)


def _of_shards(path: Path, files: Sequence[Path]) -> _Stored:
    stamps = StampSet(files)

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        for first in range(start, len(stamps), rows):
            yield stamps.read(stamps.objid[first : first + rows])

    said = {"bands": stamps.bands, "pixel_scale_arcsec": stamps.pixel_scale_arcsec, "unit": "nanomaggies"}
    _, shape = _all_axes(path, (len(stamps), *stamps.format.shape), PIXEL_TYPE)
    return _Stored("shards", _digest(files), shape, PIXEL_TYPE, blocks, {"objid": stamps.objid}, said)


def _of_arrays(path: Path, files: Sequence[Path]) -> _Stored:
    """Return a folder of .npy files of one stamp each."""
    first = _mapped(files[0])
    shape, dtype = first.shape, first.dtype
    one, _ = _all_axes(files[0], shape, dtype)
    if not one:
        raise InputError(f"{files[0]}: has the shape {shape}; in a folder, each .npy file holds one stamp")

    def stamp(file: Path) -> np.ndarray:
        array = _mapped(file)
        if (array.shape, array.dtype) != (shape, dtype):
            raise InputError(f"{file}: is {array.dtype} {array.shape}, but {files[0].name} is {dtype} {shape}")
        return array

    size = files[0].stat().st_size
    for file in files:
        # Files of one size are looked at when their turn comes: opening a million takes long.
        if file.stat().st_size != size:
            stamp(file)

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        for begin in range(start, len(files), rows):
            some = files[begin : begin + rows]
            block = np.empty((len(some), *shape), dtype)
            for place, file in enumerate(some):
                block[place] = stamp(file)
            yield block

    names = [file.name for file in files]
    columns = {"file": np.array(names, dtype=object)}
    digest = hashlib.sha256(f"{_digest(files)} {json.dumps(names)}".encode()).hexdigest()
    return _Stored("folder of .npy", digest, (len(files), *shape), dtype, blocks, columns)


def _of_hdf5(path: Path, bands: Sequence[str]) -> _Stored:
    with h5py.File(path, "r") as file:
        images = file.get("images")
        if not isinstance(images, h5py.Dataset):
            raise InputError(f"{path}: has no dataset `images`; it has {', '.join(file) or 'nothing'}")
        dtype = images.dtype
        one, shape = _all_axes(path, images.shape, dtype)
        # A chunk is unpacked as a whole, however few of its stamps are asked for.
        reads = _BLOCK if images.chunks is None else BATCH
        columns = {}
        for name in file:
            item = file.get(name)
            if isinstance(item, h5py.Dataset) and name != "images" and _is_column(path, name, item.shape, shape, bands):
                if h5py.check_string_dtype(item.dtype):
                    columns[name] = item.asstr(errors="replace")[:]
                elif item.dtype.kind in "biuf":
                    columns[name] = item[:]
        said = {}
        for key in ("bands", "pixel_scale_arcsec", "unit"):
            for holder in (images, file):
                if key in holder.attrs:
                    said[key] = holder.attrs[key]

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        with h5py.File(path, "r") as file:
            if one:
                yield file["images"][:][None]
                return
            for first in range(start, shape[0], reads):
                several = file["images"][first : first + reads]
                for begin in range(0, len(several), rows):
                    yield several[begin : begin + rows]

    return _Stored("HDF5", _digest([path]), shape, dtype, blocks, columns, _said(path, said))


def _of_npz(path: Path, bands: Sequence[str]) -> _Stored:
    images = NpzArray(path, "images")
    one, shape = _all_axes(path, images.shape, images.dtype)
    columns, said = {}, {}
    with np.load(path, allow_pickle=False) as file:
        names = list(file.files)
        for key in ("bands", "pixel_scale_arcsec", "unit"):
            if key in names:
                said[key] = file[key]
    for name in names:
        if name == "images" or name in said:
            continue
        try:
            array = NpzArray(path, name)
        except InputError:
            # Single values and pickled objects; neither is read.
            if _canonical(name, bands) is not None:
                raise
            continue
        if _is_column(path, name, array.shape, shape, bands) and array.dtype.kind in "biufSU":
            columns[name] = array.read()

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        if one:
            yield images.read()[None]
        else:
            yield from images.blocks(start, shape[0], rows)

    return _Stored(".npz", _digest([path]), shape, images.dtype, blocks, columns, _said(path, said))


def _of_npy(path: Path) -> _Stored:
    images = _mapped(path)
    one, shape = _all_axes(path, images.shape, images.dtype)

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        stamps = images[None] if one else images
        for first in range(start, shape[0], rows):
            yield stamps[first : first + rows]

    return _Stored(".npy", _digest([path]), shape, images.dtype, blocks)


def _of_fits(path: Path) -> _Stored:
    with _quietly(), _hdus(path) as hdus:
        found = (place for place, hdu in enumerate(hdus) if hdu.is_image and len(hdu.shape) in (3, 4))
        place = next(found, None)
        if place is None:
            held = ", ".join(f"{hdu.name or type(hdu).__name__} {getattr(hdu, 'shape', '')}".strip() for hdu in hdus)
            raise InputError(f"{path}: no HDU is an image with three or four axes; it has {held}")
        hdu, shape = hdus[place], hdus[place].shape
        # The type after scaling by BSCALE and BZERO, and whether the file ends early; unpacking all takes long.
        row = 0 if _is_packed(path) else shape[0] - 1
        dtype = hdu.section[row : row + 1].dtype if all(shape) else np.dtype(np.float32)
        one, shape = _all_axes(path, shape, dtype)
        keys = {"bands": "BANDS", "pixel_scale_arcsec": "PIXSCALE", "unit": "BUNIT"}
        headers = (hdus[0].header, hdu.header)
        said = {key: header[card] for header in headers for key, card in keys.items() if card in header}
        if "pixel_scale_arcsec" not in said:
            said |= _scale_of_coordinates(hdu.header)

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        with _hdus(path) as hdus:
            # Not around the loop: between blocks, warnings are those of whoever reads them.
            with _quietly():
                section = hdus[place].section
            if one:
                yield section[:, :, :][None]
                return
            for first in range(start, shape[0], rows):
                yield section[first : first + rows]

    return _Stored("FITS", _digest([path]), shape, dtype, blocks, said=_said(path, said))


def _scale_of_coordinates(header: Any) -> dict[str, float]:
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    try:
        wcs = WCS(header)
        if wcs.has_celestial:
            return {"pixel_scale_arcsec": 3600 * float(np.mean(proj_plane_pixel_scales(wcs.celestial)))}
    except ValueError:
        # Coordinates that are none say nothing of pixels.
        pass
    return {}


def _has_table(path: Path) -> bool:
    from astropy.io import fits

    with _quietly(), _hdus(path) as hdus:
        return any(isinstance(hdu, fits.BinTableHDU | fits.TableHDU) for hdu in hdus)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep astropy from warning of cards that are not quite as the standard has them; real damage is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _hdus(path: Path) -> "HDUList":
    """Open a FITS file, of which nothing is read yet."""
    from astropy.io import fits

    with _quietly():
        return fits.open(path, memmap=False)


def _mapped(path: Path) -> np.ndarray:
    """Return an .npy file's array, mapped into memory."""
    with _reading(path):
        return np.lib.format.open_memmap(path, mode="r")


def _digest(files: Sequence[Path]) -> str:
    """Return a text that is another one for files of other sizes or times."""
    digest = hashlib.sha256()
    for file in files:
        found = file.stat()
        digest.update(f"{found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _all_axes(path: Path, shape: Sequence[int], dtype: np.dtype) -> tuple[bool, tuple[int, ...]]:
    """Return whether there is one stamp, without an axis of its own, and the shape with that axis."""
    if dtype.kind != "f":
        raise InputError(f"{path}: its stamps are {dtype.name}; a flux is float16, float32 or float64")
    if len(shape) not in (3, 4):
        raise InputError(
            f"{path}: its stamps have the shape {tuple(shape)}; use (n, bands, size, size) or (n, size, size, bands), "
            "or (bands, size, size) for one stamp"
        )
    one = len(shape) == 3
    full = (1, *shape) if one else tuple(shape)
    if not all(full):
        raise InputError(f"{path}: holds no stamps, its shape is {tuple(shape)}")
    return one, tuple(map(int, full))


def _said(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says of itself, whatever it is stored as."""
    said: dict[str, Any] = {}
    for key, value in found.items():
        cells = np.asarray(value)
        texts = [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in cells.ravel().tolist()]
        if key == "bands":
            # One text stands for all bands, as in a shard; several are a name each.
            names = split_bands(texts[0]) if cells.ndim == 0 else texts
            said[key] = tuple(name.strip() for name in names)
        elif len(texts) != 1:
            raise InputError(f"{path}: its {key} is {value!s:.60}; use one value")
        elif key == "unit":
            said[key] = texts[0]
        else:
            try:
                said[key] = float(texts[0])
            except ValueError:
                raise InputError(f"{path}: its {key} is {texts[0]!r}; use a number") from None
    return said


def _held_bands(
    path: Path, said: tuple[str, ...] | None, option: tuple[str, ...] | None, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the file's bands in their order."""
    if said and option and said != option:
        raise InputError(f"{path}: says that its bands are {', '.join(said)}, but bands is {', '.join(option)}")
    held = said or option or wanted
    for band in wanted:
        if held.count(band) != 1:
            raise InputError(
                f"{path}: has the band {band} {held.count(band)} times among {', '.join(held)}; "
                f"the model wants each of {', '.join(wanted)} once"
            )
    return held


def _axes(path: Path, stored: _Stored, held: Sequence[str], crop: int) -> tuple[bool, int]:
    """Return whether bands are the last axis of a stamp, and its pixels on a side."""
    count, shape = len(held), stored.shape
    first, last = shape[1] == count, shape[3] == count
    if first == last:
        why = "it is not clear which axis the bands are" if first else f"no axis fits the bands {', '.join(held)}"
        raise InputError(
            f"{path}: stamps have the shape {shape[1:]}: {why}; use ({count}, size, size) or (size, size, {count}), "
            "or name the file's bands where there are others"
        )
    rows, columns = shape[2:] if first else shape[1:3]
    if rows != columns or rows % 2:
        raise InputError(
            f"{path}: stamps have {rows} x {columns} px; use squares of an even number, with the galaxy in the centre"
        )
    if rows < crop:
        raise InputError(f"{path}: stamps have {rows} px on a side, but the model sees {crop}; use {crop} or more")
    return last, rows


def _check_scale(path: Path, said: float | None, wanted: float) -> None:
    if said is not None and not abs(said / wanted - 1) <= SCALE_TOLERANCE:
        raise InputError(
            f"{path}: says that its pixels are {said:.4g} arcsec, but the model was trained on {wanted:g}; "
            "resample the stamps"
        )


def _unit(path: Path, said: str | None, option: str) -> str:
    """Return the unit of a file's pixels."""
    if said is None or not said.strip():
        return option
    spelt = re.sub(r"\s*(/|\bper\b)\s*pix(el)?$", "", said.strip().lower())
    known = _UNIT_OF.get(spelt)
    if known != option and option != "nanomaggies":
        raise InputError(f"{path}: says that its unit is {said!r}, but unit is {option}; leave one of them out")
    if known is None:
        raise InputError(f"{path}: says that its unit is {said!r}; use {', '.join(UNITS)}")
    return known


def _canonical(name: str, bands: Sequence[str]) -> str | None:
    """Return what a column is called in a batch, if it is one of those that are known."""
    known = ["objid", "ra", "dec", *(f"mag_{band}" for band in bands)]
    if name in known:
        return name
    return next((other for other in known if other.lower() == name.lower()), None)


def _is_column(path: Path, name: str, found: Sequence[int], shape: Sequence[int], bands: Sequence[str]) -> bool:
    """Return whether an array has a value a galaxy."""
    if tuple(found) == (shape[0],):
        return True
    if _canonical(name, bands) is not None:
        raise InputError(f"{path}: {name} has the shape {tuple(found)} beside {shape[0]} stamps; use one value a stamp")
    return False


def _table(path: Path, count: int, columns: Mapping[str, np.ndarray], bands: Sequence[str]) -> pd.DataFrame:
    """Return a row a galaxy: objid, ra, dec and magnitudes as far as there are any, then all others."""
    known: dict[str, tuple[str, np.ndarray]] = {}
    others: dict[str, np.ndarray] = {}
    for name, cells in columns.items():
        key = _canonical(name, bands)
        if key is None:
            # Texts of fixed length are bytes in HDF5; pandas wants numbers in the machine's byte order.
            is_bytes = cells.dtype.kind == "S"
            native = cells.dtype.newbyteorder("=")
            others[name] = np.char.decode(cells, "utf-8", "replace") if is_bytes else cells.astype(native)
        elif key in known:
            raise InputError(f"{path}: {known[key][0]} and {name} have one name; leave one out")
        else:
            known[key] = name, cells
    table: dict[str, np.ndarray] = {"objid": np.arange(count, dtype=np.int64)}
    if "objid" in known:
        table["objid"] = _identifiers(path, *known.pop("objid"))
    sentinels = Sentinels(path)
    for key in [key for key in ("ra", "dec", *(f"mag_{band}" for band in bands)) if key in known]:
        name, cells = known[key]
        values = numbers(cells, f"{path}: {name}")
        table[key] = sentinels.clean(key, values) if key.startswith("mag_") else _position(path, key, values)
    sentinels.log_counts(count)
    return pd.DataFrame(table | others)


def _identifiers(path: Path, name: str, cells: np.ndarray) -> NDArray[np.int64]:
    if cells.dtype.kind == "i" or (cells.dtype.kind == "u" and cells.max() < 2**63):
        return cells.astype(np.int64)
    return exact_identifiers(cells, f"{path}: {name}", "or leave it out: galaxies are then numbered from 0")


def _position(path: Path, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions, deg; NaN where unknown, right ascensions from 0 to 360."""
    values = np.where(np.isfinite(values), values, np.nan)
    low, high = (-180, 360) if name == "ra" else (-90, 90)
    wrong = (values < low) | (values > high)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: row {row + 1}: {name} is {values[row]:.10g}; use degrees from {low} to {high}, "
            "or NaN where it is unknown"
        )
    return np.where(values < 0, values + 360, values) if name == "ra" else values
