"""The optimisers of both phases. Their decay spares biases, norms and tokens."""

from typing import Any

import torch
from timm.optim import param_groups_weight_decay
from torch import nn

from astromae.settings.training import Optimiser
from astromae.training.lars import LARS


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return a model's trainable parameters: those that do not decay, and those that do.

    Matrices and kernels decay. Biases, the weights of norms and the class and mask tokens do not, as in the fine-tuning
    of He et al. 2022 and in timm; in their pretraining He et al. let the tokens decay. AstroMAE's paper states the
    factor only.
    """
    tokens = [name for name, _ in model.named_parameters() if name.endswith("_token")]
    return param_groups_weight_decay(model, weight_decay, no_weight_decay_list=tokens)


def make_optimiser(model: nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """Return the configured optimiser over a model's trainable parameters.

    Parameters
    ----------
    model
        The network.
    settings
        Which one, its learning rate, its decay and what else it reads. With LARS what does not decay is not adapted
        either, and has a learning rate of its own, the group's `lr_scale` times that of the others.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.kind == "adamw":
        return torch.optim.AdamW(parameter_groups(model, decay), lr=rate, betas=settings.betas, fused=True)
    if settings.kind == "sgd":
        return torch.optim.SGD(parameter_groups(model, decay), lr=rate, momentum=settings.momentum)
    # Told apart whether or not there is any decay.
    groups = parameter_groups(model, 1.0)
    for group in groups:
        adapt = group["weight_decay"] > 0
        scale = 1.0 if adapt else settings.vector_rate
        group |= {"adapt": adapt, "weight_decay": decay * adapt, "lr_scale": scale, "lr": rate * scale}
    return LARS(groups, rate, settings.momentum, trust=settings.trust)
