"""Batch normalisation in groups of a batch, as if each group were the batch of a GPU of its own.

In contrastive learning a query and its key share a batch, and with it the batch's statistics, by which a network can
tell which key belongs to a query. MoCo (He et al. 2020, section 3.3) therefore normalises on each GPU alone, and deals
keys to GPUs in another order than queries. Here the groups are made by hand: they are the same on one process and on
many.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from astromae.collective import total, world_size
from astromae.errors import InputError


class Grouping:
    """The groups of the batch that a network is working on.

    Parameters
    ----------
    count
        Number of groups.

    Attributes
    ----------
    sizes
        Rows of each group, which stand one after the other, in the only process.
    of_rows
        Group of each row of this process, shape (n,), where there are several.
    """

    def __init__(self, count: int):
        self.count, self.sizes, self.of_rows = count, [], None


def group_sizes(n: int, count: int) -> list[int]:
    """Return how many of `n` rows each of `count` groups has, the sizes of `i * count // n` for i = 0 .. n - 1."""
    edges = [-(-n * group // count) for group in range(count + 1)]
    return [end - start for start, end in pairwise(edges)]


def adopt(module: nn.Module, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Give a module the parameters and buffers of a layer that it stands for: the same tensors, by the same names.

    Raises
    ------
    InputError
        If the layer lacks some of them.
    """
    if not (layer.affine and layer.track_running_stats):
        raise InputError(
            f"{layer}: normalising over groups or processes wants affine=True and track_running_stats=True"
        )
    module.weight, module.bias = layer.weight, layer.bias
    for name, buffer in layer.named_buffers():
        module.register_buffer(name, buffer)


class GroupedBatchNorm(nn.Module):
    """Batch normalisation of each group by its own mean and variance.

    Parameters and buffers are those of the layer that it stands for. Running statistics move by the mean over the
    groups. In eval mode it is that layer.

    Parameters
    ----------
    layer
        A layer of batch normalisation.
    grouping
        The groups, which are set before each pass.
    """

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d, grouping: Grouping):
        super().__init__()
        self.eps, self.momentum, self.grouping = layer.eps, layer.momentum, grouping
        adopt(self, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the channels of x (n, channels, ...)."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return self._together(x) if world_size() > 1 else self._alone(x)

    def _alone(self, x: Tensor) -> Tensor:
        parts, means, variances = [], [], []
        for part in x.split(self.grouping.sizes):
            mean, variance = self.running_mean.clone(), self.running_var.clone()
            parts.append(F.batch_norm(part, mean, variance, self.weight, self.bias, True, self.momentum, self.eps))
            means.append(mean)
            variances.append(variance)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.copy_(torch.stack(means).mean(dim=0))
            self.running_var.copy_(torch.stack(variances).mean(dim=0))
        return torch.cat(parts)

    def _together(self, x: Tensor) -> Tensor:
        # Outside of autocast, which would take the sums, products of matrices here, in half precision.
        with torch.autocast(x.device.type, enabled=False):
            return self._normalised(x.to(torch.promote_types(x.dtype, torch.float32))).to(x.dtype)

    def _normalised(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2) if x.ndim > 2 else x[:, :, None]
        groups = self.grouping.of_rows
        member = F.one_hot(groups, self.grouping.count).to(pixels.dtype)  # (n, groups)
        count = total(member.sum(dim=0) * pixels.shape[2])[:, None]
        mean = total(member.T @ pixels.sum(dim=2)) / count  # (groups, channels)
        centred = pixels - mean[groups][:, :, None]
        variance = total(member.T @ centred.square().sum(dim=2)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.mean(dim=0).to(self.running_mean.dtype), self.momentum)
            unbiased = (variance * count / (count - 1)).mean(dim=0)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        result = centred * scale[groups][:, :, None] + self.bias[None, :, None]
        return result.view(x.shape)


def group_batchnorm(module: nn.Module, grouping: Grouping) -> int:
    """Let every BatchNorm below a module normalise in groups, and return how many there are.

    Parameters and buffers stay the same tensors, under the same names.
    """
    count = 0
    for name, child in module.named_children():
        if type(child) in (nn.BatchNorm1d, nn.BatchNorm2d):
            setattr(module, name, GroupedBatchNorm(child, grouping).train(child.training))
            count += 1
        else:
            count += group_batchnorm(child, grouping)
    return count
