"""The optimiser of both phases: AdamW, whose decay spares biases, norms and tokens."""

import torch
from timm.optim import param_groups_weight_decay
from torch import nn

from astromae.settings.training import Optimiser


def adamw(model: nn.Module, settings: Optimiser) -> torch.optim.AdamW:
    """Return AdamW over a model's trainable parameters.

    Matrices and kernels decay. Biases, the weights of norms and the class and mask tokens do not, as in the fine-tuning
    of He et al. 2022 and in timm; in their pretraining He et al. let the tokens decay. AstroMAE's paper states the
    factor only.

    Parameters
    ----------
    model
        The network.
    settings
        Learning rate, betas and decay.
    """
    tokens = [name for name, _ in model.named_parameters() if name.endswith("_token")]
    groups = param_groups_weight_decay(model, settings.weight_decay, no_weight_decay_list=tokens)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)
