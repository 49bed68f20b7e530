"""The steps of the survey `cube`: its labels become the catalogue, its stamps become shards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.catalog import RANGES, magnitude_columns, read_catalog, write_catalog
from astromae.errors import InputError
from astromae.photometry_checks import check_magnitudes, check_pixels
from astromae.progress import Ticker, log
from astromae.stamps.chunk_writer import ChunkWriter
from astromae.survey.cube_file import open_cube
from astromae.survey.duplicates import without_duplicates
from astromae.survey.left_out import log_missing_values, write_left_out
from astromae.survey.sentinels import Sentinels

#: Stamps in memory at once: 21 MB as float32, of five bands and 64 pixels.
_BLOCK = 256

_UNITS = {
    "objid": "identifier of the object",
    "ra": "deg, ICRS",
    "dec": "deg, ICRS",
    "run": "imaging run, rerun, camera column and field: 0 where the cube does not say",
    "z": "spectroscopic redshift",
    "z_err": "its error; NaN where there is none",
    "mag_*": "mag, AB, minus the Galactic extinction",
    "extinction_*": "mag, Galactic extinction",
    "petro_r": "mag, AB, Petrosian magnitude in r minus the Galactic extinction",
    "chunk": "shard of the galaxy: consecutive rows of the cube, dealt to equal shares",
    "cube_row": "row of the galaxy in the cube, from 0",
}

# What is known besides of the published cubes.
_SDSS_UNITS = {
    "objid": "SDSS object identifier",
    "mag_*": "mag, AB, SDSS asinh model magnitude minus the Galactic extinction",
    "extinction_*": "mag, Galactic extinction, as in SDSS DR12",
    "petro_r": "mag, AB, SDSS asinh Petrosian magnitude in r minus the Galactic extinction",
}


def write_cube_catalog(path: Path, chunks: int, output: Path, bands: Sequence[str] | None = None) -> None:
    """Write a cube's labels as the catalogue.

    An object that comes again, by its identifier or within 1 arcsec, keeps its first row. The others are written
    with the reason beside the catalogue, with the suffix ``.left_out.csv``.

    Parameters
    ----------
    path
        The cube.
    chunks
        Shards that the cube is to be streamed into, each a range of its rows; with fewer rows some stay empty.
    output
        Catalogue to write (Parquet). It has the further column cube_row.
    bands
        Names of the cube's bands; None where it says them itself, or has SDSS's.

    Raises
    ------
    InputError
        If the cube cannot be read or has no stamps, a label is wrong, or magnitudes or pixels cannot be measured ones.
    """
    cube = open_cube(path, bands)
    if chunks < 1:
        raise InputError(f"cube.chunks: {chunks}; use 1 or more")
    if not cube.count:
        raise InputError(f"{path}: holds no stamps")
    sentinels = Sentinels(path)
    catalog = cube.labels(sentinels)
    _check_positions(path, catalog)
    magnitudes = catalog.reindex(columns=magnitude_columns(cube.bands)).to_numpy(np.float64)
    check_magnitudes(magnitudes, path, cube.bands)
    check_pixels(next(cube.stamps(0, min(cube.count, _BLOCK), _BLOCK, min(cube.shape))), path, cube.bands)
    rows = np.arange(cube.count)
    catalog = catalog.assign(chunk=rows * chunks // cube.count, cube_row=rows, row=rows + 1)
    catalog, left_out = without_duplicates(catalog, "row", path)
    catalog = catalog.drop(columns="row")
    missing = {name: int(count) for name, count in catalog.isna().sum().items() if count}
    metadata = {
        "survey": "cube",
        **cube.provenance,
        "source": path.name,
        "counts": {
            "rows": cube.count,
            "duplicates": len(left_out),
            "galaxies": len(catalog),
            "sentinels": sentinels.counts,
            "missing": missing,
        },
        "units": {**_UNITS, **({**_SDSS_UNITS, **cube.units} if cube.is_published else {})},
    }
    sentinels.log_counts(cube.count)
    write_catalog(output, catalog, cube.bands, metadata)
    log(f"{output}: {len(catalog)} galaxies in {min(chunks, cube.count)} chunks")
    log_missing_values(output, catalog)
    write_left_out(output, left_out)


def _check_positions(path: str | Path, catalog: pd.DataFrame) -> None:
    for name in ("ra", "dec"):
        low, high = RANGES[name]
        wrong = ~catalog[name].between(low, high)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{path}: row {row + 1}: {name} is {catalog[name][row]:.10g}; use {low:g} to {high:g} degrees"
            )
    if len(catalog) > 1 and len(catalog[["ra", "dec"]].drop_duplicates()) == 1:
        raise InputError(f"{path}: all {len(catalog)} rows have one position; ra and dec are those of each galaxy")


def write_cube_shard(
    path: Path,
    catalog: Path,
    chunk: int,
    output: Path,
    missing: Path,
    bands: Sequence[str] | None = None,
    pixel_scale_arcsec: float | None = None,
    size: int | None = None,
) -> None:
    """Stream one chunk's stamps out of a cube into a shard.

    Parameters
    ----------
    path
        The cube.
    catalog
        Its catalogue, from `write_cube_catalog`.
    chunk
        Which chunk.
    output
        Shard to write.
    missing
        List of galaxies without a stamp to write: those with pixels that are no finite float16.
    bands, pixel_scale_arcsec
        Of the cube; None where it says them itself, or has SDSS's.
    size
        Pixels on the side of a stored stamp, the central ones of a larger stamp; None for 64, or as many as there are.

    Raises
    ------
    InputError
        If the cube cannot be read, or has smaller stamps or fewer rows than are wanted.
    """
    cube = open_cube(path, bands)
    galaxies = read_catalog(catalog, ["objid", "cube_row"], chunk)
    wanted = galaxies["cube_row"].to_numpy()
    if len(wanted) and not 0 <= wanted.min() <= wanted.max() < cube.count:
        raise InputError(f"{path}: {cube.count} stamps, but {catalog} wants row {wanted.max()}; make it again")
    stamps = cube.format(pixel_scale_arcsec, size)
    with ChunkWriter(galaxies["objid"].to_numpy(), stamps, output.parent) as writer:
        if len(wanted):
            start, stop = int(wanted.min()), int(wanted.max()) + 1
            if start and not cube.random_access:
                log(f"{path}: is compressed; reading past {start} stamps first. A file made by numpy.savez needs not")
            ticker = Ticker(f"cube {chunk:04d}", stop - start, "stamps")
            first = start
            for pixels in cube.stamps(start, stop, _BLOCK, stamps.size):
                rows = np.flatnonzero((wanted >= first) & (wanted < first + len(pixels)))
                writer.add(rows, pixels[wanted[rows] - first])
                first += len(pixels)
                ticker.advance(len(pixels))
            ticker.close()
        writer.write(output, missing, "cube", cube.kernel)
