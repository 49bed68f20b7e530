"""Galaxies of a list: their fields and magnitudes from the list or from SkyServer, their stamps out of the archive."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.asking.batches import Batch
from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.contracts.catalog import magnitude_columns, read_catalog
from astromae.contracts.stamp_format import StampFormat
from astromae.files import sha256
from astromae.stamps.cut import cut_stamps
from astromae.stamps.fetch import Archive, Download
from astromae.survey.galaxy_list import read_list
from astromae.survey.sdss_catalog import Pace
from astromae.survey.user_list import write_user_catalog

#: Galaxies of a chunk, about: what is lost when a run is killed.
CHUNK = 256

# What is read of a list's catalogue.
_COLUMNS = ["objid", "ra", "dec", "source_row", *magnitude_columns(BANDS)]


@dataclass(frozen=True)
class Where:
    """Where the real survey is.

    Attributes
    ----------
    server, archive
        Addresses of SkyServer and of the archive, or the archive's folder.
    release
        Data release.
    pace, download
        How politely both are asked.
    threads
        Fields that are read at once.
    """

    server: str
    archive: str
    release: int
    pace: Pace
    download: Download
    threads: int = 1


class ListedGalaxies:
    """The galaxies of a list, chunk by chunk of their fields.

    Parameters
    ----------
    table
        The list, as `astromae.survey.galaxy_list.read_list` takes it.
    where
        Where the survey is.
    folder
        Where the catalogue of the list is kept, and each chunk's stamps for a moment.
    size
        Pixels on a stamp's side.
    stamps
        Whether stamps are wanted; without, the archive is not asked.

    Raises
    ------
    InputError
        If the list cannot be read, or SkyServer or the archive not be reached.
    """

    def __init__(self, table: Path, where: Where, folder: Path, size: int, stamps: bool = True):
        self.listed, self.where, self.folder, self.stamps = table, where, folder, stamps
        self.format = StampFormat(BANDS, PIXEL_SCALE_ARCSEC, size)
        listed = read_list(table)
        self.count = listed.rows
        magnitudes = listed.galaxies.reindex(columns=magnitude_columns(BANDS))
        self._has_magnitudes = not listed.has_fields or bool(magnitudes.notna().all(axis=1).any())
        self.chunks = max(1, min(listed.fields, math.ceil(listed.rows / CHUNK)))
        self.catalog = folder / "galaxies.parquet"
        #: A batch for each chunk, and one of the rows that are no galaxies.
        self.batch_count = self.chunks + 1
        self.archive = None
        if stamps:
            self.archive = Archive(where.archive, where.release, where.download, folder)

    def __len__(self) -> int:
        """Return the number of rows of the list."""
        return self.count

    def has_magnitudes(self, bands: Sequence[str]) -> bool:
        """Return whether a galaxy may have magnitudes in all bands: SkyServer's, where the list has no fields."""
        return self._has_magnitudes

    def identity(self) -> str:
        """Return a text that is another one for another list or another place of the survey."""
        parts = sha256(self.listed), self.where.server, self.where.archive, self.where.release, self.stamps
        return hashlib.sha256(repr((*parts, self.format)).encode()).hexdigest()

    def prepare(self) -> None:
        """Make the catalogue of the list, unless an earlier run has."""
        if not self.catalog.is_file():
            where = self.where
            write_user_catalog(self.listed, where.server, where.release, self.chunks, self.catalog, where.pace)

    def galaxies(self) -> pd.DataFrame:
        """Return the galaxies of its catalogue: objid, ra, dec (deg), source_row (from 1), dereddened magnitudes."""
        self.prepare()
        return read_catalog(self.catalog, _COLUMNS)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield a batch for each chunk, from number `first` on, and a last one of rows that are no galaxies of SDSS."""
        self.prepare()
        for chunk in range(first, self.chunks):
            yield chunk_batch(self.catalog, chunk, self.archive, self.format, self.folder, self.where.threads)
        if first <= self.chunks:
            yield left_out_batch(self.catalog, self.format)


def chunk_batch(
    catalog: Path, chunk: int, archive: Archive | None, stamps: StampFormat, folder: Path, threads: int = 1
) -> Batch:
    """Return the galaxies of a chunk of a list's catalogue, with their stamps.

    Parameters
    ----------
    catalog, chunk
        The catalogue, which has `source_row`, and which of its chunks.
    archive
        Where the frames are; None for no stamps.
    stamps
        Format of the stamps.
    folder
        Where the stamps are kept for a moment.
    threads
        Fields that are read at once.

    Raises
    ------
    InputError
        As `astromae.stamps.cut.cut_chunk`.
    """
    galaxies = read_catalog(catalog, _COLUMNS, chunk)
    if archive is None:
        nothing = np.empty((0, *stamps.shape), dtype=np.float32)
        return Batch(galaxies, nothing, np.full(len(galaxies), "no stamp was wanted", dtype=object))
    with cut_stamps(catalog, chunk, archive, stamps.size, folder, threads) as writer:
        images, reasons = writer.held()
    return Batch(galaxies, images.astype(np.float32), reasons)


def left_out_batch(catalog: Path, stamps: StampFormat) -> Batch:
    """Return the rows of a list that are not in its catalogue, with the reason; objid is 0."""
    path = catalog.with_suffix(".left_out.csv")
    rows = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["row", "ra", "dec", "reason"])
    table = pd.DataFrame({"objid": np.zeros(len(rows), np.int64), "ra": rows["ra"], "dec": rows["dec"]})
    table["source_row"] = rows["row"].to_numpy()
    table = table.assign(**dict.fromkeys(magnitude_columns(BANDS), np.nan))
    return Batch(table, np.empty((0, *stamps.shape), dtype=np.float32), rows["reason"].to_numpy(object), left_out=True)
