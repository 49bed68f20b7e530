"""How many of a stamp's patches masking leaves visible, for the objective and for its scheme alike."""


def visible_patches(length: int, mask_ratio: float) -> int:
    """Return how many of a stamp's `length` patches stay visible when the fraction `mask_ratio` is hidden."""
    return round(length * (1 - mask_ratio))
