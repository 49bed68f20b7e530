"""The optimisers of both phases. Their decay spares biases, norms and tokens."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from astromae.settings.training import Optimiser
from astromae.training.lars import LARS


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return a model's trainable parameters: those that do not decay, and those that do.

    Matrices and kernels decay. Biases, the weights of norms and the class and mask tokens do not, as in the fine-tuning
    of He et al. 2022 and in timm; in their pretraining He et al. let the tokens decay. AstroMAE's paper states the
    factor only.
    """
    spared, decaying = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = weight_decay > 0 and parameter.ndim > 1 and not name.endswith("_token")
            (decaying if decays else spared).append(parameter)
    groups = [{"params": spared, "weight_decay": 0.0}, {"params": decaying, "weight_decay": weight_decay}]
    return [group for group in groups if group["params"]]


def _with_factors(
    groups: list[dict[str, Any]], model: nn.Module, factors: Mapping[str, float], rate: float
) -> list[dict[str, Any]]:
    """Divide groups by the factor of their parameters' learning rates, which multiplies the group's `lr_scale`."""
    factor_of = {parameter: factors.get(name, 1.0) for name, parameter in model.named_parameters()}
    divided = []
    for group in groups:
        parts: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            parts.setdefault(factor_of[parameter], []).append(parameter)
        for factor, parameters in parts.items():
            scale = group.get("lr_scale", 1.0) * factor
            divided.append({**group, "params": parameters, "lr_scale": scale, "lr": rate * scale})
    return divided


def make_optimiser(
    model: nn.Module, settings: Optimiser, factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Return the configured optimiser over a model's trainable parameters.

    Parameters
    ----------
    model
        The network.
    settings
        Which one, its learning rate, its decay and what else it reads. With LARS what does not decay is not adapted
        either, and has a learning rate of its own, the group's `lr_scale` times that of the others.
    factors
        Factors of the learning rates of some parameters, by name; they too are in `lr_scale`.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    # LARS tells its groups apart whether or not there is any decay.
    groups = parameter_groups(model, 1.0 if settings.kind == "lars" else decay)
    if factors:
        groups = _with_factors(groups, model, factors, rate)
    if settings.kind == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=settings.betas, fused=True)
    if settings.kind == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum)
    for group in groups:
        adapt = group["weight_decay"] > 0
        scale = group.get("lr_scale", 1.0) * (1.0 if adapt else settings.vector_rate)
        group |= {"adapt": adapt, "weight_decay": decay * adapt, "lr_scale": scale, "lr": rate * scale}
    return LARS(groups, rate, settings.momentum, trust=settings.trust)
