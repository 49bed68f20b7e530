"""The Inception network (Henghes et al. 2022; figure 3 and table notes of the AstroMAE paper)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from astromae.encoders.pooling import max_pool3


def _unit(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class InceptionBlock(nn.Module):
    """Parallel branches of equal width: 1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 max-pool then 1x1.

    Parameters
    ----------
    inputs
        Input channels.
    width
        Channels of each branch.
    five
        Whether there is a 5x5 branch. The last block has none: the released code builds one there
        and never uses it, which is 552 parameters too many.
    """

    def __init__(self, inputs: int, width: int, five: bool = True):
        super().__init__()
        self.one = _unit(inputs, width, 1)
        self.three = nn.Sequential(_unit(inputs, width, 1), _unit(width, width, 3))
        self.five = nn.Sequential(_unit(inputs, width, 1), _unit(width, width, 5)) if five else None
        self.pool = _unit(inputs, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, 4 width, h, w), or 3 width without the 5x5 branch."""
        branches = [self.one(x), self.three(x)]
        if self.five is not None:
            branches.append(self.five(x))
        branches.append(self.pool(max_pool3(x)))
        return torch.cat(branches, dim=1)


class Inception(nn.Module):
    """The Inception network: stamps of 32 px to 192 features.

    The published order is a 1x1 convolution and then an average-pool. Both are linear and act on
    different axes, so they commute; pooling first does a quarter of the work.

    Parameters
    ----------
    bands
        Number of bands.
    side
        Pixels on a side of its images, a multiple of 8.

    Attributes
    ----------
    width
        Number of features.
    """

    def __init__(self, bands: int, side: int):
        super().__init__()
        self.stem = nn.Conv2d(bands, 32, 1)
        self.blocks = nn.ModuleList(
            [
                InceptionBlock(32, 16),
                InceptionBlock(64, 16),
                InceptionBlock(64, 8),
                InceptionBlock(32, 8),
                InceptionBlock(32, 4, five=False),
            ]
        )
        self.width = 12 * (side // 8) ** 2

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, bands, side, side) to features (n, width)."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = self.stem(F.avg_pool2d(x, 2))  # (n, 32, side / 2, side / 2)
        x = self.blocks[1](self.blocks[0](x))
        x = F.avg_pool2d(x, 2)  # (n, 64, side / 4, side / 4)
        x = self.blocks[3](self.blocks[2](x))
        x = F.avg_pool2d(x, 2)  # (n, 32, side / 8, side / 8)
        return self.blocks[4](x).flatten(1)  # (n, 12 * (side / 8)**2)

    def features(self, images: Tensor) -> Tensor:
        """Map images (n, bands, side, side) to features (n, width), as encoders do."""
        return self(images)
