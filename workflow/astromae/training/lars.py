"""LARS (You, Gitman and Ginsburg 2017), as Barlow Twins was released with it."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class LARS(torch.optim.Optimizer):
    """Gradient descent with momentum, in which each layer's step is in proportion to the norm of its weights.

    With weights w, gradient g, decay d and trust t: u = g + d w; where `adapt`, u is multiplied by t |w| / |u|, unless
    one of the norms is 0; v = momentum v + u; w = w - lr v.

    Parameters
    ----------
    groups
        Groups of parameters. The key `adapt` (True) says whether steps are in proportion to the weights.
    lr, momentum, weight_decay, trust
        The learning rate and the other factors above.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
        trust: float = 1e-3,
    ):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "adapt": True}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Make a step, and return the loss of `closure` where there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                update = weight.grad
                if group["weight_decay"]:
                    update = update.add(weight, alpha=group["weight_decay"])
                if group["adapt"]:
                    own, length = weight.norm(), update.norm()
                    both = (own > 0) & (length > 0)
                    # No branch on the device's numbers: a GPU would have to be waited for.
                    update = update * torch.where(both, group["trust"] * own / length, torch.ones_like(own))
                state = self.state[weight]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(weight)
                state["velocity"].mul_(group["momentum"]).add_(update)
                weight.add_(state["velocity"], alpha=-group["lr"])
        return loss
