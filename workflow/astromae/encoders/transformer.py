"""Vision-transformer encoders: plain blocks, and blocks with a parallel convolution module."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from astromae.encoders.block import Block
from astromae.encoders.drop_path import DropPath, rising_rates
from astromae.encoders.vit import TransformerSettings


def sincos_positions(width: int, grid: int) -> Tensor:
    """Return fixed two-dimensional sine-cosine positions.

    Half of the channels encode the row, half the column, each as sines then cosines at
    geometrically spaced frequencies (He et al. 2022, masked autoencoders; table III's "sine-cosine").

    Parameters
    ----------
    width
        Embedding width, a multiple of 4.
    grid
        Patches on a side.

    Returns
    -------
    Tensor
        Shape (grid * grid, width), float32, row-major.
    """
    frequencies = 1.0 / 10000.0 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # (grid, width / 2)
    rows = axis[:, None, :].expand(grid, grid, -1)
    columns = axis[None, :, :].expand(grid, grid, -1)
    return torch.cat([columns, rows], dim=-1).reshape(grid * grid, width).float()


def patchify(images: Tensor, patch: int) -> Tensor:
    """Cut images into flattened patches.

    Parameters
    ----------
    images
        Shape (n, bands, side, side).
    patch
        Pixels on a side of a patch.

    Returns
    -------
    Tensor
        Shape (n, (side / patch)**2, patch * patch * bands); patches row-major, bands last.
    """
    n, bands, side, _ = images.shape
    grid = side // patch
    x = images.reshape(n, bands, grid, patch, grid, patch)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(n, grid * grid, patch * patch * bands)


def unpatchify(patches: Tensor, patch: int) -> Tensor:
    """Put flattened patches back into images; the inverse of `patchify`."""
    n, tokens, values = patches.shape
    grid, bands = math.isqrt(tokens), values // patch**2
    x = patches.reshape(n, grid, grid, patch, patch, bands)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(n, bands, grid * patch, grid * patch)


def whole_matrix(layer: nn.Conv2d) -> Tensor:
    """Return the weights of a grouped convolution of one pixel as a matrix (outputs, inputs), zero between groups."""
    groups, weight = layer.groups, layer.weight.flatten(1)
    weight = weight.view(groups, -1, weight.shape[1])  # (groups, outputs of a group, inputs of a group)
    own = torch.eye(groups, dtype=weight.dtype, device=weight.device)
    return (weight[:, :, None, :] * own[:, None, :, None]).reshape(layer.out_channels, layer.in_channels)


class ParallelConvolution(nn.Module):
    """The parallel convolution module: Conv, BatchNorm, SiLU, Conv on the grid of patch tokens.

    Wang et al. 2022 ("Advancing plain vision transformer toward remote sensing foundation model"),
    with a hidden width of four times the embedding.

    Parameters
    ----------
    width
        Embedding width.
    kernel
        Side of both convolutions' kernels; 1 needs no grid and so works on visible tokens alone.
    groups
        Groups of both convolutions.
    """

    def __init__(self, width: int, kernel: int, groups: int):
        super().__init__()
        self.kernel = kernel
        self.conv1 = nn.Conv2d(width, 4 * width, kernel, padding=kernel // 2, groups=groups)
        self.norm = nn.BatchNorm2d(4 * width)
        self.conv2 = nn.Conv2d(4 * width, width, kernel, padding=kernel // 2, groups=groups)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map patch tokens (n, length, width) to the same shape."""
        if self.kernel == 1 and tokens.device.type != "cpu":
            return self.by_products(tokens)
        n, length, width = tokens.shape
        rows = 1 if self.kernel == 1 else math.isqrt(length)
        # A view, not a copy: tokens are already the memory of a channels-last image.
        x = tokens.transpose(1, 2).reshape(n, width, rows, length // rows)
        x = self.conv2(F.silu(self.norm(self.conv1(x))))
        return x.flatten(2).transpose(1, 2)

    def by_products(self, tokens: Tensor) -> Tensor:
        """Return what `forward` does with kernels of one pixel, by products with whole matrices.

        They have `groups` times as many operations, nearly all with zeros, and a GPU, which has slow kernels for so
        small groups, is several times faster; a processor is not.
        """
        n, length = tokens.shape[:2]
        x = F.linear(tokens, whole_matrix(self.conv1), self.conv1.bias)
        # As an image of one pixel for each token, channels last.
        x = F.silu(self.norm(x.reshape(n * length, -1, 1, 1))).reshape(n, length, -1)
        return F.linear(x, whole_matrix(self.conv2), self.conv2.bias)


class PCMBlock(Block):
    """A pre-norm transformer block with a parallel convolution module.

    The module reads the block's input patch tokens; its output is added after the attention
    residual. The class token bypasses it.
    """

    def __init__(self, width: int, heads: int, kernel: int, groups: int):
        super().__init__(width, heads)
        self.pcm = ParallelConvolution(width, kernel, groups)
        self.drop_path_pcm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, 1 + length, width), class token first, to the same shape."""
        convolved = F.pad(self.drop_path_pcm(self.pcm(x[:, 1:])), (0, 0, 1, 0))
        x = x + self.drop_path1(self.attn(self.norm1(x))) + convolved
        return x + self.drop_path2(self.mlp(self.norm2(x)))


def initialise(module: nn.Module) -> None:
    """Initialise one layer as He et al. 2022 do: Xavier-uniform linear maps, zero biases, unit norms."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


class Transformer(nn.Module):
    """A vision transformer over the patches of a stamp (table III).

    Parameters
    ----------
    settings
        Patch size, embedding width, number of blocks and of attention heads.
    bands
        Number of bands.
    side
        Pixels on a side of its images.
    norm
        Whether a layer norm ends it. A masked autoencoder's has one, before the decoder. For fine-tuning He et al.
        leave it out and normalise the mean of the tokens instead (timm's ``global_pool="avg"`` with its `fc_norm`);
        so does AstroMAE's released network.
    pcm
        Kernel and groups of the parallel convolution of each block; None for plain blocks.
    """

    def __init__(
        self,
        settings: TransformerSettings,
        bands: int,
        side: int,
        norm: bool = True,
        pcm: tuple[int, int] | None = None,
    ):
        super().__init__()
        width, heads = settings.width, settings.heads
        self.patch, self.width = settings.patch, width
        self.embed = nn.Linear(self.patch**2 * bands, width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("positions", sincos_positions(width, side // self.patch), persistent=False)
        self.blocks = nn.ModuleList(
            Block(width, heads) if pcm is None else PCMBlock(width, heads, *pcm) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6) if norm else nn.Identity()
        self.apply(initialise)
        nn.init.normal_(self.class_token, std=0.02)

    def tokens(self, patches: Tensor, keep: Tensor | None = None) -> Tensor:
        """Run the blocks over all patches, or over the visible ones; the final norm is left out.

        Parameters
        ----------
        patches
            Shape (n, length, patch * patch * bands), from `patchify`.
        keep
            Indices (n, visible) of the visible patches; None keeps all of them.

        Returns
        -------
        Tensor
            Shape (n, 1 + visible, width): class token first, then the visible patches in `keep`'s order.
        """
        positions = self.positions
        if keep is not None:
            # Masked patches are dropped before the embedding: it is work that nothing would read.
            patches = patches.gather(1, keep[:, :, None].expand(-1, -1, patches.shape[-1]))
            positions = positions[keep]
        x = self.embed(patches) + positions
        x = torch.cat([self.class_token.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, patches: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encode patches for a decoder: `tokens`, and then the final norm."""
        return self.norm(self.tokens(patches, keep))

    def features(self, images: Tensor) -> Tensor:
        """Return the mean over patch tokens before any final norm, (n, width), of images (n, bands, side, side)."""
        tokens = self.tokens(patchify(images, self.patch))[:, 1:]
        return tokens.to(torch.promote_types(tokens.dtype, torch.float32)).mean(dim=1)


def add_drop_path(encoder: Transformer, rate: float) -> None:
    """Put drop path behind attention, perceptron and parallel convolution of each block, each with draws of its own."""
    for block, own in zip(encoder.blocks, rising_rates(rate, len(encoder.blocks)), strict=True):
        branches = ["drop_path1", "drop_path2", *["drop_path_pcm"] * isinstance(block, PCMBlock)]
        for branch in branches:
            setattr(block, branch, DropPath(own) if own else nn.Identity())


def load_pretrained(encoder: Transformer, weights: dict[str, Tensor]) -> None:
    """Load pretrained weights, zero-padding smaller convolution kernels to the encoder's.

    Wang et al. 2022 pad the 1x1 kernels of pretraining to 3x3 before fine-tuning; the padded encoder
    computes the same features. The final norm of pretraining is left out where the encoder has none.

    Raises
    ------
    RuntimeError
        If a weight is missing, superfluous, or of a shape that no padding of a kernel explains.
    """
    own = encoder.state_dict()
    padded = {}
    for name, weight in weights.items():
        if name.startswith("norm.") and isinstance(encoder.norm, nn.Identity):
            continue
        if name in own and weight.ndim == 4 and weight.shape[-1] < own[name].shape[-1]:
            margin = (own[name].shape[-1] - weight.shape[-1]) // 2
            weight = F.pad(weight, (margin,) * 4)
        padded[name] = weight
    encoder.load_state_dict(padded)
