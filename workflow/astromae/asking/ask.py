"""Asking models about galaxies: any number, batch by batch, from where a killed run stopped."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from astromae.asking.asked import Asked, open_asked
from astromae.asking.batches import Source
from astromae.asking.identity import identity_of
from astromae.asking.joined import PART, Summary, expected_parts, join_parts
from astromae.asking.kept import folder_of, kept_answers
from astromae.asking.parts import write_part
from astromae.asking.sources import check_paths, open_source
from astromae.asking.written import require_format
from astromae.errors import InputError
from astromae.model_archive import opened
from astromae.progress import Ticker

if TYPE_CHECKING:
    from astromae.asking.listed import Where


@dataclass(frozen=True)
class Question:
    """What is asked, and how.

    Attributes
    ----------
    bands, unit
        Bands and unit of a file of stamps, where it is not as the model has them.
    symmetries
        Average over the eight symmetries of a stamp.
    gpus
        0 or 1.
    """

    bands: Sequence[str] | None = None
    unit: str = "nanomaggies"
    symmetries: bool = False
    gpus: int = 0


def predict_galaxies(
    models: Sequence[Path],
    given: Path,
    output: Path,
    where: "Where | None",
    question: Question,
    pdf: Path | None = None,
) -> Summary:
    """Ask one model, or the mixture of several, about galaxies, and write the answers.

    What was answered is kept beside the output, in a folder with its name and ``.parts``, until all is done; the same
    call continues from there.

    Parameters
    ----------
    models
        Folders of models, or archives of them.
    given
        A list of galaxies, or a file or folder of stamps.
    output
        Table to write, its format by its suffix (`astromae.asking.written`): a row for each galaxy, in the order in
        which they were given, with all columns that were given.
    where
        Where the stamps of a list come from; None for stamps.
    question
        What is asked, and how.
    pdf
        File of qp to write, with the distributions of those that have one.

    Raises
    ------
    InputError
        If a file cannot be read, or the models do not fit one another or the stamps: before anything is written.
    """
    require_format(output)
    check_paths(given, models, [output, pdf] if pdf is not None else [output])
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(opened(path)) for path in models]
        pairs = zip(models, folders, strict=True)
        asked = [open_asked(folder, question.gpus, foreign=folder != path) for path, folder in pairs]
        _require_fit(asked, pdf)
        parts = folder_of(output)
        # No folder yet: what is wrong with a list is said before anything is written.
        source = open_source(asked, given, where, parts, question.bands, question.unit)
        stack.enter_context(kept_answers(parts, [source.identity(), question.symmetries, *map(identity_of, models)]))
        _answer_all(asked, source, question, parts)
        return join_parts(expected_parts(parts, source.batch_count), source.listed, output, pdf)


def _require_fit(asked: Sequence[Asked], pdf: Path | None) -> None:
    first = asked[0]
    for other in asked[1:]:
        scales = {model.format.pixel_scale_arcsec for model in (first, other) if model.format is not None}
        if len(scales) > 1:
            raise InputError(f"{other.name} and {first.name}: stamps of {scales} arcsec a pixel cannot be mixed")
        if other.bands != first.bands:
            raise InputError(f"{other.name} reads {', '.join(other.bands)}, {first.name} {', '.join(first.bands)}")
        if not {"z_spec"} == set(other.task.targets.values()) == set(first.task.targets.values()):
            raise InputError(f"{first.name} and {other.name}: only models of redshift can be mixed")
    for model in asked:
        widths = () if model.reference is None else model.reference.widths
        if len(asked) > 1 and model.task.density is None and not (len(widths) and np.isfinite(widths[0])):
            raise InputError(
                f"{model.name} estimates redshifts without intervals, and only models with intervals or distributions "
                "can be mixed: leave it out, or train it again with more validation galaxies"
            )
    if pdf is not None and pdf.is_dir():
        raise InputError(f"{pdf}: is a folder; give the file of qp another name")
    if pdf is not None and len(asked) == 1 and first.task.density is None:
        raise InputError(f"{first.name} has no distributions to write to {pdf}; take one of task redshift_pdf")


def _answer_all(asked: Sequence[Asked], source: Source, question: Question, parts: Path) -> None:
    done = answered = 0
    while (path := parts / PART.format(done)).is_file():
        answered += pq.ParquetFile(path).metadata.num_rows
        done += 1
    ticker = Ticker("predict", len(source), "galaxies", answered)
    for number, batch in enumerate(source.batches(done), start=done):
        write_part(parts / PART.format(number), asked, batch, question.symmetries)
        ticker.advance(len(batch.table))
    ticker.close()
