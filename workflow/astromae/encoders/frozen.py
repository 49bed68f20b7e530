"""A frozen encoder: what is stored of its features, and kernels no larger than they need be."""

import copy

import torch
from torch import Tensor, nn


def _without_padding(encoder: nn.Module) -> nn.Module:
    """Return a copy in which kernels that are zero but for their centre, as padded ones are, shrink to it.

    Of a whole features step on one core this saves a tenth.
    """
    lean = copy.deepcopy(encoder).eval()
    for layer in (module for module in lean.modules() if isinstance(module, nn.Conv2d)):
        middle = layer.kernel_size[0] // 2
        keeps_size = layer.kernel_size == (2 * middle + 1,) * 2 and layer.padding == (middle,) * 2
        centre = layer.weight.detach()[..., middle : middle + 1, middle : middle + 1]
        if keeps_size and layer.dilation == (1, 1) and layer.weight.count_nonzero() == centre.count_nonzero():
            layer.weight, layer.padding = nn.Parameter(centre.contiguous(), requires_grad=False), (0, 0)
    return lean


class FrozenEncoder:
    """The features of an encoder whose weights no longer change, as float16: what is stored of them.

    float16 keeps eleven bits of a feature and bfloat16, in which a mixed-precision encoder multiplies, eight. Features
    are rounded here, so that a model that runs its encoder sees the same numbers as one that reads them from a file.

    Parameters
    ----------
    encoder
        The encoder, in eval mode; loading other weights into it is noticed.
    """

    def __init__(self, encoder: nn.Module):
        self.encoder = encoder
        self.lean: nn.Module | None = None
        encoder.register_load_state_dict_post_hook(self._forget)

    def _forget(self, *_: object) -> None:
        self.lean = None

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return the features, shape (n, width), float16, of images (n, bands, side, side)."""
        if self.lean is None:
            self.lean = _without_padding(self.encoder)
        return self.lean.features(images).half()
