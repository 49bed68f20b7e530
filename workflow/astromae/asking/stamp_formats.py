"""The formats in which people have stamps: shards, HDF5, .npz, .npy and FITS, read in blocks as they are stored.

What the axes mean, and in which bands and unit the pixels are, is left to `astromae.asking.stamp_files`.
"""

import bz2
import contextlib
import gzip
import hashlib
import json
import lzma
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from astromae.asking.batches import BATCH
from astromae.contracts.shards import StampSet
from astromae.contracts.stamp_format import PIXEL_TYPE, split_bands
from astromae.errors import InputError
from astromae.survey.npz import NpzArray

if TYPE_CHECKING:
    from astropy.io.fits import HDUList

#: Stamps that are read at once; no block lies in two batches.
BLOCK = BATCH // 8

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


@dataclass(frozen=True)
class Stored:
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


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
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


def open_stored(path: Path, bands: Sequence[str]) -> Stored:
    """Return what a file or folder holds; `bands` are those whose magnitudes may stand beside the stamps.

    Raises
    ------
    InputError
        If it is of none of the formats. At a damaged file the libraries raise what they like (`reading`).
    """
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


def _of_folder(path: Path) -> Stored:
    # Hidden files are half written.
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    shards = [file for file in files if file.suffix.lower() in (".h5", ".hdf5")]
    arrays = [file for file in files if file.suffix.lower() == ".npy"]
    if bool(shards) == bool(arrays):
        holds = "both shards (.h5) and .npy files" if shards else "neither shards (.h5) nor .npy files"
        raise InputError(f"{path}: a folder of stamps holds one kind of them; this one holds {holds}")
    return _of_shards(path, shards) if shards else _of_arrays(path, arrays)


def _of_shards(path: Path, files: Sequence[Path]) -> Stored:
    stamps = StampSet(files)

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        for first in range(start, len(stamps), rows):
            yield stamps.read(stamps.objid[first : first + rows])

    said = {"bands": stamps.bands, "pixel_scale_arcsec": stamps.pixel_scale_arcsec, "unit": "nanomaggies"}
    _, shape = _all_axes(path, (len(stamps), *stamps.format.shape), PIXEL_TYPE)
    return Stored("shards", _digest(files), shape, PIXEL_TYPE, blocks, {"objid": stamps.objid}, said)


def _of_arrays(path: Path, files: Sequence[Path]) -> Stored:
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
    return Stored("folder of .npy", digest, (len(files), *shape), dtype, blocks, columns)


def _of_hdf5(path: Path, bands: Sequence[str]) -> Stored:
    with h5py.File(path, "r") as file:
        images = file.get("images")
        if not isinstance(images, h5py.Dataset):
            raise InputError(f"{path}: has no dataset `images`; it has {', '.join(file) or 'nothing'}")
        dtype = images.dtype
        one, shape = _all_axes(path, images.shape, dtype)
        # A chunk is unpacked as a whole, however few of its stamps are asked for.
        reads = BLOCK if images.chunks is None else BATCH
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

    return Stored("HDF5", _digest([path]), shape, dtype, blocks, columns, _said(path, said))


def _of_npz(path: Path, bands: Sequence[str]) -> Stored:
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
            if known_name(name, bands) is not None:
                raise
            continue
        if _is_column(path, name, array.shape, shape, bands) and array.dtype.kind in "biufSU":
            columns[name] = array.read()

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        if one:
            yield images.read()[None]
        else:
            yield from images.blocks(start, shape[0], rows)

    return Stored(".npz", _digest([path]), shape, images.dtype, blocks, columns, _said(path, said))


def _of_npy(path: Path) -> Stored:
    images = _mapped(path)
    one, shape = _all_axes(path, images.shape, images.dtype)

    def blocks(start: int, rows: int) -> Iterator[np.ndarray]:
        stamps = images[None] if one else images
        for first in range(start, shape[0], rows):
            yield stamps[first : first + rows]

    return Stored(".npy", _digest([path]), shape, images.dtype, blocks)


def _of_fits(path: Path) -> Stored:
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

    return Stored("FITS", _digest([path]), shape, dtype, blocks, said=_said(path, said))


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
    with reading(path):
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


def known_name(name: str, bands: Sequence[str]) -> str | None:
    """Return what a column is called in a batch, if it is one of those that are known."""
    known = ["objid", "ra", "dec", *(f"mag_{band}" for band in bands)]
    if name in known:
        return name
    return next((other for other in known if other.lower() == name.lower()), None)


def _is_column(path: Path, name: str, found: Sequence[int], shape: Sequence[int], bands: Sequence[str]) -> bool:
    """Return whether an array has a value a galaxy."""
    if tuple(found) == (shape[0],):
        return True
    if known_name(name, bands) is not None:
        raise InputError(f"{path}: {name} has the shape {tuple(found)} beside {shape[0]} stamps; use one value a stamp")
    return False
