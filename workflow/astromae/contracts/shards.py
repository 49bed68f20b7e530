"""Shards: HDF5 files of stamps, stored so that they can be memory-mapped."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from astromae import __version__
from astromae.contracts.stamp_format import PIXEL_TYPE, StampFormat, join_bands, split_bands
from astromae.errors import InputError
from astromae.files import atomic_path, write_checksum

#: Stamps that are turned into float16 and written at once: 20 MB.
BLOCK = 512

#: Stamps that are read, or hashed, at a time.
READ_BLOCK = 4096


def write_shard(
    path: str | Path,
    objid: np.ndarray,
    images: np.ndarray | Iterable[np.ndarray],
    stamps: StampFormat,
    survey: str,
    kernel: str,
) -> None:
    """Write a shard atomically: `images` contiguous and uncompressed, `objid` beside it; and its checksum.

    Parameters
    ----------
    path
        HDF5 file to write.
    objid : array of int64, shape (N,)
        Object of each stamp, in catalogue order.
    images : array, shape (N, bands, size, size), or iterable of arrays, shape (n, bands, size, size)
        Stamps in nanomaggies a pixel; as one array, or as consecutive blocks that together hold N stamps, so that a
        shard need not fit in memory.
    stamps
        Their bands, pixel scale and size.
    survey
        Where the pixels come from, for example ``sdss``.
    kernel
        Resampling kernel, for example ``lanczos3``: it decides how the noise of neighbouring pixels is correlated.

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
    skeleton, offset = _skeleton(objid, stamps.shape, _attributes(stamps, survey, kernel))
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(skeleton)
        file.seek(offset)
        start = 0
        for block in blocks:
            stop = start + len(block)
            if block.shape[1:] != stamps.shape or stop > len(objid):
                raise InputError(
                    f"{path}: stamps {start} to {stop} have the shape {block.shape[1:]}; "
                    f"{len(objid)} stamps of {stamps.shape} were announced"
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


def _attributes(stamps: StampFormat, survey: str, kernel: str) -> dict[str, object]:
    return {
        "survey": survey,
        "kernel": kernel,
        "bands": join_bands(stamps.bands),
        "unit": "nanomaggies per pixel",
        "pixel_scale_arcsec": stamps.pixel_scale_arcsec,
        "version": __version__,
    }


def _skeleton(objid: np.ndarray, shape: Sequence[int], attributes: Mapping[str, object]) -> tuple[bytes, int]:
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
        space = h5py.h5s.create_simple((len(objid), *shape))
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
    format : StampFormat
        What all stamps have in common.
    survey, kernel : str
        Where the pixels come from, and how they were resampled, as the first shard says.

    Raises
    ------
    InputError
        If there are no shards, a file is missing or no shard, is stored in a way that cannot be mapped, holds other
        bands, pixels or sizes than the first, or if an object stands in two shards.
    """

    def __init__(self, paths: Sequence[str | Path]):
        self._paths = [Path(path) for path in paths]
        if not self._paths:
            raise InputError("no shards of stamps are given; at least one is needed")
        self._maps: dict[int, np.ndarray] = {}
        shards = [_inspect(path) for path in self._paths]
        self.format, self.survey, self.kernel = shards[0].format, shards[0].survey, shards[0].kernel
        for path, shard in zip(self._paths, shards, strict=True):
            if shard.format != self.format:
                raise InputError(
                    f"{path}: holds {shard.format}, but {self._paths[0]} holds {self.format}; "
                    "make all shards again with one configuration"
                )
        self._offsets = [shard.offset for shard in shards]
        identifiers = [shard.objid for shard in shards]
        counts = [len(objid) for objid in identifiers]
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self.objid = np.concatenate(identifiers)
        self._order = np.argsort(self.objid, kind="stable")
        self._sorted = self.objid[self._order]
        twice = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]
        if len(twice):
            holders = [str(path) for path, ids in zip(self._paths, identifiers, strict=True) if twice[0] in ids]
            raise InputError(f"objid {twice[0]} has more than one stamp: {', '.join(holders)}")

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.objid)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in their order."""
        return self.format.bands

    @property
    def pixel_scale_arcsec(self) -> float:
        """Side of a pixel on the sky, arcsec."""
        return self.format.pixel_scale_arcsec

    @property
    def size(self) -> int:
        """Pixels on a stamp's side."""
        return self.format.size

    def read(self, objid: np.ndarray, size: int | None = None) -> np.ndarray:
        """Read the stamps of some objects, in the order in which they are asked for.

        Parameters
        ----------
        objid : array of int64, shape (n,)
            Objects to read; one may be asked for twice.
        size
            Side of the central crop in pixels: even, so that the galaxy stays in its centre. The whole
            stamp when None.

        Returns
        -------
        array of float16, shape (n, bands, size, size)
            Stamps in nanomaggies a pixel.

        Raises
        ------
        InputError
            If an object has no stamp here, or `size` is odd or larger than a stamp.
        """
        objid = np.asarray(objid, dtype=np.int64)
        size = self.size if size is None else size
        if not 0 < size <= self.size or size % 2:
            raise InputError(f"a central crop of {size} px is impossible: even sizes from 2 to {self.size} are")
        margin = (self.size - size) // 2
        row = self._find(objid)
        shard = np.searchsorted(self._starts, row, side="right") - 1
        stamps = np.empty((len(objid), len(self.bands), size, size), dtype=PIXEL_TYPE)
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
                f" ({self._paths[0]}, ...); "
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
                    shape=(count, *self.format.shape),
                )
            )
        return self._maps[shard]


@dataclass(frozen=True)
class _Shard:
    """What a shard says of itself; `offset` is the byte at which its pixels begin, None when it is empty."""

    objid: np.ndarray
    offset: int | None
    format: StampFormat
    survey: str
    kernel: str


def _inspect(path: Path) -> _Shard:
    """Return what a shard says of itself, after checking that it keeps the contract."""
    try:
        with h5py.File(path, "r") as file:
            images, objid = file["images"], file["objid"][:]
            attributes = {key: file.attrs[key] for key in ("bands", "pixel_scale_arcsec", "survey", "kernel")}
            bands = split_bands(str(attributes["bands"]))
            size = images.shape[-1] if images.ndim else 0
            expected = (len(objid), len(bands), size, size)
            if images.shape != expected or images.dtype != PIXEL_TYPE or images.chunks is not None or size % 2:
                raise InputError(
                    f"{path}: `images` is {images.dtype} {images.shape}"
                    f"{'' if images.chunks is None else ', chunked'}; a shard of {len(objid)} objects in "
                    f"{len(bands)} bands holds contiguous {PIXEL_TYPE} (objects, bands, even size, the same size)"
                )
            stamps = StampFormat(bands, float(attributes["pixel_scale_arcsec"]), size)
            offset = images.id.get_offset()
            return _Shard(objid.astype(np.int64), offset, stamps, str(attributes["survey"]), str(attributes["kernel"]))
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: no shard of stamps ({error}); make it again with the step `cut`") from error
