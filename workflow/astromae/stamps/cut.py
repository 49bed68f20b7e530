"""Cutting: every galaxy of a chunk out of the frames of its field, each frame read once."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.contracts.catalog import read_catalog, read_provenance
from astromae.contracts.stamp_format import PIXEL_TYPE, StampFormat
from astromae.errors import InputError
from astromae.progress import Ticker
from astromae.stamps.chunk_writer import ChunkWriter
from astromae.stamps.fetch import Archive, Download, reason_of
from astromae.stamps.frame import FrameError, FrameId, FrameReader
from astromae.stamps.resample import KERNEL, footprint, resample
from astromae.stamps.tangent import TangentPlane, stamp_to_frame
from astromae.survey.http import FetchError

_COLUMNS = ("objid", "ra", "dec", "run", "camcol", "field")


def cut(
    catalog: Path,
    chunk: int,
    archive: str,
    release: int,
    size: int,
    output: Path,
    missing: Path,
    download: Download | None = None,
    threads: int = 1,
    frames: Path | None = None,
) -> None:
    """Cut one chunk's galaxies out of an archive's frames.

    Parameters
    ----------
    archive
        Folder or address that holds ``dr{release}``, or any folder on the way from there to the runs.
    release
        Data release, for the archive's layout.
    download
        How frames of a remote archive are fetched; None as `Download` has it.
    frames
        Folder of the chunk's frames where another job draws them; it lies in the archive.
    catalog, chunk, size, output, missing, threads
        As `cut_chunk` takes them.

    Raises
    ------
    InputError
        If the archive's address is wrong, or as `cut_chunk` does.
    """
    cut_chunk(
        catalog, chunk, Archive(archive, release, download or Download(), output.parent), size, output, missing, threads
    )


def cut_chunk(
    catalog: Path, chunk: int, archive: Archive, size: int, output: Path, missing: Path, threads: int = 1
) -> None:
    """Cut one chunk's galaxies into a shard, and list those that get no stamp.

    Parameters
    ----------
    catalog
        Catalogue with the columns objid, ra, dec (deg), run, camcol, field, chunk.
    chunk
        Which chunk. One without galaxies gives an empty shard.
    archive
        Where the frames are.
    size
        Pixels on a stamp's side, even.
    output
        Shard to write.
    missing
        List of galaxies without a stamp to write, with reasons.
    threads
        Fields that are read at once. What is written does not depend on it.

    Raises
    ------
    InputError
        If the size is odd, or the catalogue or the archive cannot be read at all. A frame that cannot be read costs
        its galaxies their stamps, with the reason, and nothing else.
    """
    if size < 2 or size % 2:
        raise InputError(f"stamps.size: {size}; a stamp has an even number of pixels on a side")
    survey = read_provenance(catalog)["survey"]
    with cut_stamps(catalog, chunk, archive, size, Path(output).parent, threads) as writer:
        writer.write(output, missing, survey, KERNEL)


@contextlib.contextmanager
def cut_stamps(
    catalog: Path, chunk: int, archive: Archive, size: int, folder: Path, threads: int = 1
) -> Iterator[ChunkWriter]:
    """Yield the stamps of one chunk's galaxies, which wait in `folder`; parameters and errors as of `cut_chunk`."""
    galaxies = read_catalog(catalog, _COLUMNS, chunk)
    ra, dec = galaxies["ra"].to_numpy(), galaxies["dec"].to_numpy()
    fields = galaxies.groupby(["run", "camcol", "field"], sort=True).indices
    stamps = StampFormat(BANDS, PIXEL_SCALE_ARCSEC, size)
    with ChunkWriter(galaxies["objid"].to_numpy(), stamps, folder) as writer:
        ticker = Ticker(f"cut {chunk:04d}", len(fields), "fields")
        for rows, (pixels, reasons) in _cut_fields(archive, fields, ra, dec, size, threads):
            writer.add(rows, pixels, reasons)
            ticker.advance()
        ticker.close()
        yield writer


def cut_field(
    archive: Archive, run: int, camcol: int, field: int, ra: np.ndarray, dec: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut every galaxy of one field from one reading of its five frames.

    Parameters
    ----------
    archive, run, camcol, field
        Where the frames are.
    ra, dec : array of float64, shape (n,)
        Positions of the galaxies, deg.
    size
        Pixels on a stamp's side.

    Returns
    -------
    stamps : array of float16, shape (n, 5, size, size)
        Nanomaggies a pixel, bands u, g, r, i, z; meaningless where there is a reason.
    reasons : array of str, shape (n,)
        Why a galaxy has no stamp: the first fault in the order of the bands. Empty for those that have one.
    """
    stamps = np.zeros((len(ra), len(BANDS), size, size), dtype=PIXEL_TYPE)
    reasons = np.full(len(ra), "", dtype=object)
    for index, band in enumerate(BANDS):
        alive = np.flatnonzero(reasons == "")
        if not len(alive):
            break
        try:
            stamps[alive, index], inside = archive.read(
                FrameId(run, camcol, field, band),
                lambda reader, alive=alive: _cut_band(reader, ra[alive], dec[alive], size),
            )
            reasons[alive[~inside]] = f"off the edge in band {band}"
        except (FetchError, FrameError) as error:
            reasons[alive] = reason_of(error, band)
    return stamps, reasons


def _cut_fields(
    archive: Archive, fields: Mapping[tuple, np.ndarray], ra: np.ndarray, dec: np.ndarray, size: int, threads: int
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Yield each field's rows, and its stamps and reasons, as fields are done; only `threads` are in memory."""
    waiting = iter(fields.items())
    running: dict[Future, np.ndarray] = {}
    pool = ThreadPoolExecutor(threads, thread_name_prefix="field")
    try:
        while True:
            for (run, camcol, field), rows in itertools.islice(waiting, threads - len(running)):
                future = pool.submit(cut_field, archive, int(run), int(camcol), int(field), ra[rows], dec[rows], size)
                running[future] = rows
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _cut_band(reader: FrameReader, ra: np.ndarray, dec: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut galaxies from one frame; return stamps, shape (n, size, size), and which of them lie on the frame."""
    try:
        plane = TangentPlane.from_header(reader.header)
    except ValueError as error:
        raise FrameError(str(error)) from error
    maps = stamp_to_frame(ra, dec, size, plane)
    first_column, last_column, first_row, last_row = footprint(maps, size).T
    rows, columns = reader.shape
    inside = (first_column >= 0) & (last_column < columns) & (first_row >= 0) & (last_row < rows)
    stamps = np.zeros((len(ra), size, size), dtype=PIXEL_TYPE)
    if inside.any():
        first, stop = int(first_row[inside].min()), int(last_row[inside].max()) + 1
        flux = resample(reader.read_rows(first, stop), first, maps[inside], size)
        # What float16 cannot hold becomes infinite, and the galaxy is listed as missing.
        with np.errstate(over="ignore"):
            stamps[inside] = flux
    return stamps, inside
