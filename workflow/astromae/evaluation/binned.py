"""Metrics of galaxies in bins of a quantity, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from astromae.evaluation.bootstrap import bootstrap_metrics, percentile_interval
from astromae.evaluation.metrics import redshift_metrics

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
        Galaxies in each bin, shape (bins,).
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
        Finite values, shape (n,).

    Returns
    -------
    array
        Ascending, shape (bins + 1,). The outermost bins reach to the outermost galaxies.
    """
    tail = (1 - CENTRAL) / 2
    inner = np.linspace(*np.quantile(quantity, [tail, 1 - tail]), BINS + 1)[1:-1]
    edges = [quantity.min()]
    for edge in inner:
        inside = (quantity >= edges[-1]) & (quantity < edge)
        if inside.sum() >= LEAST and (quantity >= edge).sum() >= LEAST:
            edges.append(edge)
    return np.array([*edges, quantity.max()])


def binned_metrics(
    quantity: np.ndarray, z_spec: np.ndarray, z_pred: list[np.ndarray], settings: Mapping, metrics: tuple[str, ...]
) -> Binned:
    """Return metrics of models in bins of a quantity.

    Parameters
    ----------
    quantity, z_spec
        Of each galaxy, shape (n,), finite.
    z_pred
        For each model its predictions, shape (seeds, n).
    settings
        The configuration's section ``evaluation``.
    metrics
        Names of the metrics to return.
    """
    edges = bin_edges(quantity)
    place = np.clip(np.searchsorted(edges, quantity, side="right") - 1, 0, len(edges) - 2)
    runs = np.concatenate(z_pred)
    ends = np.cumsum([len(model) for model in z_pred])[:-1]

    def over_seeds(values: np.ndarray) -> np.ndarray:
        """Average the rows of each model."""
        return np.stack([model.mean(axis=0) for model in np.split(values, ends)])

    threshold = settings["outlier_threshold"]
    value, low, high = ({metric: [] for metric in metrics} for _ in range(3))
    for number in range(len(edges) - 1):
        spec, pred = z_spec[place == number], runs[:, place == number]
        point = redshift_metrics(spec, pred, threshold)
        resampled = bootstrap_metrics(spec, pred, settings["bootstrap_samples"], settings["seed"], threshold)
        for metric in metrics:
            value[metric].append(over_seeds(point[metric]))
            ends_of_interval = percentile_interval(over_seeds(resampled[metric]), settings["interval"])
            low[metric].append(ends_of_interval[0])
            high[metric].append(ends_of_interval[1])
    count = np.bincount(place, minlength=len(edges) - 1)
    centre = np.bincount(place, weights=quantity, minlength=len(edges) - 1) / count
    stacked = [{metric: np.stack(part[metric], axis=1) for metric in metrics} for part in (value, low, high)]
    return Binned(edges, centre, count, *stacked)
