"""Embeddings of anyone's galaxies, by any trained encoder or model."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np

from astromae.asking.batches import Source
from astromae.asking.listed import ListedGalaxies, Where
from astromae.asking.stamp_files import is_stamp_file, open_stamp_file
from astromae.contracts.embeddings import EmbeddingsWriter
from astromae.errors import InputError
from astromae.files import sha256
from astromae.model_archive import opened
from astromae.predict import TrainedEncoder, TrainedModel, load_model
from astromae.progress import Ticker, log
from astromae.training.folders import RECIPE, WEIGHTS


def embed_galaxies(encoder: Path, given: Path, output: Path, where: Where, gpus: int = 0) -> int:
    """Write the embeddings of galaxies, and return their number.

    Those of an encoder are its features; those of a model are what its last layer reads. Galaxies without a stamp, or
    without the magnitudes that a model reads, are left out, and counted in the log.

    Parameters
    ----------
    encoder
        Folder or archive of a pretrained encoder or of a model.
    given
        A list of galaxies, or a file or folder of stamps; columns of numbers or text are kept.
    output
        File to write (`astromae.contracts.embeddings`).
    where
        Where the stamps of a list come from.
    gpus
        0 or 1.

    Raises
    ------
    InputError
        If a file cannot be read, does not fit, or no galaxy is left.
    """
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    if output.exists() and output.samefile(given):
        raise InputError(f"{output}: is what is asked about; give the embeddings another name")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(opened(encoder))
        predictor = load_model(folder, gpus, foreign=folder != encoder)
        if not isinstance(predictor, (TrainedEncoder, TrainedModel)):
            raise InputError(f"{encoder}: a classical method has no embeddings; give an encoder or a network")
        about = {"encoder": str(encoder), "recipe": sha256(folder / RECIPE), "weights": sha256(folder / WEIGHTS)}
        about |= {"seed": predictor.session.seed, "source": given.name}
        parts = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent)))
        source = _source(predictor, given, where, parts)
        ticker, left_out = Ticker("embed", len(source), "galaxies"), 0
        writer = stack.enter_context(EmbeddingsWriter(output, about))
        for batch in source.batches():
            kept = batch.has_stamp.copy()
            magnitudes = None
            if isinstance(predictor, TrainedModel) and predictor.recipe.branches.magnitude:
                columns = [f"mag_{band}" for band in predictor.session.scaling.bands]
                if not set(columns) <= set(batch.table):
                    raise InputError(f"{given}: has no {', '.join(columns)}, which {predictor.recipe.model} reads")
                magnitudes = batch.table[columns].to_numpy(np.float64)
                kept &= np.isfinite(magnitudes).all(axis=1)
            left_out += int((~kept).sum())
            if kept.any():
                images = batch.images[kept[batch.has_stamp]]
                own = None if magnitudes is None else magnitudes[kept]
                further = batch.table[kept].drop(columns="objid")
                vectors = _embedded(predictor, images, own)
                columns = {name: further[name].to_numpy() for name in further}
                writer.append(batch.table["objid"].to_numpy(np.int64)[kept], vectors, columns)
            ticker.advance(len(batch.table))
        ticker.close()
    if left_out:
        log(f"{output}: {left_out} galaxies without what the encoder reads are left out")
    return len(source) - left_out


def _source(predictor: TrainedEncoder | TrainedModel, given: Path, where: Where, parts: Path) -> Source:
    crop = predictor.session.recipe.crop
    if is_stamp_file(given):
        return open_stamp_file(given, predictor.session.scaling.stamps, crop)
    return ListedGalaxies(given, where, parts, crop + crop % 2)


def _embedded(
    predictor: TrainedEncoder | TrainedModel, images: np.ndarray, magnitudes: np.ndarray | None
) -> np.ndarray:
    if isinstance(predictor, TrainedEncoder):
        return predictor.predict(images)["features"]
    return predictor.embed_and_predict(images, magnitudes)[0]
