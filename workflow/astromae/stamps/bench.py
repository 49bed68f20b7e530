"""Benchmark of cutting stamps: bytes and processor time against the least that is possible."""

import bz2
import contextlib
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.constants import FRAME_COLUMNS, FRAME_ROWS, STAMP_SIZE
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.progress import track
from astromae.stamps.cut import cut_chunk
from astromae.stamps.fetch import Archive, Download
from astromae.survey.address import local_path
from astromae.survey.archive import check_archive, strip_folder
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.embedded_catalog import write_embedded_catalog
from astromae.survey.galaxy_list import read_list
from astromae.survey.geometry import FIRST_FIELD, field_astrometry
from astromae.survey.http import CHUNK_BYTES, Stream
from astromae.survey.observed_catalog import write_observed_catalog
from astromae.survey.render import render_strip

_RUN, _CAMCOL, _RELEASE = 9001, 3, 17

# Pixels that galaxies keep from the frame's edges, so that the stamp lies on it in all five bands.
_MARGIN = 60


@dataclass(frozen=True)
class StampsBench:
    """What cutting one galaxy a field costs.

    Attributes
    ----------
    galaxies, frames
        Stamps that were cut, and frames that were read for them.
    frame_mb
        Mean size of a frame's file, MB.
    bytes_fraction
        Bytes fetched and decoded, of those of the whole frames.
    cpu_over_decode
        Processor time, of that of only decompressing the same bytes; the median over the rounds, of which a busy
        moment of the machine spoils few.
    stamps_per_core_s
        Stamps a second of processor time.
    peak_mb
        Largest memory of the process, MB.
    """

    galaxies: int
    frames: int
    frame_mb: float
    bytes_fraction: float
    cpu_over_decode: float
    stamps_per_core_s: float
    peak_mb: float


def bench_stamps(fields: int, rounds: int, seed: int = 1) -> StampsBench:
    """Cut galaxies at random positions, one a field, from full-size frames, and measure what it costs.

    The frames are those of the embedded survey, drawn into a temporary folder; they are read from there, in a
    process of their own.

    Parameters
    ----------
    fields
        Fields to draw, five frames each.
    rounds
        Times that every field is read, each for another galaxy.
    seed
        Seed of the frames and the positions.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _draw_frames(folder, fields, seed)
        _place_galaxies(folder / "galaxies.parquet", fields, rounds, seed)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            return process.submit(_measure, folder, range(rounds), str(folder), _RELEASE).result()


def bench_real_stamps(archive: str, release: int, table: Path, rounds: int) -> StampsBench:
    """Cut a list's galaxies from real frames, and measure what it costs.

    Parameters
    ----------
    archive
        Folder with frames in the archive's layout, compressed with bzip2.
    release
        Data release, for the layout.
    table
        List of galaxies with ra, dec (deg), run, camcol and field.
    rounds
        Times that the list is cut.

    Raises
    ------
    InputError
        If the folder holds no frames, or the list cannot be read.
    """
    check_archive(archive, release)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read = read_list(table)
        if not read.has_fields:
            raise InputError(
                f"{table}: has no columns run, camcol and field; the frames are read without asking SkyServer"
            )
        provenance = {"survey": "sdss", "source": table.name}
        write_observed_catalog(folder / "galaxies.parquet", read.galaxies, 1, provenance, {})
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            return process.submit(_measure, folder, [0] * rounds, archive, release).result()


def _draw_frames(folder: Path, fields: int, seed: int) -> None:
    """Draw the frames of fields with a galaxy each."""
    settings = EmbeddedSettings(
        galaxies=fields, seed=seed, release=_RELEASE, runs=[_RUN], camcols=[_CAMCOL], galaxies_per_field=1
    ).simulation
    catalog, strip = folder / "drawn.parquet", folder / strip_folder(_RELEASE, _RUN, _CAMCOL)
    write_embedded_catalog(settings, catalog)
    render_strip(catalog, _RUN, _CAMCOL, settings, strip)
    for path in track(sorted(strip.glob("frame-*")), "compress as the archive does", unit="frames"):
        # The archive's frames have blocks of 900 kB, which are decoded as a whole; simulated ones are finer.
        path.write_bytes(bz2.compress(bz2.decompress(path.read_bytes()), 9))


def _place_galaxies(path: Path, fields: int, rounds: int, seed: int) -> None:
    """Write a catalogue of random places in the fields; its chunks are the rounds."""
    rng, count = np.random.default_rng(seed), fields * rounds
    # One row in each of `count` equal parts of the frame: as random as any, and closer to the mean of many.
    rows = _MARGIN + (rng.permutation(count) + rng.random(count)) / count * (FRAME_ROWS - 2 * _MARGIN)
    columns = rng.uniform(_MARGIN, FRAME_COLUMNS - _MARGIN, count)
    field, chunk = FIRST_FIELD + np.arange(count) % fields, np.arange(count) // fields
    sky = EmbeddedSettings(runs=[_RUN], seed=seed).simulation
    wcs = {number: field_astrometry(sky, _RUN, _CAMCOL, number, "r").wcs() for number in set(field.tolist())}
    places = zip(field, columns, rows, strict=True)
    ra, dec = np.array([wcs[number].all_pix2world(*pixel, 0) for number, *pixel in places]).T
    table = pa.table(
        {"objid": np.arange(count), "ra": ra, "dec": dec, "field": field, "chunk": chunk}
        | {"run": np.full(count, _RUN), "camcol": np.full(count, _CAMCOL)}
    )
    pq.write_table(table.replace_schema_metadata({"astromae": json.dumps({"survey": "bench"})}), path)


class _RecordingArchive(Archive):
    """An archive that remembers how many bytes of which frame were fetched."""

    def __init__(self, root: str, release: int, download: Download, shared: Path):
        super().__init__(root, release, download, shared)
        self.fetched: list[tuple[Path, int]] = []

    @contextlib.contextmanager
    def open(self, address: str) -> Iterator[Stream]:
        """Open an address as `Archive` does."""
        with super().open(address) as stream:
            yield stream
        self.fetched.append((local_path(address), stream.received))


def _measure(folder: Path, chunks: Sequence[int], root: str, release: int) -> StampsBench:
    """Cut chunks of the folder's catalogue, and decompress what each fetched once more by itself."""
    cut_s, decode_s, fetched = [], [], []
    galaxies = 0
    for chunk in chunks:
        shard = folder / f"{chunk:04d}.h5"
        archive = _RecordingArchive(root, release, Download(), folder)
        started = time.process_time()
        catalog, missing = folder / "galaxies.parquet", shard.with_suffix(".missing.csv")
        cut_chunk(catalog, chunk, archive, STAMP_SIZE, shard, missing)
        cut_s.append(time.process_time() - started)
        galaxies += len(StampSet([shard]))
        fetched += archive.fetched
        # In turn with the cutting, so that other load on the machine slows both alike.
        decode_s.append(0.0)
        for path, count in archive.fetched:
            data = path.read_bytes()[:count]
            started = time.process_time()
            decompressor = bz2.BZ2Decompressor()
            for start in range(0, count, CHUNK_BYTES):
                decompressor.decompress(data[start : start + CHUNK_BYTES])
            decode_s[-1] += time.process_time() - started
    sizes = [path.stat().st_size for path, _ in fetched]
    return StampsBench(
        galaxies=galaxies,
        frames=len(fetched),
        frame_mb=sum(sizes) / len(sizes) / 1e6,
        bytes_fraction=sum(count for _, count in fetched) / sum(sizes),
        cpu_over_decode=statistics.median(cut / decode for cut, decode in zip(cut_s, decode_s, strict=True)),
        stamps_per_core_s=galaxies / sum(cut_s),
        # Linux counts in kilobytes.
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    )
