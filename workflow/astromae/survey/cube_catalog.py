"""A published cube of stamps as a survey: its labels become the catalogue, its stamps become shards."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.catalog import read_catalog
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.photometry_checks import check_magnitudes, check_pixels
from astromae.progress import Ticker, log
from astromae.stamps.chunk_writer import ChunkWriter
from astromae.survey.catalog import COLUMNS, RANGES, say_missing, write_left_out, write_table
from astromae.survey.cube_hayat import HayatCube
from astromae.survey.cube_pasquet import PasquetCube
from astromae.survey.sentinels import Sentinels
from astromae.survey.twins import without_twins

#: Stamps in memory at once: 21 MB as float32.
_BLOCK = 256

_MAGNITUDES = [f"mag_{band}" for band in BANDS]

_UNITS = {
    "objid": "SDSS object identifier",
    "ra": "deg, ICRS",
    "dec": "deg, ICRS",
    "run": "imaging run, rerun, camera column and field: 0 where the cube does not say",
    "z": "spectroscopic redshift",
    "z_err": "its error; NaN where there is none",
    "mag_*": "mag, AB, SDSS asinh model magnitude minus the Galactic extinction",
    "extinction_*": "mag, Galactic extinction, as in SDSS DR12",
    "petro_r": "mag, AB, SDSS asinh Petrosian magnitude in r minus the Galactic extinction",
    "chunk": "shard of the galaxy: consecutive rows of the cube, dealt to equal shares",
    "cube_row": "row of the galaxy in the cube, from 0",
}


def open_cube(path: str | Path) -> PasquetCube | HayatCube:
    """Open a published cube, of whichever kind it is.

    Raises
    ------
    InputError
        If there is no file, or it is no cube that is known.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file. cube.path names a published cube, to be fetched by hand: "
            f"{PasquetCube.published}, or {HayatCube.published}"
        )
    if h5py.is_hdf5(path):
        return HayatCube(path)
    if path.suffix == ".npz" or zipfile.is_zipfile(path):
        return PasquetCube(path)
    raise InputError(f"{path}: neither an .npz nor an HDF5 file, and so no cube that is known")


def write_cube_catalog(path: str | Path, chunks: int, output: Path) -> None:
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

    Raises
    ------
    InputError
        If the cube cannot be read or has no stamps, a label is wrong, or magnitudes or pixels cannot be measured ones.
    """
    cube = open_cube(path)
    if chunks < 1:
        raise InputError(f"cube.chunks: {chunks}; use 1 or more")
    if not cube.count:
        raise InputError(f"{path}: holds no stamps")
    sentinels = Sentinels(path)
    catalog = cube.labels(sentinels)
    _check_positions(path, catalog)
    check_magnitudes(catalog.reindex(columns=_MAGNITUDES).to_numpy(np.float64), path)
    check_pixels(next(cube.stamps(0, min(cube.count, _BLOCK), _BLOCK)), path)
    for name, kind in COLUMNS.items():
        if name not in catalog:
            catalog[name] = np.nan if kind is np.float64 else 0
        catalog[name] = catalog[name].astype(kind)
    catalog = catalog[list(COLUMNS)]
    rows = np.arange(cube.count)
    catalog["chunk"] = (rows * chunks // cube.count).astype(np.int32)
    catalog["cube_row"] = rows
    catalog, left_out = without_twins(catalog.assign(row=rows + 1), "row", path)
    catalog = catalog.drop(columns="row")
    missing = catalog.isna().sum()
    counts = {
        "rows": cube.count,
        "duplicates": len(left_out),
        "galaxies": len(catalog),
        "sentinels": sentinels.counts,
        "missing": {name: int(count) for name, count in missing.items() if count},
    }
    metadata = {
        "survey": "cube",
        "release": cube.release,
        "selection": cube.selection,
        "source": Path(path).name,
        "counts": counts,
        "units": {**_UNITS, **cube.units()},
    }
    sentinels.say(cube.count)
    write_table(output, catalog, metadata)
    log(f"{output}: {len(catalog)} galaxies in {min(chunks, cube.count)} chunks")
    say_missing(output, catalog)
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


def write_cube_shard(path: str | Path, catalog: Path, chunk: int, output: Path, missing: Path) -> None:
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

    Raises
    ------
    InputError
        If the cube cannot be read or has fewer rows than the catalogue says.
    """
    cube = open_cube(path)
    galaxies = read_catalog(catalog, ["objid", "cube_row"], chunk)
    wanted = galaxies["cube_row"].to_numpy()
    if len(wanted) and not 0 <= wanted.min() <= wanted.max() < cube.count:
        raise InputError(f"{path}: {cube.count} stamps, but {catalog} wants row {wanted.max()}; make it again")
    stamps_format = StampFormat(BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE)
    with ChunkWriter(galaxies["objid"].to_numpy(), stamps_format, Path(output).parent) as collector:
        if len(wanted):
            start, stop = int(wanted.min()), int(wanted.max()) + 1
            if start and not cube.random_access:
                log(f"{path}: is compressed; reading past {start} stamps first. A file made by numpy.savez needs not")
            ticker = Ticker(f"cube {chunk:04d}", stop - start, "stamps")
            first = start
            for stamps in cube.stamps(start, stop, _BLOCK):
                rows = np.flatnonzero((wanted >= first) & (wanted < first + len(stamps)))
                collector.add(rows, stamps[wanted[rows] - first])
                first += len(stamps)
                ticker.advance(len(stamps))
            ticker.close()
        collector.write(output, missing, "cube", cube.kernel)
