"""What a trained model carries with it to judge its own answers: galaxies like those that it was tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from astromae.errors import InputError
from astromae.evaluation.conformal import LEVELS, conformal_widths
from astromae.files import atomic_path

#: File in a model's folder.
REFERENCE = "reference.safetensors"

#: Galaxies that are kept, and the neighbours among them to which the mean distance is taken.
KEPT, NEIGHBOURS = 1024, 5

#: Fraction of the galaxies that lie nearer to the others than the distance beyond which one counts as strange.
FAMILIAR = 0.99

#: Largest width over 1 + z of an interval that is believed.
WIDEST = 100.0


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
        with safe_open(path, "np") as file:
            # Before anything is read, since the file may be anyone's.
            shape, counted = (file.get_slice(name).get_shape() for name in ("embeddings", "limit_and_widths"))
            if len(shape) != 2 or shape[0] > KEPT or counted not in ([1], [1 + len(LEVELS)]):
                raise InputError(
                    f"{path}: embeddings of shape {tuple(shape)} and {counted} numbers; expected ({KEPT} or fewer, "
                    f"width), and [1] or [{1 + len(LEVELS)}]"
                )
            embeddings, numbers = file.get_tensor("embeddings"), file.get_tensor("limit_and_widths")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not the reference of a model ({error}); train it again, or copy it again") from error
    limit, *widths = numbers.astype(np.float64).tolist()
    if embeddings.dtype != np.float16 or not np.isfinite(embeddings).all():
        raise InputError(f"{path}: embeddings of type {embeddings.dtype}; expected float16, all finite")
    # A limit may be infinite, of one galaxy, and a width unknown, of few.
    if np.isnan(limit) or not all(0 <= width <= WIDEST or np.isnan(width) for width in widths):
        raise InputError(f"{path}: limit and widths are {[limit, *widths]}; expected a distance, and 0 to {WIDEST:g}")
    return Reference(embeddings, limit, widths)
