"""The forward pass of a frozen encoder on a CPU: the same function, in the arithmetic that is fastest there."""

import math

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from astromae.encoders.transformer import ParallelConvolution, PCMBlock, Transformer, patchify


class _PackedLinear:
    """A linear layer and its activation in bfloat16, its weight in oneDNN's own layout once and for all.

    torch would rearrange the weight in every call. `scale` multiplies the outputs.
    """

    def __init__(self, layer: nn.Linear, activation: str = "none", scale: Tensor | None = None):
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if scale is not None:
            weight, bias = weight * scale[:, None], bias * scale
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.bfloat16())
        self.bias, self.activation = bias.bfloat16(), activation

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) of any precision to (..., outputs) in bfloat16."""
        return torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.weight, self.bias, self.activation, [], "none")


class _FoldedConvolution:
    """A parallel convolution module whose BatchNorm is part of its first convolution.

    In eval mode BatchNorm is a fixed linear map for each channel. Kernels that are zero but for their centre, as
    those of an encoder pretrained with 1x1 kernels are, shrink to it: the padding would be multiplied by zero.
    """

    def __init__(self, module: ParallelConvolution):
        scale = module.norm.weight * (module.norm.running_var + module.norm.eps).rsqrt()
        weights = [module.conv1.weight * scale.view(-1, 1, 1, 1), module.conv2.weight]
        biases = [(module.conv1.bias - module.norm.running_mean) * scale + module.norm.bias, module.conv2.bias]
        middle = module.kernel // 2
        centres = [weight[..., middle : middle + 1, middle : middle + 1] for weight in weights]
        if all(
            weight.count_nonzero() == centre.count_nonzero() for weight, centre in zip(weights, centres, strict=True)
        ):
            weights = centres
        self.kernel = weights[0].shape[-1]
        self.weights = [weight.detach().bfloat16().contiguous(memory_format=torch.channels_last) for weight in weights]
        self.biases = [bias.detach().bfloat16() for bias in biases]
        self.groups = module.conv1.groups

    def __call__(self, tokens: Tensor) -> Tensor:
        """Map patch tokens (n, length, width) to the same shape in bfloat16."""
        n, length, width = tokens.shape
        rows = 1 if self.kernel == 1 else math.isqrt(length)
        x = tokens.bfloat16().transpose(1, 2).reshape(n, width, rows, length // rows)
        for last, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = F.conv2d(x, weight, bias, padding=self.kernel // 2, groups=self.groups)
            x = x if last else F.silu(x)
        return x.flatten(2).transpose(1, 2)


class _PackedBlock:
    """A transformer block with packed weights; the scale of its attention is part of the query's weights."""

    def __init__(self, block: Block):
        self.norms, self.heads = (block.norm1, block.norm2), block.attn.num_heads
        queries = torch.ones(len(block.attn.qkv.weight))
        queries[: len(queries) // 3] = block.attn.scale
        self.qkv = _PackedLinear(block.attn.qkv, scale=queries)
        self.project = _PackedLinear(block.attn.proj)
        self.widen, self.narrow = _PackedLinear(block.mlp.fc1, "gelu"), _PackedLinear(block.mlp.fc2)
        self.convolve = _FoldedConvolution(block.pcm) if isinstance(block, PCMBlock) else None

    def __call__(self, x: Tensor) -> Tensor:
        """Map tokens (n, 1 + length, width), float32, class token first, to the same shape."""
        n, length, width = x.shape
        parts = self.qkv(self.norms[0](x)).view(n, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        # Written out: for 17 tokens torch's fused attention takes twice as long.
        attended = ((query @ key.transpose(-2, -1)).softmax(-1) @ value).transpose(1, 2).reshape(n, length, width)
        y = x + self.project(attended)
        if self.convolve is not None:
            y[:, 1:] += self.convolve(x[:, 1:])
        return y + self.narrow(self.widen(self.norms[1](y)))


class FrozenEncoder:
    """The features of an encoder whose weights no longer change, as float16: what is stored of them.

    float16 keeps eleven bits of a feature and bfloat16, in which a mixed-precision encoder multiplies, eight. Features
    are rounded here, so that a model that runs its encoder sees the same numbers as one that reads them from a file.

    On a CPU under autocast to bfloat16 the weights are packed at the first call, and matrix products are
    in bfloat16, norms and sums of the residual stream in float32, as autocast has them. Elsewhere it is the
    encoder itself.

    Parameters
    ----------
    encoder
        The encoder, in eval mode; loading other weights into it is noticed.
    """

    def __init__(self, encoder: Transformer):
        self.encoder = encoder
        self.packed: tuple[_PackedLinear, list[_PackedBlock]] | None = None
        encoder.register_load_state_dict_post_hook(self._forget)

    def _forget(self, *_: object) -> None:
        self.packed = None

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return the mean over patch tokens, shape (n, width), float16, of images (n, bands, side, side)."""
        return self._mean(images).half()

    def _mean(self, images: Tensor) -> Tensor:
        bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if images.device.type != "cpu" or not bfloat16 or not torch.backends.mkldnn.is_available():
            return self.encoder.features(images)
        encoder = self.encoder
        with torch.autocast("cpu", enabled=False):
            if self.packed is None:
                self.packed = _PackedLinear(encoder.embed), [_PackedBlock(block) for block in encoder.blocks]
            embed, blocks = self.packed
            x = embed(patchify(images, encoder.patch)) + encoder.positions
            x = torch.cat([encoder.class_token.expand(len(x), -1, -1), x], dim=1)
            for block in blocks:
                x = block(x)
            return x[:, 1:].mean(dim=1)
