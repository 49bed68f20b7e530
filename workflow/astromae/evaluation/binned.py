"""Metrics of galaxies in bins of a quantity, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from astromae.contracts.predictions import Predictions
from astromae.evaluation.scores import score
from astromae.settings.evaluation import Evaluation

#: Bins of equal width over the central part of the distribution; those that hold fewer galaxies than `LEAST`
#: are joined to a neighbour, since a dispersion of fewer says little.
BINS, CENTRAL, LEAST = 10, 0.98, 30


@dataclass(frozen=True)
class Binned:
    """One metric of several models in bins.

    Attributes
    ----------
    edges
        Ends of the bins, shape (bins + 1,).
    centre
        Mean of the quantity in each bin, shape (bins,).
    count
        Galaxies in each bin, shape (bins,). Of a quantity that each model has of its own, both are means over models.
    value, low, high
        For each metric an array of shape (models, bins): the mean over seeds and the ends of its interval.
    """

    edges: np.ndarray
    centre: np.ndarray
    count: np.ndarray
    value: Mapping[str, np.ndarray]
    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]


def bin_edges(quantity: np.ndarray) -> np.ndarray:
    """Return edges of bins that hold all galaxies, at least `LEAST` in each (if there are as many).

    Parameters
    ----------
    quantity
        Finite values, shape (n,), or (models, n): there are then as many galaxies in the bins of each model.

    Returns
    -------
    array
        Ascending, shape (bins + 1,). The outermost bins reach to the outermost galaxies.
    """
    tail, own = (1 - CENTRAL) / 2, np.atleast_2d(quantity)
    inner = np.linspace(*np.quantile(quantity, [tail, 1 - tail]), BINS + 1)[1:-1]
    edges = [quantity.min()]
    for edge in inner:
        inside = (own >= edges[-1]) & (own < edge)
        if min(inside.sum(axis=1).min(), (own >= edge).sum(axis=1).min()) >= LEAST:
            edges.append(edge)
    return np.array([*edges, quantity.max()])


def binned_metrics(
    quantity: np.ndarray, predictions: Predictions, settings: Evaluation, metrics: Sequence[str]
) -> Binned:
    """Return metrics of models in bins of a quantity, scored in each bin as a table is (`scores.score`).

    Parameters
    ----------
    quantity
        Of each galaxy of the predictions, shape (n,), finite; or each model's own, shape (models, n).
    predictions
        Predictions of the models.
    settings
        The configuration's section ``evaluation``.
    metrics
        Names of the metrics to return.
    """
    edges = bin_edges(quantity)
    if quantity.ndim == 1:
        return _binned(edges, quantity, predictions, settings, metrics)
    parts = [
        _binned(edges, own, replace(predictions, models=(model,)), settings, metrics)
        for own, model in zip(quantity, predictions.models, strict=True)
    ]
    of_metrics = [
        {metric: np.concatenate([getattr(part, name)[metric] for part in parts]) for metric in metrics}
        for name in ("value", "low", "high")
    ]
    centre, count = (np.mean([getattr(part, name) for part in parts], axis=0) for name in ("centre", "count"))
    # Sums are rounded, so that all galaxies are still in some bin.
    whole = np.diff(np.rint(np.cumsum(np.append(0, count)))).astype(int)
    return Binned(edges, centre, whole, *of_metrics)


def _binned(
    edges: np.ndarray, quantity: np.ndarray, predictions: Predictions, settings: Evaluation, metrics: Sequence[str]
) -> Binned:
    place = np.clip(np.searchsorted(edges, quantity, side="right") - 1, 0, len(edges) - 2)
    scores = [score(predictions.of_galaxies(place == number), settings) for number in range(len(edges) - 1)]
    value = {metric: np.stack([one.value(metric) for one in scores], axis=1) for metric in metrics}
    limits = {metric: np.stack([one.limits(metric) for one in scores], axis=2) for metric in metrics}
    count = np.bincount(place, minlength=len(edges) - 1)
    centre = np.bincount(place, weights=quantity, minlength=len(edges) - 1) / count
    low, high = ({metric: ends[side] for metric, ends in limits.items()} for side in (0, 1))
    return Binned(edges, centre, count, value, low, high)
