"""Which branches a model has."""

from astromae.typed import Typed


class Branches(Typed):
    """A choice of branches, as in the configuration's `models`.

    Attributes
    ----------
    encoder
        Name of a backbone, or None.
    pretrained, frozen
        Whether the encoder starts from pretrained weights, and whether it keeps them.
    inception, magnitude
        Whether there is an Inception branch, and one for magnitudes.
    linear
        Whether one linear layer on the encoder's features is all of the head.
    """

    encoder: str | None
    pretrained: bool
    frozen: bool
    inception: bool
    magnitude: bool
    linear: bool = False
