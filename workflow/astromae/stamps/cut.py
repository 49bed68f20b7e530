"""Cutting: every galaxy of a chunk out of the frames of its field, each frame read once."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from astromae.catalog import read_catalog, read_provenance
from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.progress import Ticker
from astromae.stamps.collector import Collector
from astromae.stamps.fetch import fetch, local_path
from astromae.stamps.frame import FrameError, FrameId, FrameReader
from astromae.stamps.resample import KERNEL, footprint, resample
from astromae.stamps.shards import PIXEL_TYPE, STAMP_SHAPE, STAMP_SIZE, shard_attributes
from astromae.stamps.tangent import TangentPlane, stamp_to_frame
from astromae.survey.archive import frame_address

_COLUMNS = ("objid", "ra", "dec", "run", "camcol", "field")


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
    ra, dec = galaxies["ra"].to_numpy(), galaxies["dec"].to_numpy()
    fields = galaxies.groupby(["run", "camcol", "field"], sort=True).indices
    with Collector(galaxies["objid"].to_numpy(), Path(output).parent) as collector:
        ticker = Ticker(f"cut {chunk:04d}", len(fields), "fields")
        for (run, camcol, field), rows in fields.items():
            stamps, reasons = cut_field(archive, release, int(run), int(camcol), int(field), ra[rows], dec[rows])
            collector.add(rows, stamps, reasons)
            ticker.advance()
        ticker.close()
        collector.write(output, missing, shard_attributes(survey, KERNEL))


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
                stamps[alive, index], inside = _cut_band(reader, ra[alive], dec[alive])
            reasons[alive[~inside]] = f"off the edge in band {band}"
        except FileNotFoundError:
            reasons[alive] = f"no frame in band {band}"
        except FrameError as error:
            reasons[alive] = f"corrupt frame in band {band}: {error}"
        except OSError as error:
            reasons[alive] = f"unreadable frame in band {band}: {error.strerror}"
    return stamps, reasons


def _cut_band(reader: FrameReader, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut galaxies from one frame; return stamps, shape (n, 64, 64), and which of them lie on the frame."""
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
        # What float16 cannot hold becomes infinite, and the collector lists it.
        with np.errstate(over="ignore"):
            stamps[inside] = flux
    return stamps, inside
