"""Asking models about galaxies: any number, batch by batch, from where a killed run stopped."""

import contextlib
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from astromae.asking.answers import Answer, mixture
from astromae.asking.archive import opened
from astromae.asking.asked import Asked, flags_of, open_asked
from astromae.asking.batches import Batch, Source
from astromae.asking.flags import as_text
from astromae.asking.listed import ListedGalaxies, Where, own_columns
from astromae.asking.stamp_files import is_stamp_file, open_stamp_file
from astromae.asking.written import SUFFIXES, write_answers
from astromae.constants import BANDS, STAMP_SIZE
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.qp_file import write_qp
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.files import atomic_path, sha256, write_json
from astromae.progress import Ticker, log

#: What every answer begins with.
FIRST = ("objid", "ra", "dec")

#: Edges of the bins of all distributions, in the folder of parts.
EDGES = "edges.npy"

#: Point estimates as RAIL calls them, and here.
POINTS = {"zmean": "z_phot", "zmedian": "z_median", "zmode": "z_mode"}


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


@dataclass(frozen=True)
class Summary:
    """How many were answered.

    Attributes
    ----------
    answered
        Galaxies with an answer.
    flagged
        Those of them with a flag.
    reasons
        Why others have none, and how many.
    """

    answered: int
    flagged: int
    reasons: dict[str, int]

    def __str__(self) -> str:
        """Return it in words, one line each."""
        lines = [f"{self.answered} predicted, {self.flagged} of them flagged"]
        lines += [f"{count} not: {reason}" for reason, count in self.reasons.items()]
        return "\n".join(lines)


def predict_galaxies(
    models: Sequence[Path], given: Path, output: Path, where: Where, question: Question, pdf: Path | None = None
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
        Table to write, its format by its suffix (`SUFFIXES`): a row for each galaxy, in the order in which they were
        given, with all columns that were given.
    where
        Where the stamps of a list come from.
    question
        What is asked, and how.
    pdf
        File of qp to write, with the distributions of those that have one.

    Raises
    ------
    InputError
        If a file cannot be read, or the models do not fit one another or the stamps: before anything is written.
    """
    if output.suffix not in SUFFIXES:
        raise InputError(f"{output}: its suffix says no format; use one of {', '.join(SUFFIXES)}")
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    for path in filter(None, (output, pdf)):
        if path.exists() and path.samefile(given):
            raise InputError(f"{path}: is what is asked about; give the answers another name")
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}")
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(opened(path)) for path in models]
        asked = [open_asked(folder, question.gpus) for folder in folders]
        _require_fit(asked, pdf)
        made_by = [sha256(folder / name) for folder in folders for name in ("recipe.json", "weights.safetensors")]
        parts = output.with_name(f"{output.name}.parts")
        source = _source(asked, given, where, question, parts)
        _begin(parts, [source.identity(), question.symmetries, *made_by])
        _answer_all(asked, source, question, parts)
        summary = _assemble(parts, given, source, output, pdf)
    shutil.rmtree(parts)
    return summary


def _require_fit(asked: Sequence[Asked], pdf: Path | None) -> None:
    first = asked[0]
    for other in asked[1:]:
        if other.bands != first.bands:
            raise InputError(f"{other.name} reads {', '.join(other.bands)}, {first.name} {', '.join(first.bands)}")
        if not {"z_spec"} == set(other.task.targets.values()) == set(first.task.targets.values()):
            raise InputError(f"{first.name} and {other.name}: only models of redshift can be mixed")
    if pdf is not None and len(asked) == 1 and first.task.density is None:
        raise InputError(f"{first.name} has no distributions to write to {pdf}; take one of task redshift_pdf")


def _source(asked: Sequence[Asked], given: Path, where: Where, question: Question, parts: Path) -> Source:
    crop = max(model.crop for model in asked)
    wanted = next((model.format for model in asked if model.format is not None), None)
    if wanted is None:
        wanted = StampFormat(asked[0].bands, 0.396, STAMP_SIZE)
    if is_stamp_file(given):
        return open_stamp_file(given, wanted, crop, question.bands, question.unit)
    if question.bands is not None or question.unit != "nanomaggies":
        raise InputError(f"{given}: a list of galaxies has no bands or unit of its own; leave the options out")
    if wanted.bands != BANDS:
        raise InputError(f"{given}: a list of galaxies is of SDSS, and {asked[0].name} reads {', '.join(wanted.bands)}")
    # No folder yet: what is wrong with a list is said before anything is written.
    return ListedGalaxies(given, where, parts, crop + crop % 2, any(model.reads_stamps for model in asked))


def _begin(parts: Path, identity: Sequence[object]) -> None:
    """Make the folder of answers, or empty one that is of another question."""
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    path = parts / "question.json"
    if parts.exists():
        try:
            same = json.loads(path.read_text(encoding="utf-8")) == digest
        except (OSError, ValueError):
            same = False
        if same:
            log(f"{parts}: going on with what was answered before")
            return
        log(f"{parts}: is of another question; beginning anew")
        shutil.rmtree(parts)
    parts.mkdir()
    write_json(path, digest)


def _answer_all(asked: Sequence[Asked], source: Source, question: Question, parts: Path) -> None:
    done = 0
    answered = 0
    while (path := parts / f"{done:06d}.answers.parquet").is_file():
        answered += pq.ParquetFile(path).metadata.num_rows
        done += 1
    ticker = Ticker("predict", len(source), "galaxies", answered)
    for number, batch in enumerate(source.batches(done), start=done):
        table, answer = _answered(asked, batch, question)
        if answer is not None and answer.masses is not None:
            _save(parts / EDGES, answer.edges)
            _save(parts / f"{number:06d}.masses.npy", answer.masses.astype(np.float32))
        # The table comes last: with it a batch is done.
        with atomic_path(parts / f"{number:06d}.answers.parquet") as temporary:
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), temporary)
        ticker.advance(len(table))
    ticker.close()


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)


def _answered(asked: Sequence[Asked], batch: Batch, question: Question) -> tuple[pd.DataFrame, Answer | None]:
    """Return the answers about a batch, a row for each galaxy; and, of those that have one, as models give them."""
    table, count, bands = batch.table, len(batch.table), asked[0].bands
    columns = magnitude_columns(bands)
    reads_stamps = any(model.reads_stamps for model in asked)
    reads_magnitudes = any(model.reads_magnitudes for model in asked)
    magnitudes = None
    if set(columns) <= set(table):
        magnitudes = table[columns].to_numpy(np.float64)
    elif reads_magnitudes:
        magnitudes = np.full((count, len(bands)), np.nan)
    complete = np.ones(count, dtype=bool) if magnitudes is None else np.isfinite(magnitudes).all(axis=1)
    possible = np.ones(count, dtype=bool)
    reasons = np.full(count, "", dtype=object)
    flags: dict[str, np.ndarray] = {}
    if reads_magnitudes:
        possible &= complete
        reasons[~complete] = f"no {', '.join(columns)}"
        flags["no_magnitudes"] = ~complete
    if reads_stamps:
        possible &= batch.has_stamp
        reasons = np.where(batch.has_stamp, reasons, batch.reasons)
        flags["no_stamp"] = ~batch.has_stamp
    result = table[["objid"]].copy()
    for name in ("ra", "dec"):
        result[name] = table[name] if name in table else np.nan
    rows, answer = np.flatnonzero(possible), None
    if len(rows):
        images = batch.images[np.flatnonzero(possible[batch.has_stamp])] if reads_stamps else None
        own = None if magnitudes is None else magnitudes[rows]
        told = [model.answer(images, own if model.reads_magnitudes else None, question.symmetries) for model in asked]
        answer = mixture([one for one, _ in told])
        for name, values in answer.columns.items():
            result[name] = np.nan
            result.loc[result.index[rows], name] = values
        for name, flagged in flags_of(asked, answer, [strange for _, strange in told], images, own, len(rows)).items():
            flags[name] = np.zeros(count, dtype=bool)
            flags[name][rows] = flagged
    result["flags"] = as_text(flags, count)
    result["reason"] = reasons
    result["model"] = "+".join(model.name for model in asked)
    further = [name for name in table if name not in result]
    return pd.concat([result, table[further]], axis=1), answer


def _assemble(parts: Path, given: Path, source: Source, output: Path, pdf: Path | None) -> Summary:
    """Put the parts together, write them, and count."""
    tables = [pd.read_parquet(path) for path in sorted(parts.glob("*.answers.parquet"))]
    # Where nobody of a batch has an answer, its columns are not there.
    columns = max(tables, key=lambda part: len(part.columns)).columns
    table = pd.concat([part for part in tables if len(part)] or tables, ignore_index=True)[list(columns)]
    reasons = table["reason"].to_numpy()
    if pdf is not None:
        _write_distributions(parts, table[reasons == ""], pdf)
    if isinstance(source, ListedGalaxies):
        table = _with_own(table, given)
    write_answers(output, table)
    flagged = (reasons == "") & (table["flags"].to_numpy() != "")
    return Summary(int((reasons == "").sum()), int(flagged.sum()), dict(Counter(reasons[reasons != ""]).most_common()))


def _with_own(table: pd.DataFrame, given: Path) -> pd.DataFrame:
    """Return the answers in the order of the list, with its columns under their own names."""
    own = own_columns(given)
    taken = {name.lower() for name in table} - set(magnitude_columns(BANDS))
    renamed = {name: f"{name}_listed" for name in own if name.lower() in taken and name.lower() not in FIRST}
    own = own.drop(columns=[name for name in own if name.lower() in FIRST]).rename(columns=renamed)
    table = table.sort_values("source_row", ignore_index=True)
    here = own.iloc[table["source_row"].to_numpy() - 1].reset_index(drop=True)
    absent = [name for name in table if name in {*here, "source_row"}]
    return pd.concat([table.drop(columns=absent), here], axis=1)


def _write_distributions(parts: Path, table: pd.DataFrame, pdf: Path) -> None:
    files = sorted(parts.glob("*.masses.npy"))
    blocks = [np.load(path, mmap_mode="r", allow_pickle=False) for path in files]
    if not blocks:
        raise InputError(f"{pdf}: not one galaxy has a distribution")
    shape = sum(map(len, blocks)), blocks[0].shape[1]
    masses = np.lib.format.open_memmap(parts / "masses.npy", "w+", np.float32, shape)
    start = 0
    for block in blocks:
        masses[start : start + len(block)] = block
        start += len(block)
    edges = np.load(parts / EDGES, allow_pickle=False)
    ancillary = {"objid": table["objid"].to_numpy(np.int64)}
    ancillary |= {name: table[name].to_numpy(np.float64) for name in ("ra", "dec")}
    ancillary |= {name: table[own].to_numpy(np.float64) for name, own in POINTS.items()}
    write_qp(pdf, edges, masses, ancillary)
