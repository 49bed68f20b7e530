"""Embeddings of anyone's galaxies, by any trained encoder or model."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from astromae.asking.asked import Asked
from astromae.asking.batches import Batch
from astromae.asking.inputs import inputs_of
from astromae.asking.own_columns import beside, own_columns
from astromae.asking.sources import check_paths, open_source
from astromae.asking.stamp_files import StampFile
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.embeddings import EmbeddingsWriter
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.files import sha256
from astromae.model_archive import opened
from astromae.predict import TrainedEncoder, TrainedModel, load_model
from astromae.progress import Ticker, log
from astromae.training.folders import RECIPE, WEIGHTS

if TYPE_CHECKING:
    from astromae.asking.listed import ListedGalaxies, Where


@dataclass(frozen=True)
class AskedEncoder:
    """A pretrained encoder that is asked for features, and what it reads (`astromae.asking.inputs.Reader`)."""

    name: str
    predictor: TrainedEncoder
    reads_stamps: bool = True
    reads_magnitudes: bool = False

    @property
    def format(self) -> StampFormat:
        """Return the format of the stamps of its training."""
        return self.predictor.session.scaling.stamps

    @property
    def bands(self) -> tuple[str, ...]:
        """Return its bands, in their order."""
        return self.format.bands

    @property
    def crop(self) -> int:
        """Return the pixels on a side of what it sees of a stamp."""
        return self.predictor.recipe.crop

    def embed(self, images: np.ndarray, magnitudes: np.ndarray | None) -> np.ndarray:
        """Return the features of stamps (n, bands, size, size), shape (n, width)."""
        return self.predictor.predict(images)["features"]


def embed_galaxies(
    encoder: Path,
    given: Path,
    output: Path,
    where: "Where | None",
    gpus: int = 0,
    bands: Sequence[str] | None = None,
    unit: str = "nanomaggies",
) -> int:
    """Write the embeddings of galaxies, and return their number.

    Those of an encoder are its features; those of a model are what its last layer reads. Galaxies without a stamp, or
    without the magnitudes that a model reads, are left out, as are rows of a list that are no galaxies; the log counts
    them.

    Parameters
    ----------
    encoder
        Folder or archive of a pretrained encoder or of a model.
    given
        A list of galaxies, or a file or folder of stamps; its columns are kept, beside ``row``, a list's row from 1.
    output
        File to write (`astromae.contracts.embeddings`).
    where
        Where the stamps of a list come from; None for stamps.
    gpus
        0 or 1.
    bands, unit
        Bands and unit of a file of stamps, where it is not as the encoder has them.

    Raises
    ------
    InputError
        If a file cannot be read, does not fit, an objid of stamps comes twice, or no galaxy is left.
    """
    check_paths(given, [encoder], [output])
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(opened(encoder))
        predictor = load_model(folder, gpus, foreign=folder != encoder)
        if not isinstance(predictor, (TrainedEncoder, TrainedModel)):
            raise InputError(f"{encoder}: a classical method has no embeddings; give an encoder or a network")
        is_encoder = isinstance(predictor, TrainedEncoder)
        reader = AskedEncoder(str(encoder), predictor) if is_encoder else Asked(str(encoder), predictor, None)
        about = {"encoder": str(encoder), "recipe": sha256(folder / RECIPE), "weights": sha256(folder / WEIGHTS)}
        about |= {"seed": predictor.session.seed, "source": given.name}
        parts = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent)))
        source = open_source([reader], given, where, parts, bands, unit)
        if isinstance(source, StampFile):
            _require_unique(given, source.objid)
        ticker = stack.enter_context(Ticker("embed", len(source), "galaxies"))
        writer = stack.enter_context(EmbeddingsWriter(output, about))
        incomplete = left_out = 0
        for batch, own in _with_columns(source, given):
            if batch.left_out:
                left_out += len(batch.table)
                continue
            inputs = inputs_of([reader], batch)
            if len(inputs.rows):
                columns = own.iloc[inputs.rows]
                vectors = reader.embed(inputs.images, inputs.magnitudes)
                objid = batch.table["objid"].to_numpy(np.int64)[inputs.rows]
                writer.append(objid, vectors, {name: columns[name].array for name in columns})
            incomplete += len(batch.table) - len(inputs.rows)
            ticker.advance(len(batch.table))
    if incomplete:
        log(f"{output}: {incomplete} galaxies without what the encoder reads are left out")
    if left_out:
        log(f"{output}: {left_out} rows of {given} are no galaxies, or come again, and are left out")
    return writer.count


def _require_unique(given: Path, objid: np.ndarray) -> None:
    """Stop if an objid of stamps comes twice: embeddings are looked up by it."""
    order = np.argsort(objid, kind="stable")
    twice = np.flatnonzero(objid[order][1:] == objid[order][:-1])
    if len(twice):
        rows = order[twice[0] : twice[0] + 2] + 1
        raise InputError(
            f"{given}: rows {rows[0]} and {rows[1]} have one objid, {objid[rows[0] - 1]}; embeddings are looked up by "
            "objid: use unique ones, or leave the column out: galaxies are then numbered from 0"
        )


def _with_columns(source: "ListedGalaxies | StampFile", given: Path) -> Iterator[tuple[Batch, pd.DataFrame]]:
    """Yield each batch with all that is known of its galaxies but objid, as the file of embeddings has it."""
    if isinstance(source, StampFile):
        for batch in source.batches():
            yield batch, _storable(beside(batch.table[["objid"]], batch.table.drop(columns="objid")))
        return
    galaxies, own = source.galaxies(), own_columns(given)
    # Magnitudes that nobody has say nothing.
    galaxies = galaxies.dropna(axis=1, how="all")
    own = own.iloc[galaxies["source_row"] - 1]
    asked = ("objid", "ra", "dec", *magnitude_columns(BANDS))
    columns = _storable(beside(galaxies.rename(columns={"source_row": "row"}), own, asked))
    columns.index = galaxies["source_row"]
    for batch in source.batches():
        yield batch, columns.reindex(batch.table["source_row"])


def _storable(table: pd.DataFrame) -> pd.DataFrame:
    """Return columns but objid as HDF5 has them: no slash in a name, and a missing text empty.

    Whole numbers and truth values of which some are missing become texts: as floats they would be quantities instead of
    kinds to `astromae.asking.oddities.mislabels`, and long ones rounded.
    """
    columns = {}
    for name in table.columns.drop("objid"):
        values = table[name]
        if values.dtype.kind not in "biuf" or (values.dtype.kind != "f" and values.isna().any()):
            values = values.astype("str").fillna("")
        columns[name] = values
    renamed = pd.DataFrame(columns, index=table.index).rename(columns=lambda name: name.replace("/", "_"))
    return beside(table[["objid"]], renamed).drop(columns="objid")
