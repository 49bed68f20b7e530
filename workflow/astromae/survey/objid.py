"""The SDSS object identifier: a 64-bit integer that says where an object was detected."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astromae.errors import InputError
from astromae.survey.archive import RERUN

#: Version of the sky definition in the identifiers of DR8 and later.
SKY_VERSION = 2

#: Lowest bit and number of bits of each part (SDSS algorithms page "Photometric ObjIDs"; bit 63 is empty).
LAYOUT = {
    "sky_version": (59, 4),
    "rerun": (48, 11),
    "run": (32, 16),
    "camcol": (29, 3),
    "first_field": (28, 1),
    "field": (16, 12),
    "id": (0, 16),
}


def encode_objid(run: ArrayLike, camcol: ArrayLike, field: ArrayLike, number: ArrayLike) -> NDArray[np.int64]:
    """Pack object identifiers; `number` is the object's id within its field.

    Raises
    ------
    InputError
        If a part does not fit in its bits.
    """
    parts = {
        "sky_version": SKY_VERSION,
        "rerun": RERUN,
        "run": run,
        "camcol": camcol,
        "first_field": 0,
        "field": field,
        "id": number,
    }
    objid = np.int64(0)
    for name, value in parts.items():
        shift, bits = LAYOUT[name]
        value = np.asarray(value, dtype=np.int64)
        if np.any((value < 0) | (value >= 1 << bits)):
            raise InputError(f"{name}: must lie in 0 to {(1 << bits) - 1} to fit in an object identifier")
        objid = objid | (value << shift)
    return np.asarray(objid)


def decode_objid(objid: ArrayLike) -> dict[str, NDArray[np.int64]]:
    """Unpack object identifiers into the parts of `LAYOUT`."""
    objid = np.asarray(objid, dtype=np.int64)
    return {name: (objid >> shift) & ((1 << bits) - 1) for name, (shift, bits) in LAYOUT.items()}
