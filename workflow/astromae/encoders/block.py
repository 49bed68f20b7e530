"""The pre-norm transformer block of both encoders and of the decoder, under timm's names.

timm's own comes with all of timm's networks and torchvision, whose import takes longer than many a step of a small run.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017), queries, keys and values from one product.

    Parameters
    ----------
    width
        Width of the tokens.
    heads
        Number of heads; divides the width.

    Attributes
    ----------
    fused
        Whether torch's fused attention computes it, or matrix products written out; both give the same.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.scale, self.fused = heads, (width // heads) ** -0.5, True
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, length, width) to the same shape."""
        n, length, width = x.shape
        # (3, n, heads, length, width / heads)
        queries, keys, values = self.qkv(x).reshape(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            x = F.scaled_dot_product_attention(queries, keys, values)
        else:
            x = (queries * self.scale @ keys.transpose(-2, -1)).softmax(dim=-1) @ values
        return self.proj(x.transpose(1, 2).reshape(n, length, width))


class Perceptron(nn.Module):
    """Two linear layers with GELU between them; four times the width inside."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, length, width) to the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm transformer block (Dosovitskiy et al. 2021).

    Parameters
    ----------
    width
        Width of the tokens.
    heads
        Number of heads of its attention.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.drop_path1 = nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Perceptron(width)
        self.drop_path2 = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, length, width) to the same shape."""
        x = x + self.drop_path1(self.attn(self.norm1(x)))
        return x + self.drop_path2(self.mlp(self.norm2(x)))
