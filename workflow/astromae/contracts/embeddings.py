"""Embeddings: the file of an encoder's vectors of galaxies, stored so that they can be memory-mapped and searched.

HDF5: `objid` (n,) int64; `embeddings` (n, width) float16, contiguous; `norms` (n,) float32, their Euclidean lengths;
`columns/{name}` (n,), what else is known of the galaxies: numbers, or text as UTF-8 of fixed length, empty where it is
missing. Attributes: `about`, what made them, as JSON, and `version` of this package.
"""

import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from astromae import __version__
from astromae.errors import InputError
from astromae.files import atomic_path

#: Type of a stored embedding.
EMBEDDING_TYPE = np.dtype("<f2")

#: Rows that are turned into another type at a time: few enough to stay in the processor's caches.
BLOCK = 4096

#: Bytes that are copied at a time.
_COPY = 1 << 24


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Return the Euclidean lengths of vectors (n, width), shape (n,), float64, in bounded memory."""
    found = np.empty(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        rows = np.asarray(vectors[start : start + BLOCK], np.float64)
        found[start : start + BLOCK] = np.sqrt((rows**2).sum(axis=1))
    return found


class EmbeddingsWriter:
    """A file of embeddings that is written block by block, however many there will be.

    Use it in a ``with`` statement: the file appears at its end, and not at all if there was an error. The vectors wait
    on the disk meanwhile; only their objid and columns, some tens of bytes a galaxy, stay in memory.

    Parameters
    ----------
    path
        HDF5 file to write. Missing parent folders are made.
    about
        What made them, for example encoder, seed, SHA-256 of the recipe, survey; anything that JSON holds.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]):
        self.path, self.count = Path(path), 0
        self._about = json.dumps(about, sort_keys=True, allow_nan=False)
        self._width: int | None = None
        self._objid: list[np.ndarray] = []
        self._norms: list[np.ndarray] = []
        self._columns: dict[str, list[np.ndarray]] = {}

    def __enter__(self) -> Self:
        """Make room for the vectors, beside the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # HDF5 has to know how many there are before it lays them out in one piece. This file has no name, and is gone
        # with the process.
        self._rows = tempfile.TemporaryFile(dir=self.path.parent)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """Write the file, unless there was an error."""
        with self._rows:
            if kind is None:
                self._finish()

    def append(self, objid: ArrayLike, vectors: np.ndarray, columns: Mapping[str, ArrayLike] | None = None) -> None:
        """Add some galaxies.

        Parameters
        ----------
        objid
            Shape (n,), integers; none may come twice in a file. n may be 0.
        vectors
            Shape (n, width), of any float type.
        columns
            What else is known of them, shape (n,) each, by names without a slash; the same names in every block.

        Raises
        ------
        InputError
            If shapes do not fit together or what came before, a vector is zero or not finite in float16, a column is
            neither of numbers nor of text, or the disk is full.
        """
        objid, vectors = np.asarray(objid, np.int64), np.asarray(vectors)
        if vectors.ndim != 2 or objid.shape != vectors.shape[:1] or not vectors.shape[1]:
            raise InputError(
                f"{self.path}: vectors of shape {vectors.shape} for objid of shape {objid.shape}: expected (n, width) "
                "and (n,)"
            )
        if not len(objid):
            return
        given = {name: _typed(values, name, self.path) for name, values in (columns or {}).items()}
        for name, values in given.items():
            if values.shape != objid.shape or not name or "/" in name or name == ".":
                raise InputError(
                    f"{self.path}: column {name!r} of shape {values.shape}: expected {objid.shape} and no / in its name"
                )
        if self._width is None:
            self._width, self._columns = vectors.shape[1], {name: [] for name in given}
        if vectors.shape[1] != self._width or given.keys() != self._columns.keys():
            raise InputError(
                f"{self.path}: galaxies {self.count} to {self.count + len(objid)} have vectors of {vectors.shape[1]} "
                f"numbers and the columns {', '.join(given) or 'none'}; those before have {self._width}, and "
                f"{', '.join(self._columns) or 'none'}"
            )
        for start in range(0, len(objid), BLOCK):
            self._append(objid[start : start + BLOCK], vectors[start : start + BLOCK])
        for name, values in given.items():
            self._columns[name].append(values)

    def _append(self, objid: np.ndarray, vectors: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(vectors, EMBEDDING_TYPE)
        norms = lengths(rows)
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        if len(bad):
            what = "zero" if norms[bad[0]] == 0 else "not finite"
            raise InputError(
                f"{self.path}: the vector of objid {objid[bad[0]]} is {what} in float16, and has no direction; "
                "look at its stamp, or leave the galaxy out"
            )
        try:
            self._rows.write(rows.data)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; nothing was overwritten, free some space") from error
        self._objid.append(objid)
        self._norms.append(norms.astype(np.float32))
        self.count += len(objid)

    def _finish(self) -> None:
        if not self.count:
            raise InputError(f"{self.path}: no galaxy has an embedding; at least one is needed")
        objid = np.concatenate(self._objid)
        twice = pd.Series(objid).duplicated().to_numpy()
        if twice.any():
            raise InputError(f"{self.path}: objid {objid[twice][0]} comes twice; an identifier names one galaxy")
        columns = {name: _joined(pieces, name, self.path) for name, pieces in self._columns.items()}
        skeleton, offset = self._skeleton(objid, columns)
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
            file.write(skeleton)
            file.seek(offset)
            self._rows.seek(0)
            shutil.copyfileobj(self._rows, file, _COPY)

    def _skeleton(self, objid: np.ndarray, columns: Mapping[str, np.ndarray]) -> tuple[bytes, int]:
        """Compose the HDF5 file without its vectors; return it and the byte at which they belong.

        As of shards: the HDF5 library crashes the process when a disk fills up under it, and so only lays out the file.
        """
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            file.attrs["about"], file.attrs["version"] = self._about, __version__
            file["objid"], file["norms"] = objid, np.concatenate(self._norms)
            group = file.create_group("columns")
            for name, values in columns.items():
                group[name] = values
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_layout(h5py.h5d.CONTIGUOUS)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            plan.set_obj_track_times(False)
            space = h5py.h5s.create_simple((len(objid), self._width))
            # The last to get its place, at the end of the file: before it, memory would hold as much.
            vectors = h5py.h5d.create(file.id, b"embeddings", h5py.h5t.py_create(EMBEDDING_TYPE), space, dcpl=plan)
            offset = vectors.get_offset()
        return memory.getvalue(), offset


def _typed(values: ArrayLike, name: str, path: Path) -> np.ndarray:
    """Return a column as numbers, or as text in UTF-8 bytes."""
    series = pd.Series(values)
    if series.dtype.kind in "biuf":
        return series.to_numpy(np.float64, na_value=np.nan) if series.isna().any() else _plain(series)
    if series.dtype.kind != "O":
        raise InputError(f"{path}: column {name!r} holds {series.dtype}; expected numbers, or text")
    known = series[series.notna()]
    if len(known) and known.map(lambda value: isinstance(value, str)).all():
        text = series.astype(object).where(series.notna(), "").tolist()
        return np.char.encode(np.array(text, str), "utf-8")
    try:
        return series.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: column {name!r} holds {series.dtype}; expected numbers, or text") from error


def _plain(series: pd.Series) -> np.ndarray:
    """Return whole numbers, floats or booleans without missing ones, whichever way pandas holds them."""
    kind = series.dtype.numpy_dtype if hasattr(series.dtype, "numpy_dtype") else series.dtype
    return series.to_numpy(kind)


def _joined(pieces: list[np.ndarray], name: str, path: Path) -> np.ndarray:
    """Return the blocks of a column as one; a block that knows no value of a text has NaN, for want of any sign."""
    if any(piece.dtype.kind == "S" for piece in pieces):
        if not all(piece.dtype.kind == "S" or np.isnan(piece).all() for piece in pieces):
            raise InputError(f"{path}: column {name!r} is text in some blocks and numbers in others")
        pieces = [piece if piece.dtype.kind == "S" else np.full(len(piece), b"") for piece in pieces]
    return np.concatenate(pieces)


class Embeddings:
    """Embeddings as `EmbeddingsWriter` leaves them, memory-mapped.

    Parameters
    ----------
    path
        HDF5 file.

    Attributes
    ----------
    about : dict
        What made them.
    objid : array of int64, shape (n,)
        Galaxies.
    vectors : array of float16, shape (n, width)
        Their embeddings, in the file: read when they are used.
    norms : array of float32, shape (n,)
        Lengths of the vectors.
    columns : tuple of str
        Names of what else is known.

    Raises
    ------
    InputError
        If the file is missing, no HDF5 file, cut off, lacks something, or holds arrays that do not fit together.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            with h5py.File(self.path, "r") as file:
                self.objid, self.norms, vectors = file["objid"][:], file["norms"][:], file["embeddings"]
                shape, kind, offset = vectors.shape, vectors.dtype, vectors.id.get_offset()
                group = file["columns"]
                shapes = {name: group[name].shape for name in group}
                self.about = json.loads(file.attrs["about"])
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{self.path}: no file of embeddings ({error}); make it again with `astromae embed`"
            ) from error
        if len(shape) != 2 or not all(shape) or kind != EMBEDDING_TYPE or offset is None:
            raise InputError(
                f"{self.path}: `embeddings` is {kind} {shape}{'' if offset else ', not contiguous'}; expected "
                "contiguous float16 (n, width)"
            )
        shapes = {"objid": self.objid.shape, "norms": self.norms.shape, **shapes}
        for name, found in shapes.items():
            if found != shape[:1]:
                raise InputError(f"{self.path}: `{name}` has the shape {found}; {shape[:1]} belong to its embeddings")
        if self.objid.dtype.kind not in "iu":
            raise InputError(f"{self.path}: `objid` is {self.objid.dtype}; expected int64")
        if not (np.isfinite(self.norms).all() and (self.norms > 0).all()):
            bad = np.flatnonzero(~(np.isfinite(self.norms) & (self.norms > 0)))[0]
            raise InputError(f"{self.path}: `norms` of row {bad} is {self.norms[bad]}; expected positive lengths")
        self.columns = tuple(name for name in shapes if name not in ("objid", "norms"))
        # Mapped privately: torch takes only memory that could be written to. Nothing is, nor would it reach the file.
        self.vectors = np.asarray(np.memmap(self.path, EMBEDDING_TYPE, "c", offset, shape))
        self._order = np.argsort(self.objid, kind="stable")
        self._sorted = self.objid[self._order]
        twice = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]
        if len(twice):
            raise InputError(f"{self.path}: objid {twice[0]} comes twice; an identifier names one galaxy")
        self._read: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.objid)

    @property
    def width(self) -> int:
        """Return the numbers in an embedding."""
        return self.vectors.shape[1]

    def rows(self, objid: ArrayLike) -> np.ndarray:
        """Return the rows of galaxies, shape (k,), in the order in which they are asked for.

        Raises
        ------
        InputError
            If a galaxy is not in the file: names the first ones.
        """
        objid = np.atleast_1d(np.asarray(objid, np.int64))
        place = np.minimum(np.searchsorted(self._sorted, objid), len(self) - 1)
        unknown = objid[self._sorted[place] != objid]
        if len(unknown):
            raise InputError(
                f"{self.path}: no embedding of {len(unknown)} galaxies, the first are objid "
                f"{', '.join(map(str, unknown[:5]))}; it holds {len(self)}, objid {self._sorted[0]} to "
                f"{self._sorted[-1]}"
            )
        return self._order[place]

    def column(self, name: str) -> np.ndarray:
        """Return what else is known of the galaxies, shape (n,): numbers, or str, empty where it is missing.

        Raises
        ------
        InputError
            If the file has no such column: names those that it has.
        """
        if name not in self.columns:
            raise InputError(f"{self.path}: has no column {name}; it has {', '.join(self.columns) or 'none'}")
        if name not in self._read:
            with h5py.File(self.path, "r") as file:
                values = file["columns"][name][:]
            try:
                self._read[name] = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
            except UnicodeDecodeError as error:
                raise InputError(f"{self.path}: column {name} is no text in UTF-8 ({error})") from error
        return self._read[name]

    def table(self, rows: ArrayLike) -> pd.DataFrame:
        """Return objid and all columns of some rows, in their order."""
        return pd.DataFrame({"objid": self.objid[rows], **{name: self.column(name)[rows] for name in self.columns}})
