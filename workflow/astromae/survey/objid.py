"""The SDSS object identifier: a 64-bit integer that says where an object was detected."""

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astromae.errors import InputError
from astromae.survey.archive import RERUN
from astromae.survey.sentinels import as_text, not_right, one_a_row

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


#: Lowest bits of a specObjID that are empty (SDSS glossary "SpecObjID"); of an objID there are none.
SPECOBJID_EMPTY_BITS = 10


def exact_identifiers(cells: ArrayLike, name: str, otherwise: str = "", empty_bits: int = 0) -> NDArray[np.int64]:
    """Return identifiers from whole numbers, however they are stored, where no digit can be lost.

    Parameters
    ----------
    cells
        Whole numbers as integers, as text, or as floating-point numbers that hold them all exactly; shape (n,).
    name
        File and column, for messages: ``list.csv: objid``.
    otherwise
        What else could be done, for messages.
    empty_bits
        Lowest bits of every identifier that are 0, which a floating-point number need not hold.

    Raises
    ------
    InputError
        If one is no positive whole number below 2**63, or may have lost digits: names the row, from 1.
    """
    otherwise = otherwise and f", {otherwise}"
    right = f"use a positive whole number below 2^63{otherwise}"
    rounded = f"a number that lost its last digits; store it as an integer or as text{otherwise}"
    values = one_a_row(cells, name)
    if values.dtype.kind in "iu":
        wrong = values <= 0
        if values.dtype.kind == "u":
            wrong |= values >= 2**63
        if wrong.any():
            row = int(wrong.argmax())
            raise not_right(name, row, int(values[row]), right)
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        bits = np.finfo(values.dtype).nmant + 1
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(values) & (values == np.round(values)) & (values > 0) & (values < 2.0**63)
            kept = (values < 2.0**bits) | ((bits + empty_bits >= 63) & (values % 2.0**empty_bits == 0))
        for right_ones, what in ((whole, right), (kept, rounded)):
            if not right_ones.all():
                row = int((~right_ones).argmax())
                raise not_right(name, row, float(values[row]), what)
        return values.astype(np.int64)
    exact = np.empty(len(values), dtype=np.int64)
    for row, text in enumerate(as_text(values)):
        whole_part = re.fullmatch(r"\+?(\d+)(\.0*)?", text)
        if whole_part:
            number = int(whole_part[1])
        else:
            number = _from_exponent(name, row, values[row], text, right, rounded)
        if not 0 < number < 2**63:
            raise not_right(name, row, values[row], right)
        exact[row] = number
    return exact


def _from_exponent(name: str, row: int, cell: object, text: str, right: str, rounded: str) -> int:
    """Return a whole number that is written with an exponent, as spreadsheets write long ones, if it is short."""
    try:
        value = float(text)
    except ValueError:
        raise not_right(name, row, cell, right) from None
    if not value.is_integer():
        raise not_right(name, row, cell, right)
    if abs(value) >= 2**53:
        raise not_right(name, row, cell, rounded)
    return int(value)
