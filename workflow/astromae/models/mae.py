"""The masked autoencoder: an encoder that sees a quarter of the patches, a decoder that fills in the rest."""

from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from astromae.constants import BANDS
from astromae.models.vit import Encoder, initialise, patchify, sincos_positions
from astromae.sizes import visible_patches


def random_masks(n: int, length: int, mask_ratio: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw which patches each stamp shows and which it hides.

    Parameters
    ----------
    n, length
        Number of stamps, and of patches in each.
    mask_ratio
        Fraction of the patches to hide (0.75 in the paper: 4 of 16 stay visible).
    generator
        Source of the random order; its device is that of the result.

    Returns
    -------
    tuple of Tensor
        Indices of the visible patches (n, visible) and of the masked ones (n, masked).
    """
    order = torch.rand(n, length, generator=generator, device=generator.device).argsort(dim=1)
    visible = visible_patches(length, mask_ratio)
    return order[:, :visible], order[:, visible:]


class MaskedAutoencoder(nn.Module):
    """Encoder and decoder of He et al. 2022 in the sizes of table III.

    Parameters
    ----------
    encoder
        Encoder of the visible patches.
    decoder
        Mapping with `width`, `depth` and `heads` of the decoder, which has plain blocks.
    normalise_targets
        Whether each target patch is brought to zero mean and unit variance first.
    """

    def __init__(self, encoder: Encoder, decoder: dict[str, Any], normalise_targets: bool):
        super().__init__()
        self.encoder = encoder
        self.normalise_targets = normalise_targets
        width, length = decoder["width"], len(encoder.positions)
        self.decoder_embed = nn.Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("decoder_positions", sincos_positions(width, round(length**0.5)), persistent=False)
        self.decoder_blocks = nn.ModuleList(
            Block(width, decoder["heads"], qkv_bias=True) for _ in range(decoder["depth"])
        )
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_head = nn.Linear(width, encoder.patch**2 * len(BANDS))
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_norm, self.decoder_head):
            part.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def predict(self, patches: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Predict the masked patches from the visible ones.

        Parameters
        ----------
        patches
            All patches (n, length, values); the masked ones are not read.
        visible, masked
            Their indices, from `random_masks`.

        Returns
        -------
        Tensor
            Shape (n, masked, values), float32, in `masked`'s order.
        """
        x = self.decoder_embed(self.encoder(patches, visible))  # (n, 1 + visible, width)
        positions = self.decoder_positions
        hidden = self.mask_token + positions[masked]  # (n, masked, width)
        seen = x[:, 1:] + positions[visible]
        # Attention does not mind the order of its tokens, so they need no unshuffling.
        x = torch.cat([x[:, :1], seen, hidden.to(x.dtype)], dim=1)
        for block in self.decoder_blocks:
            x = block(x)
        # The loss reads masked patches only, so only they go through the head.
        return self.decoder_head(self.decoder_norm(x[:, -masked.shape[1] :])).float()

    def targets(self, patches: Tensor, masked: Tensor) -> Tensor:
        """Return what the masked patches are compared with, shape (n, masked, values)."""
        target = patches.gather(1, masked[:, :, None].expand(-1, -1, patches.shape[-1]))
        if self.normalise_targets:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
            target = (target - mean) / (variance + 1e-6).sqrt()
        return target

    def forward(self, images: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Return the mean squared error of the masked patches of images (n, bands, side, side)."""
        patches = patchify(images, self.encoder.patch)
        return (self.predict(patches, visible, masked) - self.targets(patches, masked)).square().mean()
