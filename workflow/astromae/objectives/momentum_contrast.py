"""Momentum contrast: a view of a galaxy is to be recognised among the views of many others."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from astromae.collective import gather, world_size
from astromae.errors import InputError
from astromae.grouped_batchnorm import Grouping, group_batchnorm, group_sizes
from astromae.objectives.learner import Learner
from astromae.objectives.moco import MoCoSettings


def contrastive_logits(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Return cosines over the temperature, (n, 1 + K): with each query's own key first, then with the queue.

    Parameters
    ----------
    queries, keys
        Of unit length, shape (n, d).
    queue
        Keys of other galaxies, shape (K, d).
    temperature
        Divides the cosines.
    """
    own = (queries * keys).sum(dim=1, keepdim=True)
    return torch.cat([own, queries @ queue.T], dim=1) / temperature


class MomentumContrast(Learner):
    """MoCo v2 (He et al. 2020, Chen et al. 2020).

    Queries come from one view through the encoder, keys from the other through a slower one, which follows the first
    as a running mean of its weights. A query's own key is the answer, the keys of earlier batches are the other
    choices. Only the queries carry gradients.

    Parameters
    ----------
    encoder
        The encoder.
    settings
        Sizes of queue and layers, momentum, temperature, groups of the batch normalisation.
    """

    def __init__(self, encoder: nn.Module, settings: MoCoSettings):
        super().__init__(encoder)
        self.momentum, self.temperature = settings.momentum, settings.temperature
        self.bn_groups = settings.bn_groups
        self.head = nn.Sequential(
            nn.Linear(encoder.width, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, settings.projection)
        )
        self.key_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.key_head = copy.deepcopy(self.head).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(settings.queue, settings.projection), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))
        self.grouping = Grouping(self.bn_groups)
        self.grouped = self.bn_groups > 1 and group_batchnorm(self, self.grouping) > 0
        self._move = get_ema_multi_avg_fn(self.momentum)
        self._keys: Tensor | None = None
        self._batch = 0

    def prepare(self, stamps: int, targets: Tensor | None = None) -> None:
        """Refuse a queue that holds every galaxy, which would then be its own counterexample."""
        if len(self.queue) >= stamps:
            raise InputError(
                f"moco: queue is {len(self.queue)}, and there are {stamps} stamps to learn from; "
                "give pretraining.queue a value well below their number"
            )

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw the groups of `n` queries and of their keys, where there are groups."""
        self._batch = n
        if not self.grouped:
            return ()
        # A group of one has no variance.
        self.grouping.count = count = max(1, min(self.bn_groups, n // 2))
        places = torch.arange(n, device=random.device), torch.randperm(n, generator=random, device=random.device)
        return tuple(place * count // n for place in places)

    def _project(self, encoder: nn.Module, head: nn.Module, images: Tensor, groups: Tensor | None) -> Tensor:
        """Return projections (n, d) of unit length, float32 or better; `groups` (n,) of the batch normalisation."""
        if groups is None:
            order = None
        elif world_size() > 1:
            order, self.grouping.of_rows = None, groups
        else:
            order = groups.argsort(stable=True)
            self.grouping.sizes = group_sizes(len(groups), self.grouping.count)
        projected = head(encoder.features(images if order is None else images[order]))
        projected = projected.to(torch.promote_types(projected.dtype, torch.float32))
        # Outside of autocast: a norm in half precision would not be one.
        with torch.autocast(images.device.type, enabled=False):
            projected = F.normalize(projected, dim=1)
        return projected if order is None else torch.empty_like(projected).index_copy(0, order, projected)

    def _logits(self, query_view: Tensor, key_view: Tensor, *groups: Tensor) -> tuple[Tensor, Tensor]:
        of_queries, of_keys = groups or (None, None)
        with torch.no_grad():
            keys = self._project(self.key_encoder, self.key_head, key_view, of_keys)
        queries = self._project(self.encoder, self.head, query_view, of_queries)
        with torch.autocast(query_view.device.type, enabled=False):
            logits = contrastive_logits(queries, keys, self.queue.to(queries.dtype), self.temperature)
        return logits, keys

    def forward(self, query_view: Tensor, key_view: Tensor, *groups: Tensor) -> Tensor:
        """Return the mean cross-entropy of recognising the own key.

        Parameters
        ----------
        query_view, key_view
            Views (n, bands, side, side) of the same stamps.
        *groups
            What `draw` returned.
        """
        logits, keys = self._logits(query_view, key_view, *groups)
        if self.training:
            self._keys = keys
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Put the batch's keys in the place of the oldest, and let the encoder of keys follow, before its next pass.

        Its running statistics of batch normalisation are its own.
        """
        if self._keys is not None:
            keys = gather(self._keys, self._batch).to(self.queue.dtype)[-len(self.queue) :]
            self.queue[(self.place + torch.arange(len(keys), device=keys.device)) % len(self.queue)] = keys
            self.place.copy_((self.place + len(keys)) % len(self.queue))
            self._keys = None
        slow = [*self.key_encoder.parameters(), *self.key_head.parameters()]
        fast = [*self.encoder.parameters(), *self.head.parameters()]
        self._move(slow, fast, 0)

    @torch.no_grad()
    def report(self, *views_and_draws: Tensor) -> dict[str, float]:
        """Return how well keys are recognised.

        Returns
        -------
        dict
            ``accuracy``, the fraction of queries whose own key is the nearest; ``own_cosine`` and ``other_cosine``, the
            mean cosines with the own key and with the queue.
        """
        cosines = self._logits(*views_and_draws)[0] * self.temperature
        return {
            "accuracy": (cosines[:, 0] > cosines[:, 1:].max(dim=1).values).float().mean().item(),
            "own_cosine": cosines[:, 0].mean().item(),
            "other_cosine": cosines[:, 1:].mean().item(),
        }
