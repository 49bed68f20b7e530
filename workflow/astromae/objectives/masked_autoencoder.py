"""The masked autoencoder: an encoder that sees a quarter of the patches, a decoder that fills in the rest."""

import torch
from torch import Tensor, nn

from astromae.encoders.block import Block
from astromae.encoders.transformer import Transformer, initialise, patchify, sincos_positions, unpatchify
from astromae.masking import visible_patches
from astromae.objectives.learner import Learner
from astromae.objectives.mae import MAESettings


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


class MaskedAutoencoder(Learner):
    """Encoder and decoder of He et al. 2022 in the sizes of table III.

    Parameters
    ----------
    encoder
        Encoder of the visible patches.
    settings
        How many patches are hidden, whether each target patch is brought to zero mean and unit variance first, and the
        sizes of the decoder, which has plain blocks.
    bands
        Number of bands.
    """

    def __init__(self, encoder: Transformer, settings: MAESettings, bands: int):
        super().__init__(encoder)
        self.mask_ratio, self.normalise_targets = settings.mask_ratio, settings.normalise_targets
        decoder = settings.decoder
        width, length = decoder.width, len(encoder.positions)
        self.decoder_embed = nn.Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("decoder_positions", sincos_positions(width, round(length**0.5)), persistent=False)
        self.decoder_blocks = nn.ModuleList(Block(width, decoder.heads) for _ in range(decoder.depth))
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_head = nn.Linear(width, encoder.patch**2 * bands)
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_norm, self.decoder_head):
            part.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw visible and masked patches of `n` stamps."""
        return random_masks(n, len(self.encoder.positions), self.mask_ratio, random)

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

    def reconstruct(self, images: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide patches of images and fill them in; visible ones stay as they are."""
        patches = patchify(images, self.encoder.patch)
        visible, masked = self.draw(len(images), random)
        predicted = self.predict(patches, visible, masked)
        index = masked[:, :, None].expand(-1, -1, patches.shape[-1])
        if self.normalise_targets:
            variance, mean = torch.var_mean(patches.gather(1, index), dim=-1, keepdim=True)
            predicted = predicted * (variance + 1e-6).sqrt() + mean
        hidden = torch.zeros(patches.shape[:2], dtype=torch.bool).scatter(1, masked, True)
        return unpatchify(patches.scatter(1, index, predicted), self.encoder.patch), hidden
