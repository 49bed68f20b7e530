"""The cube of Pasquet et al. 2019 (A&A 621, A26): stamps and labels of 659,857 SDSS galaxies in one .npz file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.constants import BANDS, STAMP_SIZE
from astromae.errors import InputError
from astromae.survey.npz import NpzArray
from astromae.survey.objid import SPECOBJID_EMPTY_BITS, decode_objid, exact_identifiers
from astromae.survey.sentinels import Sentinels, numbers

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

    def labels(self, sentinels: Sentinels) -> pd.DataFrame:
        """Return the labels under the catalogue's names, as far as there are any, in the order of the cube.

        Parameters
        ----------
        sentinels
            Counts what is taken for a missing value.

        Raises
        ------
        InputError
            If labels are missing, there is not one row a stamp, or a value is wrong: names the row, from 1.
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
            return numbers(table[names[name.lower()]], f"{self.path}: {name}")

        def measured(column: str, name: str) -> np.ndarray:
            return sentinels.clean(column, number(name))

        identifier = identifiers[0]
        objid = exact_identifiers(
            table[names[identifier.lower()]],
            f"{self.path}: {identifier}",
            empty_bits=SPECOBJID_EMPTY_BITS if identifier == "specObjID" else 0,
        )
        labels = {"objid": objid}
        if identifier == "objID":
            parts = decode_objid(objid)
            labels |= {name: parts[name] for name in _FIELD}
        # A field that is not known is 0.
        labels |= {name: np.maximum(np.nan_to_num(number(name)), 0) for name in _FIELD if name in names}
        labels |= {"ra": number("ra"), "dec": number("dec"), "z": measured("z", "z")}
        if "zerr" in names:
            labels["z_err"] = measured("z_err", "zErr")
        for band in BANDS:
            labels[f"extinction_{band}"] = measured(f"extinction_{band}", f"extinction_{band}")
            labels[f"mag_{band}"] = measured(f"mag_{band}", f"modelMag_{band}") - labels[f"extinction_{band}"]
        if "dered_petro_r" in names:
            labels["petro_r"] = measured("petro_r", "dered_petro_r")
        elif "petromag_r" in names:
            labels["petro_r"] = measured("petro_r", "petroMag_r") - labels["extinction_r"]
        return pd.DataFrame(labels)

    def units(self) -> Mapping[str, str]:
        """Return what is unusual about the columns of `labels`."""
        return {"objid": "SDSS objID where the labels have it, else specObjID"}


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
