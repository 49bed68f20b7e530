"""One training step in several processes: the same global batch, the same gradient as in one process.

Every process draws the same random numbers for the whole batch and works on its share of it. Started by
torchrun (`astromae.training.launch`), one process a GPU.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from astromae.collective import part_of, total
from astromae.errors import InputError
from astromae.grouped_batchnorm import adopt

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process works on.

    Attributes
    ----------
    rank, world_size
        Number of the process, and of all processes.
    """

    rank: int = 0
    world_size: int = 1

    def of(self, n: int) -> slice:
        """Return this process's part of `n` items."""
        return part_of(n, self.rank, self.world_size)

    def weight(self, n: int) -> float:
        """Return the factor of the mean loss over this part of a batch of `n`.

        The processes' gradients are averaged with equal weights, whatever the sizes of their parts.
        """
        part = self.of(n)
        return (part.stop - part.start) * self.world_size / n


#: The share of the only process.
WHOLE = Share()


def share_of(fabric: "Fabric") -> Share:
    """Return the share of this process."""
    return Share(fabric.global_rank, fabric.world_size)


def processes() -> tuple[int, int]:
    """Return the number of processes on this node and the number of nodes, as torchrun has set them."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)), int(os.environ.get("GROUP_WORLD_SIZE", 1))


def require_share(share: Share, batch: int) -> None:
    """Stop with InputError where a batch of `batch` stamps leaves a process without any."""
    if batch < share.world_size:
        raise InputError(
            f"the smallest batch has {batch} stamps, too few for {share.world_size} processes: "
            "take a larger batch_size, or fewer of training.gpus and training.nodes"
        )


class SyncedBatchNorm(nn.Module):
    """Batch normalisation with the mean and variance of the global batch.

    torch's own SyncBatchNorm runs on GPUs only; this one can be tested without. Parameters and buffers are those of
    the layer that it stands for.

    Parameters
    ----------
    layer
        A layer of batch normalisation.
    """

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d):
        super().__init__()
        self.eps, self.momentum = layer.eps, layer.momentum
        adopt(self, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the channels of x (n, channels, ...)."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        pixels = x.to(torch.promote_types(x.dtype, torch.float32))
        others, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        count = total(pixels.new_full((), x.numel() / x.shape[1]))
        mean = total(pixels.sum(dim=others)) / count
        centred = pixels - mean.view(shape)
        variance = total(centred.square().sum(dim=others)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def synchronise_batchnorm(module: nn.Module) -> None:
    """Let every BatchNorm below a module see the global batch; parameters and buffers stay the same tensors."""
    for name, child in module.named_children():
        if type(child) in (nn.BatchNorm1d, nn.BatchNorm2d):
            setattr(module, name, SyncedBatchNorm(child).train(child.training))
        else:
            synchronise_batchnorm(child)
