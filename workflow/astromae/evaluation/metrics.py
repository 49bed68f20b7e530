"""The numbers by which redshifts are judged (equations 5 to 9 of the paper, and two usual ones)."""

import numpy as np

#: Metrics in the order of every table; the first four and R2 are the paper's.
METRICS = ("mse", "mae", "bias", "precision", "nmad", "r2", "outliers")

#: Metrics of which more is better. Of the bias, the one nearest to zero is best; of the others, the least.
MORE_IS_BETTER = ("r2",)

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


def badness_sign(metric: str, value: np.ndarray) -> np.ndarray:
    """Return the signs that turn values of `metric` so that less is better: of the bias towards zero, of R2 down."""
    if metric == "bias":
        return np.where(np.asarray(value) < 0, -1.0, 1.0)
    return np.full(np.shape(value), -1.0 if metric in MORE_IS_BETTER else 1.0)


def badness(metric: str, value: np.ndarray) -> np.ndarray:
    """Return `value` of `metric` turned so that less is better: of the bias its size, of R2 its negative."""
    return badness_sign(metric, value) * value
