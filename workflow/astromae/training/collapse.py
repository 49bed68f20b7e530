"""Whether an encoder still tells stamps apart."""

import torch.nn.functional as F
from torch import Tensor

from astromae.errors import InputError

#: Least standard deviation of the feature that varies most, behind a layer norm, where theirs is of order 1.
LEAST_DEVIATION = 1e-4


def require_no_collapse(features: Tensor, encoder: str) -> None:
    """Stop if an encoder has collapsed: if its features do not differ between stamps.

    They are looked at as models see them, behind a layer norm, whatever their own scale.

    Parameters
    ----------
    features
        Shape (n, width).
    encoder
        Which encoder, and of which stamps, for the message.

    Raises
    ------
    InputError
        If no feature varies.
    """
    normalised = F.layer_norm(features.float(), features.shape[-1:])
    if len(features) > 1 and normalised.std(dim=0).max() < LEAST_DEVIATION:
        raise InputError(
            f"{encoder}: the encoder has collapsed: its features of {len(features)} stamps are all alike. "
            "Lower the learning rate of its pretraining, or train longer"
        )
