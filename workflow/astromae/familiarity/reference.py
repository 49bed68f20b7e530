"""What a trained model carries with it to judge its own answers: galaxies like those that it was tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from astromae.errors import InputError
from astromae.evaluation.conformal import LEVELS, conformal_widths
from astromae.files import atomic_path

#: File in a model's folder.
REFERENCE = "reference.safetensors"

#: Galaxies that are kept, and the neighbours among them to which the mean distance is taken.
KEPT, NEIGHBOURS = 1024, 5

#: Fraction of the galaxies that lie nearer to the others than the distance beyond which one counts as strange.
FAMILIAR = 0.99


@dataclass(frozen=True)
class Reference:
    """Galaxies that a model has not learnt from, as its last hidden layer has them.

    Attributes
    ----------
    embeddings
        Of unit length, shape (m, width), float16.
    limit
        Mean distance to the `NEIGHBOURS` nearest below which `FAMILIAR` of them lie, 1 minus the cosine.
    widths
        For each of `LEVELS` how far from an estimate z the redshift may be, over 1 + z, by split conformal prediction
        on validation galaxies, NaN where they are too few; empty for models of another kind.
    """

    embeddings: np.ndarray
    limit: float
    widths: Sequence[float]

    def distances(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the mean distances (n,) of embeddings (n, width), of any length, to their nearest among its own."""
        if not len(self.embeddings):
            return np.full(len(embeddings), np.nan)
        cosines = unit(embeddings) @ self.embeddings.astype(np.float32).T
        return _mean_distance(cosines, min(NEIGHBOURS, len(self.embeddings)))

    def strange(self, embeddings: np.ndarray) -> np.ndarray:
        """Return which of some embeddings (n, width) lie farther away than `limit`, (n,)."""
        return self.distances(embeddings) > self.limit


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (n, width) at unit length, float32; one without any length stays as it is."""
    vectors = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _mean_distance(cosines: np.ndarray, count: int) -> np.ndarray:
    nearest = np.partition(cosines, cosines.shape[1] - count, axis=1)[:, -count:]
    return 1 - nearest.mean(axis=1)


def make_reference(embeddings: np.ndarray, scores: np.ndarray | None = None) -> Reference:
    """Make a reference of the embeddings (n, width) of galaxies that a model has not learnt from.

    Parameters
    ----------
    embeddings
        Their embeddings; of many, every so-manieth is kept.
    scores
        abs(z - z_pred) / (1 + z_pred) of validation galaxies, for a model that estimates redshifts alone.
    """
    kept = unit(embeddings[:: -(-len(embeddings) // KEPT)]).astype(np.float16)
    own = kept.astype(np.float32)
    cosines = own @ own.T
    # None is a neighbour of itself.
    np.fill_diagonal(cosines, -np.inf)
    count = min(NEIGHBOURS, len(own) - 1)
    limit = float(np.quantile(_mean_distance(cosines, count), FAMILIAR)) if count > 0 else float("inf")
    return Reference(kept, limit, [] if scores is None else [_width(scores, level) for level in LEVELS])


def _width(scores: np.ndarray, level: float) -> float:
    try:
        return float(conformal_widths(scores, [level])[0])
    except ValueError:
        # Too few validation galaxies to say.
        return float("nan")


def write_reference(folder: Path, reference: Reference) -> None:
    """Write a reference into a model's folder."""
    numbers = np.array([reference.limit, *reference.widths], dtype=np.float64)
    with atomic_path(folder / REFERENCE) as temporary:
        save_file({"embeddings": reference.embeddings, "limit_and_widths": numbers}, temporary)


def read_reference(folder: Path) -> Reference | None:
    """Read the reference of a model's folder; None where it has none, as those of classical methods and encoders.

    Raises
    ------
    InputError
        If the file is no such reference.
    """
    path = folder / REFERENCE
    if not path.is_file():
        return None
    try:
        tensors: Mapping[str, np.ndarray] = load_file(path)
        embeddings, numbers = tensors["embeddings"], tensors["limit_and_widths"].astype(np.float64)
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{path}: not the reference of a model ({error}); train it again, or copy it again") from error
    if len(embeddings) > KEPT:
        raise InputError(f"{path}: {len(embeddings)} galaxies, and a model keeps {KEPT} at most")
    if embeddings.ndim != 2 or embeddings.dtype != np.float16 or numbers.ndim != 1 or len(numbers) not in (1, 3):
        raise InputError(
            f"{path}: embeddings of shape {embeddings.shape}, {embeddings.dtype}: expected (n, width), float16"
        )
    return Reference(embeddings, float(numbers[0]), numbers[1:].tolist())
