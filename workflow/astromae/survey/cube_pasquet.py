"""The cube of Pasquet et al. 2019 (A&A 621, A26): stamps and labels of 659,857 SDSS galaxies in one .npz file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.stamps.shards import STAMP_SIZE
from astromae.survey.npz import NpzArray
from astromae.survey.objid import decode_objid

#: Marks a missing value in SDSS tables.
_MISSING = -9999

_FIELD = ("run", "rerun", "camcol", "field")

#: Columns that the labels must have, besides an object identifier.
_NEEDED = ("ra", "dec", "z", *(f"{kind}_{band}" for kind in ("modelMag", "extinction") for band in BANDS))


class PasquetCube:
    """The cube as published: ``cube`` (n, 64, 64, 5), bands last, and ``labels``, a table with a row a galaxy.

    Parameters
    ----------
    path
        The .npz file. Where ``{name}.labels.npz`` stands beside ``{name}.npz``, labels are taken from it.

    Raises
    ------
    InputError
        If the file is no such cube, or its labels can only be read by unpickling.
    """

    #: Where the file is published.
    published = "https://deepdip.iap.fr/#item/60ef1e05be2b8ebb048d951d (sdss.npz, 54 GB)"
    #: Data release that the galaxies were selected from.
    release = 12
    selection = "Pasquet et al. 2019, A&A 621, A26, with the galaxies beyond their cuts"
    #: The stamps were resampled by SWarp with this kernel.
    kernel = "lanczos3"

    def __init__(self, path: Path):
        self.path = path
        self._cube = NpzArray(path, "cube")
        expected = (STAMP_SIZE, STAMP_SIZE, len(BANDS))
        if self._cube.shape[1:] != expected or self._cube.dtype.kind != "f":
            raise InputError(
                f"{path}: `cube` is {self._cube.dtype} {self._cube.shape}; it should be float32 {('n', *expected)}"
            )
        self.count = self._cube.shape[0]
        #: Whether a range of stamps is read without reading those before it.
        self.random_access = self._cube.stored

    def stamps(self, start: int, stop: int, block: int) -> Iterator[np.ndarray]:
        """Yield stamps `start` to `stop` in blocks of at most `block`, float32, shape (n, 5, 64, 64), nanomaggies."""
        for images in self._cube.blocks(start, stop, block):
            yield np.moveaxis(images, 3, 1)

    def labels(self) -> pd.DataFrame:
        """Return the labels under the catalogue's names, as far as there are any, in the order of the cube.

        Raises
        ------
        InputError
            If labels are missing or there is not one row a stamp.
        """
        table = _read_labels(self.path)
        if len(table) != self.count:
            raise InputError(f"{self.path}: {len(table)} rows of labels for {self.count} stamps")
        names = {name.lower(): name for name in table.dtype.names}
        absent = [name for name in _NEEDED if name.lower() not in names]
        identifiers = [name for name in ("objID", "specObjID") if name.lower() in names]
        if absent or not identifiers:
            absent += [] if identifiers else ["objID or specObjID"]
            raise InputError(f"{self.path}: the labels have no column {', '.join(absent)}")

        def number(name: str) -> np.ndarray:
            values = np.asarray(table[names[name.lower()]], dtype=np.float64)
            return np.where(values == _MISSING, np.nan, values)

        identifier = identifiers[0]
        objid = exact_identifiers(table[names[identifier.lower()]], f"{self.path}: {identifier}")
        labels = {"objid": objid}
        if identifier == "objID":
            parts = decode_objid(objid)
            labels |= {name: parts[name] for name in _FIELD}
        labels |= {name: number(name) for name in ("ra", "dec", "z")}
        labels |= {
            name: np.asarray(table[names[name]]) for name in ("run", "rerun", "camcol", "field") if name in names
        }
        if "zerr" in names:
            labels["z_err"] = number("zErr")
        for band in BANDS:
            labels[f"extinction_{band}"] = number(f"extinction_{band}")
            labels[f"mag_{band}"] = number(f"modelMag_{band}") - labels[f"extinction_{band}"]
        if "dered_petro_r" in names:
            labels["petro_r"] = number("dered_petro_r")
        elif "petromag_r" in names:
            labels["petro_r"] = number("petroMag_r") - labels["extinction_r"]
        return pd.DataFrame(labels)

    def units(self) -> Mapping[str, str]:
        """Return what is unusual about the columns of `labels`."""
        return {"objid": "SDSS objID where the labels have it, else specObjID"}


def exact_identifiers(values: np.ndarray, source: str) -> np.ndarray:
    """Return 64-bit identifiers from whole numbers, however they are stored, without losing a digit.

    Raises
    ------
    InputError
        If a value is no positive whole number below 2**63, or two would not be told apart because they were stored
        as floating-point numbers.
    """
    values = np.asarray(values)
    try:
        if values.dtype.kind in "SU":
            exact = np.array([int(value) for value in values.tolist()], dtype=np.int64)
        else:
            with np.errstate(invalid="ignore"):
                exact = values.astype(np.int64)
            if not np.array_equal(exact.astype(values.dtype), values):
                raise OverflowError
        if (exact <= 0).any():
            raise OverflowError
    except (ValueError, OverflowError) as error:
        raise InputError(f"{source} holds something else than positive whole numbers below 2^63") from error
    if values.dtype.kind == "f":
        rounded = exact >= 1 << (np.finfo(values.dtype).nmant + 1)
        if rounded.any() and len(np.unique(exact)) != len(exact):
            raise InputError(f"{source} is stored as {values.dtype}, which cannot tell 64-bit identifiers apart")
    return exact


def _read_labels(path: Path) -> np.ndarray:
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
