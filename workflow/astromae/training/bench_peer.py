"""What the benchmark of pretraining compares with: the habits of the loop that He et al. 2022 released.

timm's blocks as they come; masked tokens put back between the visible ones by gathering; every token through the
decoder's head and every patch into the loss; views of one stamp at a time by torchvision, in two processes of a loader.
torchvision turns tensors with bilinear interpolation at most, which is half of the work of our bicubic one.
"""

import time
from typing import Any

import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import Block
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
)

from astromae.encoders.transformer import initialise, patchify, sincos_positions
from astromae.masking import visible_patches
from astromae.training.bench_process import Timed, wait_for
from astromae.training.recipes import EncoderRecipe
from astromae.training.scaling import Scaling

#: Processes of the loader.
WORKERS = 2


class PeerAutoencoder(nn.Module):
    """The masked autoencoder, computed as the released one is.

    Parameters
    ----------
    recipe
        Recipe of a plain encoder that a masked autoencoder pretrains.
    bands
        Number of bands.
    """

    def __init__(self, recipe: EncoderRecipe, bands: int):
        super().__init__()
        sizes, settings, side = recipe.backbone, recipe.objective_settings(), recipe.crop
        decoder, grid = settings.decoder, side // sizes.patch
        self.patch, self.visible = sizes.patch, visible_patches(grid**2, settings.mask_ratio)
        self.normalise_targets = settings.normalise_targets
        self.embed = PatchEmbed(side, sizes.patch, bands, sizes.width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.register_buffer("positions", sincos_positions(sizes.width, grid)[None], persistent=False)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads, qkv_bias=True) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=1e-6)
        self.decoder_embed = nn.Linear(sizes.width, decoder.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder.width))
        self.register_buffer("decoder_positions", sincos_positions(decoder.width, grid)[None], persistent=False)
        self.decoder_blocks = nn.ModuleList(
            Block(decoder.width, decoder.heads, qkv_bias=True) for _ in range(decoder.depth)
        )
        self.decoder_norm = nn.LayerNorm(decoder.width, eps=1e-6)
        self.decoder_head = nn.Linear(decoder.width, sizes.patch**2 * bands)
        self.apply(initialise)

    def forward(self, images: Tensor, order: Tensor) -> Tensor:
        """Return the loss of images (n, bands, side, side), whose first patches in `order` (n, length) are visible."""
        x = self.embed(images) + self.positions
        n, length, width = x.shape
        back = order.argsort(dim=1)
        x = x.gather(1, order[:, : self.visible, None].expand(-1, -1, width))
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.decoder_embed(self.norm(x))
        hidden = self.mask_token.repeat(n, length - self.visible, 1)
        patches = torch.cat([x[:, 1:], hidden], dim=1).gather(1, back[:, :, None].expand(-1, -1, x.shape[-1]))
        x = torch.cat([x[:, :1], patches + self.decoder_positions], dim=1)
        for block in self.decoder_blocks:
            x = block(x)
        predicted = self.decoder_head(self.decoder_norm(x))[:, 1:]
        target = patchify(images, self.patch)
        if self.normalise_targets:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
            target = (target - mean) / (variance + 1e-6).sqrt()
        masked = torch.ones(n, length, device=images.device)
        masked[:, : self.visible] = 0
        masked = masked.gather(1, back)
        return ((predicted - target).square().mean(dim=-1) * masked).sum() / masked.sum()


class PeerStamps(Dataset):
    """Views of stamps (n, bands, size, size), one at a time."""

    def __init__(self, stamps: Tensor, recipe: EncoderRecipe, scaling: Scaling):
        turned = RandomRotation(recipe.augmentation.rotation_deg, InterpolationMode.BILINEAR)
        self.stamps, self.scaling = stamps, scaling
        self.view = Compose([RandomHorizontalFlip(), RandomVerticalFlip(), turned, CenterCrop(recipe.crop)])

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.stamps)

    def __getitem__(self, position: int) -> Tensor:
        """Return a view (bands, crop, crop), float32."""
        return self.scaling.pixels(self.view(self.stamps[position].float())[None])[0]


def peer_works(
    recipe: dict[str, Any], stamps: Tensor, scaling: Scaling, batch_size: int, mixed: bool, device: torch.device
) -> dict[str, Timed]:
    """Return how an epoch of pretraining goes, `pretrain`.

    Its clock runs from the first batch on, as in a longer epoch, where the loader's processes have begun long before.

    Parameters
    ----------
    recipe
        `EncoderRecipe` of what is trained, as JSON holds it.
    stamps
        Shape (n, bands, size, size), float16, nanomaggies a pixel, on the CPU.
    scaling
        How pixels are scaled.
    batch_size
        Stamps of a batch.
    mixed
        Whether it multiplies in bfloat16.
    device
        Where it trains.
    """
    checked = EncoderRecipe.model_validate(recipe)
    model, phase = PeerAutoencoder(checked, stamps.shape[1]).to(device).train(), checked.pretraining
    groups = param_groups_weight_decay(model, phase.optimiser.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=phase.optimiser.learning_rate, betas=phase.optimiser.betas)
    loader = DataLoader(
        PeerStamps(stamps, checked, scaling),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
    )

    def epoch() -> float:
        started = 0.0
        for images in loader:
            started = started or time.perf_counter()
            images = images.to(device, non_blocking=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                loss = model(images, torch.rand(len(images), model.positions.shape[1], device=device).argsort(dim=1))
            value = loss.item()
            if value != value:
                raise ValueError("the loss is not a number")
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        wait_for(device)
        return time.perf_counter() - started

    return {"pretrain": epoch}
