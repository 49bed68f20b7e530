"""Whether an encoder still tells stamps apart, and how much its features know."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from astromae.errors import InputError
from astromae.tasks import Task

#: Stamps whose features are looked at, at most: well above the width of any encoder, whose rank could not be seen else.
STAMPS = 4096

#: Least deviation of the feature that varies most, of that of a healthy encoder.
LEAST_DEVIATION = 1e-4

#: Added to each part of the singular values (Garrido et al. 2023, equation 2).
RANK_EPSILON = 1e-7

#: Neighbours whose mean label is a galaxy's.
NEIGHBOURS = 10

#: Threshold of outliers, which no reading here shows.
_OUTLIERS = 0.05


def _deviations(features: Tensor) -> Tensor:
    """Return the standard deviation of each feature over stamps (n, width), every stamp's brought to unit length."""
    return F.normalize(features.float(), dim=1).std(dim=0)


def deviation(features: Tensor) -> float:
    """Return the mean standard deviation of features (n, width) that are brought to unit length.

    Of an encoder that spreads stamps evenly it is 1 / sqrt(width), of a dead one 0 (Chen and He 2021, section 4.1).
    """
    return _deviations(features).mean().item()


def effective_rank(features: Tensor) -> float:
    """Return RankMe of features (n, width): the exponential of the entropy of their normalised singular values.

    Between 1, where all are multiples of one, and the width, which n has to exceed by far (Garrido et al. 2023,
    equation 1); NaN where a feature is not finite.
    """
    if not features.isfinite().all():
        return float("nan")
    values = torch.linalg.svdvals(features.float())
    parts = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny) + RANK_EPSILON
    return torch.special.entr(parts).sum().exp().item()


def neighbours_error(features: Tensor, targets: np.ndarray, task: Task) -> dict[str, float]:
    """Return how well the labels of a galaxy's nearest neighbours tell its own.

    Each galaxy is given the mean label of the ten others whose features, less the mean of all, point most nearly into
    its direction.

    Parameters
    ----------
    features
        Shape (n, width).
    targets
        Labels (n, targets); galaxies without all of theirs are left out.
    task
        A regression task, which says how errors are measured.

    Returns
    -------
    dict
        One number by name, ``knn_nmad`` for redshifts; NaN where too few galaxies have labels.
    """
    metric = "nmad" if "nmad" in task.metrics else next(iter(task.metrics))
    known = np.isfinite(targets).all(axis=1)
    if known.sum() <= 2 * NEIGHBOURS:
        return {f"knn_{metric}": float("nan")}
    chosen, truth = features.float()[torch.from_numpy(known).to(features.device)], targets[known].astype(np.float64)
    directions = F.normalize(chosen - chosen.mean(dim=0), dim=1)
    nearest = (directions @ directions.T).fill_diagonal_(-math.inf).topk(NEIGHBOURS, dim=1).indices
    predicted = task.predict(truth[nearest.cpu().numpy()].mean(axis=1))
    labels = dict(zip(task.targets.values(), truth.T, strict=True))
    return {f"knn_{metric}": float(task.measure({**labels, **predicted}, outlier_threshold=_OUTLIERS)[metric])}


def require_no_collapse(features: Tensor, encoder: str) -> None:
    """Stop if an encoder has collapsed: if its features do not differ between stamps.

    Parameters
    ----------
    features
        Shape (n, width).
    encoder
        Which encoder, and of which stamps, for the message.

    Raises
    ------
    InputError
        If no feature varies: says what was seen, and what to change.
    """
    if len(features) < 2:
        return
    healthy = 1 / math.sqrt(features.shape[1])
    largest = _deviations(features).max().item()
    if largest < LEAST_DEVIATION * healthy:
        raise InputError(
            f"{encoder}: the encoder has collapsed: its features of {len(features)} stamps are all alike (none varies "
            f"by more than {largest:.1g} of their length; of a healthy encoder they vary by {healthy:.2g}). Lower "
            "optimiser.learning_rate of its pretraining, or train longer"
        )
