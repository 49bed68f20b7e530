"""Steps of the workflow that ask models about a list: chunk by chunk, and all chunks together."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from astromae.errors import InputError
from astromae.files import sha256
from astromae.stamps.fetch import Archive, Download
from astromae.survey.counts import listed_counts

#: Galaxies of a job, about, and most jobs of a list: a plan of more would take long.
GALAXIES_OF_JOB, MOST_CHUNKS = 1000, 1000


def chunks_of(table: Path) -> int:
    """Return how many jobs a list is dealt to; InputError if it cannot be read."""
    counts = listed_counts(table)
    return max(1, min(counts.fields, -(-counts.galaxies // GALAXIES_OF_JOB), MOST_CHUNKS))


def name_of(table: Path) -> str:
    """Return the name of a list's folder of answers, of letters, digits, dots, minus and underscores."""
    return re.sub(r"[^\w.-]", "_", table.stem, flags=re.ASCII) or "list"


def digest_of(model: Path) -> str:
    """Return a text that is another one for another model, folder or archive.

    Raises
    ------
    InputError
        If there is none.
    """
    files = [model / "recipe.json", model / "weights.safetensors"] if model.is_dir() else [model]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: no such file; a model is a folder of results/models, or an archive of one")
    return "-".join(sha256(file)[:16] for file in files)


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
    gpus: int = 0,
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
    gpus
        0 or 1.

    Raises
    ------
    InputError
        If a file cannot be read, or the model reads bands that SDSS does not have.
    """
    from astromae.asking.ask import list_format
    from astromae.asking.asked import open_asked
    from astromae.asking.listed import chunk_batch, left_out_batch
    from astromae.asking.parts import write_part
    from astromae.model_archive import opened

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(opened(model))
        asked = [open_asked(folder, gpus, foreign=folder != model)]
    stamps = list_format(asked, catalog)
    if chunk == chunks:
        batch = left_out_batch(catalog, stamps)
    else:
        frames = Archive(archive, release, download or Download(), output.parent) if asked[0].reads_stamps else None
        batch = chunk_batch(catalog, chunk, frames, stamps, output.parent, threads)
    write_part(output, asked, batch, symmetries=False)


def predict_join(parts: Sequence[Path], table: Path, output: Path) -> None:
    """Put the answers about all chunks of a list together.

    Parameters
    ----------
    parts
        Answers about its chunks, in their order.
    table
        The list.
    output
        Table to write: a row for each of the list, with its columns.
    """
    from astromae.asking.joined import join_parts
    from astromae.progress import log

    log(str(join_parts(parts, table, output)))
