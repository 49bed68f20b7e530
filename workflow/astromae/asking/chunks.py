"""The step of the workflow that asks a model about a chunk of a list, and how a list is dealt to chunks."""

import contextlib
import re
from pathlib import Path

from astromae import __version__
from astromae.files import write_json
from astromae.stamps.fetch import Archive, Download
from astromae.survey.counts import listed_counts
from astromae.typed import Typed

#: Galaxies of a job, about, and most jobs of a list: one command names the answers of all, and has 128 kB for it.
GALAXIES_OF_JOB, MOST_CHUNKS = 1000, 500

#: Most letters of a folder's name.
_MOST_LETTERS = 64


def chunks_of(table: Path, counted: Path) -> int:
    """Return how many jobs a list is dealt to.

    A list of a million takes seconds to read, and each job of a cluster asks anew: what was counted is kept.

    Parameters
    ----------
    table
        The list.
    counted
        File for the counts (JSON), believed as long as the list has the same path, size and time of change.

    Raises
    ------
    InputError
        If the list cannot be read.
    """
    identity = _fingerprint(table)
    try:
        kept = _Kept.model_validate_json(counted.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = None
    if kept is None or kept.of != identity:
        counts = listed_counts(table)
        kept = _Kept(of=identity, galaxies=counts.galaxies, fields=counts.fields)
        write_json(counted, kept.model_dump())
    return max(1, min(kept.fields, -(-kept.galaxies // GALAXIES_OF_JOB), MOST_CHUNKS))


class _Kept(Typed):
    """Counts of a list, and of which."""

    of: list[str | int]
    galaxies: int
    fields: int


def _fingerprint(table: Path) -> list[str | int]:
    try:
        found = table.stat()
    except OSError:
        return []
    return [__version__, str(table.absolute()), found.st_size, found.st_mtime_ns]


def name_of(table: Path) -> str:
    """Return the name of a list's folder of answers, of at most 64 letters, digits, dots, minus and underscores."""
    return re.sub(r"[^\w.-]", "_", table.stem, flags=re.ASCII)[:_MOST_LETTERS]


def predict_chunk(
    catalog: Path,
    chunk: int,
    chunks: int,
    model: Path,
    archive: str,
    release: int,
    output: Path,
    download: Download | None = None,
    threads: int = 1,
) -> None:
    """Answer about the galaxies of one chunk of a list; of the one after the last, about rows that are no galaxies.

    Parameters
    ----------
    catalog
        Catalogue of the list, by the step `user-catalog`.
    chunk, chunks
        Which chunk, and how many there are.
    model
        Folder of a model, or an archive of one.
    archive, release, download, threads
        Where the frames are, and how they are read (`astromae.stamps.cut.cut`).
    output
        Answers to write (`astromae.asking.parts.write_part`).

    Raises
    ------
    InputError
        If a file cannot be read, or the model reads bands that SDSS does not have.
    """
    from astromae.asking.asked import open_asked
    from astromae.asking.listed import chunk_batch, left_out_batch
    from astromae.asking.parts import write_part
    from astromae.asking.sources import list_format
    from astromae.model_archive import opened

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(opened(model))
        asked = [open_asked(folder, foreign=folder != model)]
    stamps = list_format(asked, catalog)
    if chunk == chunks:
        batch = left_out_batch(catalog, stamps)
    else:
        frames = Archive(archive, release, download or Download(), output.parent) if asked[0].reads_stamps else None
        batch = chunk_batch(catalog, chunk, frames, stamps, output.parent, threads)
    write_part(output, asked, batch, symmetries=False)
