"""Whether an encoder still tells stamps apart."""

from torch import Tensor

from astromae.errors import InputError

#: Least standard deviation of the liveliest feature; features leave a layer norm, so theirs is near 1.
LEAST_DEVIATION = 1e-4


def require_alive(features: Tensor, encoder: str) -> None:
    """Stop if an encoder is dead: if its features do not differ between stamps.

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
    if len(features) > 1 and features.float().std(dim=0).max() < LEAST_DEVIATION:
        raise InputError(
            f"{encoder}: the encoder is dead: its features of {len(features)} stamps are all alike. "
            "Lower the learning rate of its pretraining, or train longer"
        )
