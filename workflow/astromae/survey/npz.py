"""Arrays inside .npz files, read in part and without unpickling anything."""

import ast
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from astromae.errors import InputError

#: Bytes that are skipped at once on the way to the rows asked for.
_SKIP_BYTES = 8 * 1024 * 1024


class NpzArray:
    """One array of an .npz file (numpy.savez or savez_compressed), of which any range of rows can be read.

    Parameters
    ----------
    path
        The .npz file.
    name
        Name of the array in it.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    stored : bool
        Whether the array lies in the file as it is, so that a range is read without reading what is before it.

    Raises
    ------
    InputError
        If the file is no .npz file or an incomplete one, has no such array, or the array can only be read by
        unpickling objects, which could run code of whoever made the file.
    """

    def __init__(self, path: str | Path, name: str):
        self.path, self.name = Path(path), name
        try:
            with zipfile.ZipFile(path) as archive:
                if f"{name}.npy" not in archive.namelist():
                    raise InputError(f"{path}: has no array {name!r}; it has {', '.join(archive.namelist())}")
                self._member = archive.getinfo(f"{name}.npy")
                with archive.open(self._member) as file:
                    self.shape, self.dtype = _read_header(file)
                    self._data = file.tell()
        except (OSError, zipfile.BadZipFile, ValueError, zlib.error) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: no complete .npz file with an array {name!r} ({error})") from error
        if self.dtype.hasobject:
            raise InputError(f"{path}: its array {name!r} holds pickled Python objects, which are not read")
        self.stored = self._member.compress_type == zipfile.ZIP_STORED

    def blocks(self, start: int, stop: int, rows: int) -> Iterator[np.ndarray]:
        """Yield the rows from `start` up to, and without, `stop`, in blocks of at most `rows`.

        Raises
        ------
        InputError
            If the data are damaged or end early.
        """
        row_bytes = int(self.dtype.itemsize * np.prod(self.shape[1:], dtype=np.int64))
        try:
            with self._open() as file:
                _skip(file, start * row_bytes)
                for first in range(start, stop, rows):
                    count = min(rows, stop - first)
                    data = file.read(count * row_bytes)
                    if len(data) != count * row_bytes:
                        raise InputError(f"{self.path}: {self.name!r} ends before row {first + count}; fetch it again")
                    yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])
        except (OSError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise InputError(f"{self.path}: {self.name!r} is damaged ({error}); fetch it again") from error

    def read(self) -> np.ndarray:
        """Read the whole array."""
        return next(self.blocks(0, self.shape[0], max(1, self.shape[0])), np.empty(self.shape, self.dtype))

    def _open(self) -> BinaryIO:
        """Open the array at its first row."""
        if not self.stored:
            with zipfile.ZipFile(self.path) as archive:
                file = archive.open(self._member)
            _skip(file, self._data)
            return file
        # zipfile reaches a position by reading all that comes before it; in the file itself one can seek.
        file = open(self.path, "rb")
        file.seek(self._member.header_offset)
        local = struct.unpack("<4s22x2H", file.read(30))
        file.seek(self._member.header_offset + 30 + local[1] + local[2] + self._data)
        return file


def _skip(file: BinaryIO, count: int) -> None:
    if isinstance(file, zipfile.ZipExtFile):
        while count:
            count -= len(file.read(min(count, _SKIP_BYTES))) or count
    else:
        file.seek(count, 1)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Read the header of an .npy file; the file then stands at the first row."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version in read:
        shape, fortran_order, dtype = read[version](file)
    else:
        # Version 3 is version 2 with the header in UTF-8.
        (length,) = struct.unpack("<I", file.read(4))
        header = ast.literal_eval(file.read(length).decode("utf-8"))
        shape, fortran_order = header["shape"], header["fortran_order"]
        dtype = np.lib.format.descr_to_dtype(header["descr"])
    if fortran_order or not shape:
        raise ValueError("it is not stored row by row")
    return shape, dtype
