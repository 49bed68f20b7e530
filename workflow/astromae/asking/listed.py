"""Galaxies of a list: their fields and magnitudes from the list or from SkyServer, their stamps out of the archive."""

import hashlib
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.asking.batches import Batch
from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.contracts.catalog import magnitude_columns, read_catalog
from astromae.contracts.missing import read_missing
from astromae.contracts.shards import StampSet
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.files import sha256
from astromae.stamps.cut import cut_chunk
from astromae.stamps.fetch import Archive, Download
from astromae.survey.counts import listed_counts
from astromae.survey.sdss_catalog import Pace
from astromae.survey.table_file import normalised, read_table
from astromae.survey.user_list import write_user_catalog

#: Galaxies of a chunk, about: what is lost when a run is killed.
CHUNK = 256


class _Everything(Collection):
    """All names."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


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
        self.table, self.where, self.folder, self.stamps = table, where, folder, stamps
        self.format = StampFormat(BANDS, PIXEL_SCALE_ARCSEC, size)
        counts = listed_counts(table)
        self.count = counts.galaxies
        self.chunks = max(1, min(counts.fields, math.ceil(counts.galaxies / CHUNK)))
        self.catalog = folder / "galaxies.parquet"
        self.archive = None
        if stamps:
            self.archive = Archive(where.archive, where.release, where.download, folder)

    def __len__(self) -> int:
        """Return the number of rows of the list that name a galaxy."""
        return self.count

    def identity(self) -> str:
        """Return a text that is another one for another list or another place of the survey."""
        parts = sha256(self.table), self.where.server, self.where.archive, self.where.release, self.stamps
        return hashlib.sha256(repr((*parts, self.format)).encode()).hexdigest()

    def prepare(self) -> None:
        """Make the catalogue of the list, unless an earlier run has."""
        if not self.catalog.is_file():
            where = self.where
            write_user_catalog(self.table, where.server, where.release, self.chunks, self.catalog, where.pace)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield a batch for each chunk, from number `first` on, and a last one of rows that are no galaxies of SDSS."""
        self.prepare()
        columns = ["objid", "ra", "dec", "source_row", *magnitude_columns(BANDS)]
        for chunk in range(first, self.chunks):
            galaxies = read_catalog(self.catalog, columns, chunk)
            yield self._cut(chunk, galaxies)
        if first <= self.chunks:
            yield self._left_out()

    def _cut(self, chunk: int, galaxies: pd.DataFrame) -> Batch:
        reasons = np.full(len(galaxies), "", dtype=object)
        if not self.stamps:
            return Batch(galaxies, self._nothing(), np.full(len(galaxies), "not asked for", dtype=object))
        shard, missing = self.folder / f"{chunk:06d}.h5", self.folder / f"{chunk:06d}.missing.csv"
        cut_chunk(self.catalog, chunk, self.archive, self.format.size, shard, missing, self.where.threads)
        absent, why = read_missing(missing)
        because = dict(zip(absent.tolist(), why, strict=True))
        reasons = np.array([because.get(objid, "") for objid in galaxies["objid"].tolist()], dtype=object)
        objid = galaxies["objid"].to_numpy()[reasons == ""]
        images = StampSet([shard]).read(objid).astype(np.float32) if len(objid) else self._nothing()
        for path in self.folder.glob(f"{chunk:06d}.*"):
            path.unlink()
        return Batch(galaxies, images, reasons)

    def _left_out(self) -> Batch:
        path = self.catalog.with_suffix(".left_out.csv")
        rows = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["row", "ra", "dec", "reason"])
        table = pd.DataFrame({"objid": np.zeros(len(rows), np.int64), "ra": rows["ra"], "dec": rows["dec"]})
        table["source_row"] = rows["row"].to_numpy()
        table = table.assign(**dict.fromkeys(magnitude_columns(BANDS), np.nan))
        return Batch(table, self._nothing(), rows["reason"].to_numpy(object))

    def _nothing(self) -> np.ndarray:
        return np.empty((0, *self.format.shape), dtype=np.float32)


def own_columns(table: Path) -> pd.DataFrame:
    """Return all columns of a list as they stand there, one row each; numbers as numbers where all of a column are.

    Raises
    ------
    InputError
        If the list cannot be read.
    """
    columns, names = read_table(table, _Everything(), ("ra", "dec"))
    spelt = {normalised(name): name for name in names}
    found = {}
    for key, column in columns.items():
        cells = np.asarray(column.cells)
        if cells.ndim != 1:
            continue
        values = pd.Series(cells)
        if cells.dtype.kind in "OSU":
            text = values.map(lambda cell: cell.decode() if isinstance(cell, bytes) else cell)
            numbers = pd.to_numeric(text, errors="coerce")
            values = numbers if numbers.notna().all() else text
        found[spelt.get(key, key)] = values
    if not found:
        raise InputError(f"{table}: has no columns")
    return pd.DataFrame(found)
