"""Shards: HDF5 files of stamps, stored so that they can be memory-mapped."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from astromae import __version__
from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.errors import InputError
from astromae.files import atomic_path, write_checksum

#: Pixels on a side of a stored stamp.
STAMP_SIZE = 64

#: Shape of one stamp: bands, rows, columns.
STAMP_SHAPE = (len(BANDS), STAMP_SIZE, STAMP_SIZE)

#: Type of a stored pixel. Eleven bits of precision, 5e-4 of a pixel's flux, stay below the photon noise
#: of every pixel that a float16 can hold; 65,504 nanomaggies a pixel are a star of magnitude 10.5.
PIXEL_TYPE = np.dtype("<f2")

#: Stamps that are turned into float16 and written at once: 20 MB.
BLOCK = 512


def shard_attributes(survey: str, kernel: str) -> dict[str, object]:
    """Return the attributes of a shard.

    Parameters
    ----------
    survey
        Where the pixels come from, for example ``sdss``.
    kernel
        Resampling kernel, for example ``lanczos3``: it decides how the noise of neighbouring pixels
        is correlated.
    """
    return {
        "survey": survey,
        "kernel": kernel,
        "bands": "".join(BANDS),
        "unit": "nanomaggies per pixel",
        "pixel_scale_arcsec": PIXEL_SCALE_ARCSEC,
        "version": __version__,
    }


def write_shard(
    path: str | Path,
    objid: np.ndarray,
    images: np.ndarray | Iterable[np.ndarray],
    attributes: Mapping[str, object],
) -> None:
    """Write a shard atomically: `images` contiguous and uncompressed, `objid` beside it.

    Parameters
    ----------
    path
        HDF5 file to write.
    objid : array of int64, shape (N,)
        Object of each stamp, in catalogue order.
    images : array, shape (N, 5, 64, 64), or iterable of arrays, shape (n, 5, 64, 64)
        Stamps in nanomaggies a pixel, bands u, g, r, i, z; as one array, or as consecutive blocks
        that together hold N stamps, so that a shard need not fit in memory.
    attributes
        Attributes of the file, see `shard_attributes`.

    Raises
    ------
    InputError
        If an object comes twice, the blocks do not add up to N stamps, or a pixel is not a finite
        number in float16.
    """
    objid = np.asarray(objid, dtype=np.int64)
    if len(np.unique(objid)) != len(objid):
        raise InputError(f"{path}: an object would get two stamps in one shard; objid must be unique")
    blocks = _blocks_of(images) if isinstance(images, np.ndarray) else images
    skeleton, offset = _skeleton(objid, attributes)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(skeleton)
        file.seek(offset)
        start = 0
        for block in blocks:
            stop = start + len(block)
            if block.shape[1:] != STAMP_SHAPE or stop > len(objid):
                raise InputError(
                    f"{path}: stamps {start} to {stop} have the shape {block.shape[1:]}; "
                    f"{len(objid)} stamps of {STAMP_SHAPE} were announced"
                )
            with np.errstate(over="ignore"):
                pixels = np.ascontiguousarray(block, dtype=PIXEL_TYPE)
            broken = ~np.isfinite(pixels).all(axis=(1, 2, 3))
            if broken.any():
                raise InputError(
                    f"{path}: the stamp of objid {objid[start + int(np.argmax(broken))]} holds a pixel that "
                    "is no finite float16; leave the galaxy out and list it as missing"
                )
            file.write(pixels.data)
            start = stop
        if start != len(objid):
            raise InputError(f"{path}: {len(objid)} stamps were announced, {start} came")
    write_checksum(path)


def _skeleton(objid: np.ndarray, attributes: Mapping[str, object]) -> tuple[bytes, int]:
    """Compose a shard's HDF5 file without its pixels; return it and the byte at which they belong.

    The HDF5 library crashes the process when a disk fills up under it. It therefore only lays out the file,
    in memory, and the pixels are written like those of any other file.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for key in sorted(attributes):
            file.attrs[key] = attributes[key]
        file.create_dataset("objid", data=objid.astype("<i8"))
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_layout(h5py.h5d.CONTIGUOUS)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        plan.set_obj_track_times(False)
        space = h5py.h5s.create_simple((len(objid), *STAMP_SHAPE))
        images = h5py.h5d.create(file.id, b"images", h5py.h5t.py_create(PIXEL_TYPE), space, dcpl=plan)
        # A dataset of no rows has no place in the file.
        offset = images.get_offset() or 0
    return memory.getvalue(), offset


def _blocks_of(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), BLOCK):
        yield images[start : start + BLOCK]


class StampSet:
    """The stamps of several shards as one set, addressed by object and memory-mapped.

    Parameters
    ----------
    paths
        Shards, as `write_shard` leaves them.

    Attributes
    ----------
    objid : array of int64, shape (N,)
        Objects of all shards, in the order of `paths` and of the rows in each.

    Raises
    ------
    InputError
        If a file is missing or no shard, is stored in a way that cannot be mapped, or if an object
        stands in two shards.
    """

    def __init__(self, paths: Sequence[str | Path]):
        self._paths = [Path(path) for path in paths]
        self._offsets: list[int | None] = []
        self._maps: dict[int, np.ndarray] = {}
        identifiers = []
        for path in self._paths:
            objid, offset = _inspect(path)
            identifiers.append(objid)
            self._offsets.append(offset)
        counts = [len(objid) for objid in identifiers]
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self.objid = np.concatenate([np.empty(0, np.int64), *identifiers])
        self._order = np.argsort(self.objid, kind="stable")
        self._sorted = self.objid[self._order]
        twice = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]
        if len(twice):
            holders = [str(path) for path, ids in zip(self._paths, identifiers, strict=True) if twice[0] in ids]
            raise InputError(f"objid {twice[0]} has more than one stamp: {', '.join(holders)}")

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.objid)

    def read(self, objid: np.ndarray, size: int | None = None) -> np.ndarray:
        """Read the stamps of some objects, in the order in which they are asked for.

        Parameters
        ----------
        objid : array of int64, shape (n,)
            Objects to read; one may be asked for twice.
        size
            Side of the central crop in pixels: even, so that the galaxy stays in its centre. All 64
            when None.

        Returns
        -------
        array of float16, shape (n, 5, size, size)
            Stamps in nanomaggies a pixel, bands u, g, r, i, z.

        Raises
        ------
        InputError
            If an object has no stamp here, or `size` is odd or larger than a stamp.
        """
        objid = np.asarray(objid, dtype=np.int64)
        size = STAMP_SIZE if size is None else size
        if not 0 < size <= STAMP_SIZE or size % 2:
            raise InputError(f"a central crop of {size} px is impossible: even sizes from 2 to {STAMP_SIZE} are")
        margin = (STAMP_SIZE - size) // 2
        row = self._find(objid)
        shard = np.searchsorted(self._starts, row, side="right") - 1
        stamps = np.empty((len(objid), len(BANDS), size, size), dtype=PIXEL_TYPE)
        # Rows in the order of the disk; each stamp is copied once, straight to its place.
        for place in np.argsort(row, kind="stable"):
            images = self._map(shard[place])
            stamp = images[row[place] - self._starts[shard[place]]]
            stamps[place] = stamp[:, margin : margin + size, margin : margin + size]
        return stamps

    def _find(self, objid: np.ndarray) -> np.ndarray:
        place = np.searchsorted(self._sorted, objid)
        known = place < len(self._sorted)
        known[known] = self._sorted[place[known]] == objid[known]
        if not known.all():
            unknown = objid[~known]
            raise InputError(
                f"no stamp of {len(unknown)} objects in {len(self._paths)} shards"
                f"{f' ({self._paths[0]}, ...)' if self._paths else ''}; "
                f"the first ones are objid {', '.join(map(str, unknown[:5]))}"
            )
        return self._order[place]

    def _map(self, shard: int) -> np.ndarray:
        shard = int(shard)
        if shard not in self._maps:
            count = int(self._starts[shard + 1] - self._starts[shard])
            # As a plain array: indexing a np.memmap costs several times more.
            self._maps[shard] = np.asarray(
                np.memmap(
                    self._paths[shard],
                    dtype=PIXEL_TYPE,
                    mode="r",
                    offset=self._offsets[shard],
                    shape=(count, *STAMP_SHAPE),
                )
            )
        return self._maps[shard]


def _inspect(path: Path) -> tuple[np.ndarray, int | None]:
    """Return a shard's objects and the byte at which its pixels begin (None when it is empty)."""
    try:
        with h5py.File(path, "r") as file:
            images, objid = file["images"], file["objid"][:]
            expected = (len(objid), *STAMP_SHAPE)
            if images.shape != expected or images.dtype != PIXEL_TYPE or images.chunks is not None:
                raise InputError(
                    f"{path}: `images` is {images.dtype} {images.shape}"
                    f"{'' if images.chunks is None else ', chunked'}; a shard holds "
                    f"contiguous {PIXEL_TYPE} {expected}"
                )
            bands = file.attrs.get("bands")
            if bands != "".join(BANDS):
                raise InputError(f"{path}: the attribute `bands` is {bands!r}; a shard says {''.join(BANDS)!r}")
            return objid.astype(np.int64), images.id.get_offset()
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: no shard of stamps ({error}); make it again with the step `cut`") from error
