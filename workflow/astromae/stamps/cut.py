"""Cutting: every galaxy of a chunk out of the frames of its field, each frame read once."""

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from astromae.catalog import read_catalog, read_provenance
from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.progress import Ticker, log
from astromae.stamps.fetch import fetch, local_path
from astromae.stamps.frame import FrameError, FrameId, FrameReader
from astromae.stamps.missing import write_missing
from astromae.stamps.resample import KERNEL, footprint, resample
from astromae.stamps.shards import BLOCK, PIXEL_TYPE, STAMP_SHAPE, STAMP_SIZE, shard_attributes, write_shard
from astromae.stamps.tangent import TangentPlane, stamp_to_frame
from astromae.survey.archive import frame_address

_COLUMNS = ("objid", "ra", "dec", "run", "camcol", "field")

_STAMP_BYTES = PIXEL_TYPE.itemsize * int(np.prod(STAMP_SHAPE))


def cut_chunk(
    catalog: Path,
    chunk: int,
    archive: str,
    release: int,
    settings: Mapping,
    output: Path,
    missing: Path,
) -> None:
    """Cut one chunk's galaxies into a shard, and list those that get no stamp.

    Parameters
    ----------
    catalog
        Catalogue with the columns objid, ra, dec (deg), run, camcol, field, chunk.
    chunk
        Which chunk. One without galaxies gives an empty shard.
    archive
        Folder or ``file://`` address that holds ``dr{release}``.
    release
        Data release.
    settings
        The configuration's section `stamps`.
    output
        Shard to write.
    missing
        List of galaxies without a stamp to write, with reasons.

    Raises
    ------
    InputError
        If the catalogue or the archive cannot be read at all. A frame that cannot be read costs its galaxies
        their stamps, with the reason, and nothing else.
    """
    if settings["size"] != STAMP_SIZE:
        raise InputError(f"stamps.size: {settings['size']}; shards hold stamps of {STAMP_SIZE} px")
    if not local_path(archive).is_dir():
        raise InputError(f"{archive}: no such folder; the archive's folder holds dr{release}")
    survey = read_provenance(catalog)["survey"]
    galaxies = read_catalog(catalog, _COLUMNS, chunk)
    objid = galaxies["objid"].to_numpy()
    reasons = np.full(len(galaxies), "", dtype=object)
    fields = galaxies.groupby(["run", "camcol", "field"], sort=True).indices
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    # Stamps come field by field and leave in the catalogue's order; between, they wait in a file that has no
    # name and is gone with the process, so that memory does not grow with the chunk.
    with tempfile.TemporaryFile(dir=Path(output).parent) as spool:
        ticker = Ticker(f"cut {chunk:04d}", len(fields), "fields")
        for (run, camcol, field), rows in fields.items():
            ra, dec = galaxies["ra"].to_numpy()[rows], galaxies["dec"].to_numpy()[rows]
            stamps, reasons[rows] = cut_field(archive, release, int(run), int(camcol), int(field), ra, dec)
            for row, stamp in zip(rows, stamps, strict=True):
                if not reasons[row]:
                    spool.seek(int(row) * _STAMP_BYTES)
                    spool.write(stamp.tobytes())
            ticker.advance()
        ticker.close()
        spool.flush()
        cut = np.flatnonzero(reasons == "")
        lost = np.flatnonzero(reasons != "")
        write_shard(output, objid[cut], _blocks(spool, cut), shard_attributes(survey, KERNEL))
    write_missing(missing, objid[lost], reasons[lost])
    log(f"[cut {chunk:04d}] {len(objid)} galaxies on {len(fields)} fields: {len(cut)} stamps, {len(lost)} missing")
    for reason, count in Counter(reasons[lost]).most_common(5):
        log(f"[cut {chunk:04d}] {count} missing: {reason}")


def cut_field(
    archive: str, release: int, run: int, camcol: int, field: int, ra: np.ndarray, dec: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cut every galaxy of one field from one reading of its five frames.

    Parameters
    ----------
    archive, release, run, camcol, field
        Where the frames are.
    ra, dec : array of float64, shape (n,)
        Positions of the galaxies, deg.

    Returns
    -------
    stamps : array of float16, shape (n, 5, 64, 64)
        Nanomaggies a pixel, bands u, g, r, i, z; meaningless where there is a reason.
    reasons : array of str, shape (n,)
        Why a galaxy has no stamp: the first fault in the order of the bands. Empty for those that have one.
    """
    stamps = np.zeros((len(ra), *STAMP_SHAPE), dtype=PIXEL_TYPE)
    reasons = np.full(len(ra), "", dtype=object)
    for index, band in enumerate(BANDS):
        alive = np.flatnonzero(reasons == "")
        if not len(alive):
            break
        try:
            with contextlib.closing(fetch(frame_address(archive, release, run, camcol, field, band))) as pieces:
                reader = FrameReader(pieces, FrameId(run, camcol, field, band))
                stamps[alive, index], problems = _cut_band(reader, ra[alive], dec[alive])
            reasons[alive] = [f"{problem} in band {band}" if problem else "" for problem in problems]
        except FileNotFoundError:
            reasons[alive] = f"no frame in band {band}"
        except FrameError as error:
            reasons[alive] = f"corrupt frame in band {band}: {error}"
        except OSError as error:
            reasons[alive] = f"unreadable frame in band {band}: {error.strerror}"
    return stamps, reasons


def _cut_band(reader: FrameReader, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Cut galaxies from one frame; return stamps, shape (n, 64, 64), and what is wrong with each, if anything."""
    try:
        plane = TangentPlane.from_header(reader.header)
    except ValueError as error:
        raise FrameError(str(error)) from error
    maps = stamp_to_frame(ra, dec, STAMP_SIZE, plane)
    first_column, last_column, first_row, last_row = footprint(maps, STAMP_SIZE).T
    rows, columns = reader.shape
    inside = (first_column >= 0) & (last_column < columns) & (first_row >= 0) & (last_row < rows)
    stamps = np.zeros((len(ra), STAMP_SIZE, STAMP_SIZE), dtype=PIXEL_TYPE)
    if inside.any():
        first, stop = int(first_row[inside].min()), int(last_row[inside].max()) + 1
        flux = resample(reader.read_rows(first, stop), first, maps[inside], STAMP_SIZE)
        with np.errstate(over="ignore"):
            stamps[inside] = flux
    finite = np.isfinite(stamps).all(axis=(1, 2))
    problems = ["" if good else "off the edge" for good in inside]
    for place in np.flatnonzero(~finite):
        # Beyond float16 lie pixels that the frame marks as bad, and stars brighter than magnitude 10.5.
        problems[place] = "pixels that are not finite or above 65504 nanomaggies"
    return stamps, problems


def _blocks(spool: BinaryIO, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the stamps of some rows of the spool, in blocks, shape (n, 5, 64, 64)."""
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        data = b"".join(os.pread(spool.fileno(), _STAMP_BYTES, int(row) * _STAMP_BYTES) for row in part)
        yield np.frombuffer(data, dtype=PIXEL_TYPE).reshape(-1, *STAMP_SHAPE)
