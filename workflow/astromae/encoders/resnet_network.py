"""Residual networks (He et al. 2016) for small stamps, under torchvision's names."""

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from astromae.encoders.drop_path import DropPath, rising_rates
from astromae.encoders.resnet import ResNetSettings

#: Kind of block, and how many of them each stage has, by depth.
STAGES: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """A ResNet whose 7x7 stem has stride 1, and no max-pool behind it: a stamp is small, and its pixels count.

    Hayat et al. 2021 take torchvision's ResNet-50 so; its names and its initialisation (He-normal by fan-out, norms at
    one and zero) are kept, so that published weights fit.

    Parameters
    ----------
    settings
        Depth, width, and whether blocks start as the identity.
    bands
        Number of bands.

    Attributes
    ----------
    width
        Number of features: eight times the width of the first stage, and four times that of bottlenecks.
    """

    def __init__(self, settings: ResNetSettings, bands: int):
        super().__init__()
        block, stages = STAGES[settings.depth]
        channels = settings.width
        self.conv1 = nn.Conv2d(bands, channels, 7, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for number, blocks in enumerate(stages):
            planes = settings.width * 2**number
            layers = []
            for index in range(blocks):
                stride = 2 if number and not index else 1
                shortcut = None
                if stride > 1 or channels != planes * block.expansion:
                    shortcut = nn.Sequential(
                        nn.Conv2d(channels, planes * block.expansion, 1, stride, bias=False),
                        nn.BatchNorm2d(planes * block.expansion),
                    )
                layers.append(block(channels, planes, stride, shortcut))
                channels = planes * block.expansion
            self.add_module(f"layer{number + 1}", nn.Sequential(*layers))
        self.width = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif settings.zero_init_residual and isinstance(module, block):
                module.zero_init_last()

    def features(self, images: Tensor) -> Tensor:
        """Return the mean over pixels of the last stage, (n, width), of images (n, bands, side, side)."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (n, width of the stem, side, side)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (n, width, side / 8, side / 8)
        return x.to(torch.promote_types(x.dtype, torch.float32)).mean(dim=(2, 3))


def add_drop_path(encoder: ResNet, rate: float) -> None:
    """Put drop path behind the residual branch of each block."""
    blocks = [module for module in encoder.modules() if isinstance(module, (BasicBlock, Bottleneck))]
    for block, own in zip(blocks, rising_rates(rate, len(blocks)), strict=True):
        block.drop_path = DropPath(own) if own else None
