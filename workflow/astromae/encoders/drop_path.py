"""Drop path (Huang et al. 2016, stochastic depth): residual branches that are left out of some stamps in training."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leave a residual branch out of the stamps that `draw_paths` has drawn; of the others it is divided by its chance.

    As timm's layer of this name, but for the random numbers: they are drawn before the step, from a generator, so that
    a training that continues after an interruption sees the same ones.

    Parameters
    ----------
    rate
        Probability that a stamp goes without the branch, below 1.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate
        self.factors: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return a branch's output x (n, ...) with the factor of each stamp, 0 or 1 / (1 - rate); in eval mode x."""
        if not self.training:
            return x
        return x * self.factors.view(-1, *[1] * (x.ndim - 1)).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the rate, for a module's text."""
        return f"{self.rate:.3g}"


def rising_rates(rate: float, blocks: int) -> list[float]:
    """Return the rate of each of a network's blocks, from 0 at the first to `rate` at the last (He et al. 2022)."""
    return torch.linspace(0, rate, blocks).tolist()


def drop_paths(model: nn.Module) -> list[DropPath]:
    """Return the layers of a model that leave branches out."""
    return [module for module in model.modules() if isinstance(module, DropPath)]


def draw_paths(paths: list[DropPath], n: int, random: torch.Generator, part: slice = slice(None)) -> None:
    """Draw, for a batch of `n` stamps, which go without which branch, and hand the layers what concerns this process.

    Parameters
    ----------
    paths
        The layers, in the order of the model.
    n
        Stamps of the whole batch.
    random
        Source of the random numbers; its device is that of the model.
    part
        This process's part of the batch.
    """
    for path in paths:
        kept = torch.rand(n, generator=random, device=random.device)[part] >= path.rate
        path.factors = kept / (1 - path.rate)
