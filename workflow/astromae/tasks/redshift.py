"""Redshifts as a task, and the numbers by which they are judged (equations 5 to 9 of the paper, and two usual ones)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from astromae.tasks import Metric, Task

if TYPE_CHECKING:
    from torch import Tensor

#: The first four and R2 are the paper's.
METRICS = {
    "mse": Metric("MSE"),
    "mae": Metric("MAE"),
    "bias": Metric("Bias", better="zero"),
    "precision": Metric("Precision"),
    "nmad": Metric("NMAD"),
    "r2": Metric("R²", better="more"),
    "outliers": Metric("Outliers"),
}

#: Scales the median absolute deviation of a normal distribution to its standard deviation; the paper
#: (equation 8) rounds 1.4826 so.
MAD_SCALE = 1.48


def normalised_error(z_spec: np.ndarray, z_pred: np.ndarray) -> np.ndarray:
    """Return dz = (z_pred - z_spec) / (1 + z_spec), dimensionless, in the common shape of both."""
    return (z_pred - z_spec) / (1.0 + z_spec)


def dispersion(dz: np.ndarray) -> np.ndarray:
    """Return NMAD = 1.48 median abs(dz - median dz) over the last axis of normalised errors."""
    return MAD_SCALE * np.median(np.abs(dz - np.median(dz, axis=-1, keepdims=True)), axis=-1)


def redshift_metrics(z_spec: np.ndarray, z_pred: np.ndarray, outlier_threshold: float) -> dict[str, np.ndarray]:
    """Compute every metric of `METRICS` over the last axis.

    Parameters
    ----------
    z_spec
        Spectroscopic redshifts, shape (..., n), of a shape that broadcasts with `z_pred`.
    z_pred
        Predicted redshifts, shape (..., n).
    outlier_threshold
        A galaxy with abs(dz) above this is an outlier.

    Returns
    -------
    dict
        Arrays of shape (...), all dimensionless:

        - ``mse``, ``mae``: means of (z_pred - z_spec)^2 and of its absolute value (equations 5 and 6);
        - ``bias``: mean of dz (equation 7);
        - ``precision``: 1.48 median abs(dz), with no median subtracted (equation 8);
        - ``nmad``: 1.48 median abs(dz - median dz), the usual dispersion;
        - ``r2``: 1 - SS_res / SS_tot (equation 9); NaN where all spectroscopic redshifts are equal;
        - ``outliers``: the fraction of galaxies with abs(dz) > `outlier_threshold`.
    """
    z_spec = np.asarray(z_spec, dtype=np.float64)
    z_pred = np.asarray(z_pred, dtype=np.float64)
    error = z_pred - z_spec
    dz = normalised_error(z_spec, z_pred)
    absolute_dz = np.abs(dz)
    squared = np.mean(error**2, axis=-1)
    variance = np.var(z_spec, axis=-1)
    return {
        "mse": squared,
        "mae": np.mean(np.abs(error), axis=-1),
        "bias": np.mean(dz, axis=-1),
        "precision": MAD_SCALE * np.median(absolute_dz, axis=-1),
        "nmad": dispersion(dz),
        "r2": 1.0 - squared / np.where(variance > 0, variance, np.nan),
        "outliers": np.mean(absolute_dz > outlier_threshold, axis=-1),
    }


#: As RAIL and LSST's surveys count, beside the metrics of SDSS papers; the names tell them apart.
RAIL_METRICS = {
    "median_bias": Metric("Median bias", better="zero"),
    "sigma_iqr": Metric("σ(IQR)"),
    "outliers_3sigma": Metric("Outliers, 3σ"),
}


def rail_metrics(z_spec: np.ndarray, z_pred: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every metric of `RAIL_METRICS` over the last axis; shapes as of `redshift_metrics`.

    Returns
    -------
    dict
        Arrays of shape (...), of dz as in `normalised_error`: its median; its interquartile range over 1.349, which is
        the standard deviation of a normal distribution; and the fraction of galaxies with abs(dz) above 0.06 and three
        times that.
    """
    dz = normalised_error(np.asarray(z_spec, dtype=np.float64), np.asarray(z_pred, dtype=np.float64))
    low, median, high = np.percentile(dz, [25, 50, 75], axis=-1)
    sigma = (high - low) / 1.349
    limit = np.maximum(0.06, 3 * sigma)[..., None]
    return {
        "median_bias": median,
        "sigma_iqr": sigma,
        "outliers_3sigma": np.mean(np.abs(dz) > limit, axis=-1),
    }


def _loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Return the mean squared error."""
    from torch.nn.functional import mse_loss

    return mse_loss(outputs, targets)


def _measure(columns: Mapping[str, np.ndarray], outlier_threshold: float) -> dict[str, np.ndarray]:
    return redshift_metrics(columns["z_spec"], columns["z_pred"], outlier_threshold)


TASK = Task(
    title="redshift",
    targets={"z": "z_spec"},
    outputs=1,
    loss=_loss,
    # Redshifts are positive and small; starting at their mean saves the epochs that would find it.
    bias=lambda targets: targets.mean(axis=0),
    columns=("z_pred",),
    predict=lambda outputs: {"z_pred": outputs[:, 0]},
    metrics=METRICS,
    measure=_measure,
    regression=True,
)
