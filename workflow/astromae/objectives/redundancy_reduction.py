"""Barlow Twins: two views of a galaxy get the same features, of which no two say the same."""

import torch
from torch import Tensor, nn

from astromae.collective import total
from astromae.objectives.barlow_twins import BarlowTwinsSettings
from astromae.objectives.learner import Learner

#: Added to variances, as in torch's batch normalisation.
EPSILON = 1e-5


def standardise(z: Tensor, together: bool = True) -> Tensor:
    """Bring each column of z (n, d) to zero mean and unit variance (biased).

    The rows are those of all processes if `together`, else those of this one.
    """
    add = total if together else _alone
    count = add(z.new_full((), len(z)))
    centred = z - add(z.sum(dim=0)) / count
    variance = add(centred.square().sum(dim=0)) / count
    return centred * (variance + EPSILON).rsqrt()


def cross_correlation(one: Tensor, other: Tensor, together: bool = True) -> Tensor:
    """Return the correlations (d, d) of the columns of two matrices (n, d), over rows as `standardise` has them."""
    add = total if together else _alone
    count = add(one.new_full((), len(one)))
    return add(standardise(one, together).T @ standardise(other, together)) / count


def _alone(x: Tensor) -> Tensor:
    return x


def redundancy_loss(correlations: Tensor, redundancy: float) -> Tensor:
    """Return the sum of (1 - c_ii)^2, and of c_ij^2 off the diagonal times `redundancy` (equation 1)."""
    diagonal = correlations.diagonal()
    off_diagonal = correlations.square().sum() - diagonal.square().sum()
    return (1 - diagonal).square().sum() + redundancy * off_diagonal


class RedundancyReduction(Learner):
    """Barlow Twins (Zbontar et al. 2021).

    In training the statistics are those of the batch of all processes; in validation, where each process has batches
    of its own, those of its batch.

    Parameters
    ----------
    encoder
        The encoder.
    settings
        Width of the projector and weight of the redundancy.
    """

    def __init__(self, encoder: nn.Module, settings: BarlowTwinsSettings):
        super().__init__(encoder)
        self.redundancy, width = settings.redundancy, settings.projection
        # Without biases, as released.
        self.projector = nn.Sequential(
            nn.Linear(encoder.width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
        )

    def _correlations(self, views: tuple[Tensor, Tensor]) -> Tensor:
        projected = [self.projector(self.encoder.features(view)) for view in views]
        projected = [z.to(torch.promote_types(z.dtype, torch.float32)) for z in projected]
        # Outside of autocast: sums over a batch and over d^2 squares are too long for half precision.
        with torch.autocast(projected[0].device.type, enabled=False):
            return cross_correlation(*projected, together=self.training)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the loss of two views (n, bands, side, side) of the same stamps; it is no mean over them."""
        return redundancy_loss(self._correlations((one, other)), self.redundancy)

    @torch.no_grad()
    def report(self, one: Tensor, other: Tensor) -> dict[str, float]:
        """Return what the loss consists of.

        Returns
        -------
        dict
            ``own_correlation``, the mean of the diagonal, and ``redundancy``, the root mean square off the diagonal.
        """
        correlations = self._correlations((one, other))
        diagonal, d = correlations.diagonal(), len(correlations)
        others = correlations.square().sum() - diagonal.square().sum()
        return {
            "own_correlation": diagonal.mean().item(),
            "redundancy": (others / max(1, d * (d - 1))).sqrt().item(),
        }
