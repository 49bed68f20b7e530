"""The network of Pasquet et al. 2019 (A&A 621, A26), as their released code builds it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from astromae.encoders.pasquet import HIDDEN


def _unit(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution, and PReLU with a slope for each channel that starts at zero."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.PReLU(outputs, init=0.0))


class Block(nn.Module):
    """Parallel branches: 1x1; 1x1 then 5x5; 1x1 then 3x3; 1x1 then an average of 2x2 pixels.

    Parameters
    ----------
    inputs
        Input channels.
    narrow, wide
        Channels of the first and of the second convolution of a branch. The 1x1 branch is wide, the averaged one
        narrow.
    five
        Whether there is a 5x5 branch.
    """

    def __init__(self, inputs: int, narrow: int, wide: int, five: bool = True):
        super().__init__()
        self.one = _unit(inputs, wide, 1)
        self.five = nn.Sequential(_unit(inputs, narrow, 1), _unit(narrow, wide, 5)) if five else None
        self.three = nn.Sequential(_unit(inputs, narrow, 1), _unit(narrow, wide, 3))
        self.pool = _unit(inputs, narrow, 1)
        self.channels = wide * (3 if five else 2) + narrow

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, channels, h, w)."""
        branches = [branch(x) for branch in (self.one, self.five, self.three) if branch is not None]
        # As TensorFlow averages at the last row and column: over the pixels that there are.
        averaged = F.avg_pool2d(F.pad(self.pool(x), (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        return torch.cat([*branches, averaged], dim=1)


class Pasquet(nn.Module):
    """Stamps to the 1096 values of the last hidden layer.

    What differs from the paper: a model here reads features, so its layer of 180 classes is left to the task; and
    E(B-V), which the paper joins to the flattened image, is no input. Stamps may have other sides than 64 px, on which
    the size of the first fully connected layer depends.

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
        self.width = HIDDEN
        self.stem = _unit(bands, 64, 5)
        channels, blocks = 64, []
        for narrow, wide, five in ((48, 64, True), (64, 92, True), (92, 128, True), (92, 128, True), (92, 128, False)):
            blocks.append(Block(channels, narrow, wide, five))
            channels = blocks[-1].channels
        self.blocks = nn.ModuleList(blocks)
        self.hidden = nn.ModuleList([nn.Linear(channels * (side // 8) ** 2, HIDDEN), nn.Linear(HIDDEN, HIDDEN)])
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.constant_(module.bias, 0.1)

    def features(self, images: Tensor) -> Tensor:
        """Return the last hidden layer, (n, 1096), of images (n, bands, side, side)."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = F.avg_pool2d(self.stem(x), 2)  # (n, 64, side / 2, side / 2)
        x = F.avg_pool2d(self.blocks[1](self.blocks[0](x)), 2)  # (n, 340, side / 4, side / 4)
        x = F.avg_pool2d(self.blocks[3](self.blocks[2](x)), 2)  # (n, 476, side / 8, side / 8)
        x = self.blocks[4](x).flatten(1)  # (n, 348 * (side / 8)**2)
        for layer in self.hidden:
            x = F.relu(layer(x))
        return x
