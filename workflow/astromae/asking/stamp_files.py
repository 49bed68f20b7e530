"""Stamps that somebody has already, a batch at a time: in the bands, the order and the unit that a model reads."""

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.asking.batches import BATCH, Batch, Source
from astromae.asking.stamp_formats import BLOCK, Stored, known_name, open_stored, reading
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.stamp_format import PIXEL_TYPE, StampFormat
from astromae.errors import InputError
from astromae.survey.objid import exact_identifiers
from astromae.survey.sentinels import Sentinels, numbers

#: Units of a pixel that are understood, in nanomaggies. A maggie is the flux of AB magnitude 0, 3631 Jy.
UNITS: Mapping[str, float] = MappingProxyType(
    {"nanomaggies": 1.0, "maggies": 1e9, "microjansky": 1 / 3.631, "jansky": 1e6 / 3.631}
)

#: Why a galaxy has no stamp.
NOT_FINITE = "a pixel is not finite"
TOO_BRIGHT = f"a pixel is beyond {np.finfo(PIXEL_TYPE).max:.0f} nanomaggies, more than a network reads"

#: How far pixels may differ from those that a model was trained on.
SCALE_TOLERANCE = 0.01

# How files spell the units, in lower case and without "per pixel".
_SPELLINGS = {
    "nanomaggies": "nanomaggies nanomaggie nanomaggy nmaggies nmaggie nmaggy nmgy nmgys nanomgy",
    "maggies": "maggies maggie maggy mgy mgys",
    "microjansky": "microjansky microjanskys microjanskies ujy µjy μjy microjy",
    "jansky": "jansky janskys janskies jy",
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}


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
    with reading(path):
        stored = open_stored(path, wanted.bands)
    return StampFile(path, stored, wanted, crop, held, unit)


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
        self, path: Path, stored: Stored, wanted: StampFormat, crop: int, bands: tuple[str, ...] | None, unit: str
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

    def has_magnitudes(self, bands: Sequence[str]) -> bool:
        """Return whether a galaxy has magnitudes in all bands."""
        columns = magnitude_columns(bands)
        return set(columns) <= set(self._table) and bool(self._table[columns].notna().all(axis=1).any())

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
        with reading(self.path), contextlib.closing(self._stored.blocks(first * BATCH, BLOCK)) as blocks:
            for start in range(first * BATCH, len(self), BATCH):
                stop = min(start + BATCH, len(self))
                images, reasons = self._read(blocks, stop - start)
                yield Batch(self._table.iloc[start:stop].reset_index(drop=True), images, reasons)

    def _read(self, blocks: Iterator[np.ndarray], count: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
        """Return the stamps of the next `count` galaxies, and why the others have none."""
        images = np.empty((count, *self.format.shape), dtype=np.float32)
        factor, reasons, kept = UNITS[self.unit], [], 0
        for block in itertools.islice(blocks, -(-count // BLOCK)):
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


def _axes(path: Path, stored: Stored, held: Sequence[str], crop: int) -> tuple[bool, int]:
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


def _table(path: Path, count: int, columns: Mapping[str, np.ndarray], bands: Sequence[str]) -> pd.DataFrame:
    """Return a row a galaxy: objid, ra, dec and magnitudes as far as there are any, then all others."""
    known: dict[str, tuple[str, np.ndarray]] = {}
    others: dict[str, np.ndarray] = {}
    for name, cells in columns.items():
        key = known_name(name, bands)
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
