"""Whole redshift distributions as a task: a probability for each bin, by a softmax or a mixture of normal ones."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from astromae.errors import InputError
from astromae.evaluation.densities import point_estimates
from astromae.tasks import Task
from astromae.tasks.redshift import METRICS, redshift_metrics
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import Tensor


#: Fraction of training galaxies that may lie beyond the last bin, and count as inside it.
MOST_BEYOND = 0.01


class RedshiftPDFSettings(Typed):
    """Distributions of redshift."""

    bins: int = Field(180, ge=2, description="Bins of equal width.")
    z_max: float = Field(0.4, gt=0, description="End of the last bin; the first begins at 0.")
    head: Literal["softmax", "mixture"] = Field(
        "softmax", description="softmax: a probability for each bin; mixture: normal distributions inside the bins."
    )
    smoothing_bins: float = Field(
        1.0, ge=0, description="Of softmax; standard deviation by which a label is spread over bins."
    )
    components: int = Field(5, ge=1, description="Of mixture; number of normal distributions.")

    def edges(self) -> np.ndarray:
        """Return the edges of the bins, shape (bins + 1,)."""
        return np.linspace(0.0, self.z_max, self.bins + 1)


def _bin_masses(settings: RedshiftPDFSettings, mean: "Tensor", deviation: "Tensor") -> "Tensor":
    """Return the masses (..., bins) of normal distributions (...) that are cut off at both ends of the bins."""
    import torch

    edges = torch.as_tensor(settings.edges(), dtype=mean.dtype, device=mean.device)
    cdf = torch.special.ndtr((edges - mean[..., None]) / deviation[..., None])
    masses = cdf.diff(dim=-1)
    # A label beyond the bins lies in the nearest one; the smallest number keeps its row from being 0 / 0.
    return masses / masses.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(mean.dtype).tiny)


def _targets(settings: RedshiftPDFSettings, z: "Tensor") -> "Tensor":
    """Return what the softmax is trained towards: the bin's number (n,), or probabilities (n, bins).

    A redshift on an edge lies in the bin above it, one beyond the last bin in the last (Hayat et al. 2021).
    """
    width = settings.z_max / settings.bins
    if settings.smoothing_bins == 0:
        return (z / width).long().clamp(0, settings.bins - 1)
    inside = z.clamp(0, settings.z_max)
    return _bin_masses(settings, inside, inside.new_full(inside.shape, settings.smoothing_bins * width))


def _mixture(settings: RedshiftPDFSettings, outputs: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """Return logarithms of weights, means and standard deviations, each (n, components).

    Means stay inside the bins and deviations between half a bin and half of all bins: without bounds, strange stamps
    get redshifts of any size.
    """
    weight, mean, deviation = outputs.chunk(3, dim=-1)
    least, most = settings.z_max / settings.bins / 2, settings.z_max / 2
    deviation = least * (most / least) ** deviation.sigmoid()
    return weight.log_softmax(dim=-1), settings.z_max * mean.sigmoid(), deviation


def _loss(settings: RedshiftPDFSettings, outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Return the mean negative log-likelihood: cross-entropy of the bins, or minus the logarithm of the density."""
    import torch
    from torch.nn.functional import cross_entropy

    z = targets[:, 0]
    if settings.head == "softmax":
        return cross_entropy(outputs.float(), _targets(settings, z))
    logs, mean, deviation = _mixture(settings, outputs.float())
    z = z.clamp(0, settings.z_max)[:, None]
    inside = torch.special.ndtr((settings.z_max - mean) / deviation) - torch.special.ndtr(-mean / deviation)
    density = -0.5 * ((z - mean) / deviation) ** 2 - deviation.log() - 0.5 * math.log(2 * math.pi) - inside.log()
    return -(logs + density).logsumexp(dim=-1).mean()


def _bias(settings: RedshiftPDFSettings, targets: np.ndarray) -> np.ndarray:
    """Return where outputs start: with the distribution of the training galaxies, or with components spread over it.

    Raises
    ------
    InputError
        If more than `MOST_BEYOND` of the galaxies lie beyond the bins.
    """
    beyond = int((targets[:, 0] > settings.z_max).sum())
    if beyond > MOST_BEYOND * len(targets):
        raise InputError(
            f"tasks.redshift_pdf.z_max is {settings.z_max:g}, and {beyond} of {len(targets)} training galaxies have "
            f"larger redshifts, up to {targets[:, 0].max():.3f}: set it above them, with more bins of the same width"
        )
    z = np.clip(targets[:, 0], 0, settings.z_max)
    if settings.head == "softmax":
        counts = np.histogram(z, settings.edges())[0]
        # One galaxy more in each bin, or an empty one would start at minus infinity.
        return np.log((counts + 1) / (counts + 1).sum()).astype(np.float32)
    share = (np.arange(settings.components) + 0.5) / settings.components
    mean = np.clip(np.quantile(z, share) / settings.z_max, 0.02, 0.98)
    deviation = max(float(z.std()), settings.z_max / settings.bins)
    least, most = settings.z_max / settings.bins / 2, settings.z_max / 2
    part = np.clip(np.log(deviation / least) / np.log(most / least), 0.02, 0.98)
    parts = [np.zeros_like(share), np.log(mean / (1 - mean)), np.full_like(share, np.log(part / (1 - part)))]
    return np.concatenate(parts).astype(np.float32)


def _predict(settings: RedshiftPDFSettings, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return point estimates, and the probability of each bin."""
    import torch

    given = torch.from_numpy(np.ascontiguousarray(outputs, dtype=np.float64))
    if settings.head == "softmax":
        masses = given.softmax(dim=-1)
    else:
        logs, mean, deviation = _mixture(settings, given)
        masses = (logs.exp()[..., None] * _bin_masses(settings, mean, deviation)).sum(dim=-2)
    return _columns(settings, masses.numpy())


def _columns(settings: RedshiftPDFSettings, masses: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of distributions (n, bins)."""
    points = point_estimates(settings.edges(), masses)
    return {
        "z_pred": points["mean"],
        "z_median": points["median"],
        "z_mode": points["mode"],
        "z_err": points["deviation"],
        "z_pdf": masses.astype(np.float32),
    }


def _measure(columns: Mapping[str, np.ndarray], outlier_threshold: float) -> dict[str, np.ndarray]:
    return redshift_metrics(columns["z_spec"], columns["z_pred"], outlier_threshold)


def redshift_pdf(settings: RedshiftPDFSettings) -> Task:
    """Return the task of distributions over some bins.

    Its point estimate, by which tables judge it beside the others, is the mean.
    """
    return Task(
        title="redshift",
        targets={"z": "z_spec"},
        outputs=settings.bins if settings.head == "softmax" else 3 * settings.components,
        loss=lambda outputs, targets: _loss(settings, outputs, targets),
        bias=lambda targets: _bias(settings, targets),
        columns=("z_pred", "z_median", "z_mode", "z_err"),
        predict=lambda outputs: _predict(settings, outputs),
        metrics=METRICS,
        measure=_measure,
        settings=RedshiftPDFSettings,
        configured=redshift_pdf,
        density="z_pdf",
        edges=settings.edges(),
        of_density=lambda masses: _columns(settings, masses),
    )


TASK = redshift_pdf(RedshiftPDFSettings())
