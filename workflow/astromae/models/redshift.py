"""Redshift models: branches chosen in the configuration, assembled by one class (figures 6 and 7)."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from astromae.constants import BANDS
from astromae.models.frozen import FrozenEncoder
from astromae.models.inception import Inception
from astromae.models.vit import build_encoder

#: Widths of the fully connected layers that the paper states.
BRANCH_WIDTH, MAGNITUDE_WIDTH, HEAD_WIDTH = 1096, 1024, 1024


def _mlp(*widths: int) -> nn.Sequential:
    """Linear layers of the given widths with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class RedshiftModel(nn.Module):
    """A redshift model: image branches and a magnitude branch, joined by one head.

    A branch alone ends in ReLU Linear(192,1096) ReLU Linear(1096,1096) ReLU Linear(1096,1). Of several
    branches, each image branch ends in Linear(192,1096) ReLU Linear(1096,1096), and the joined vector goes
    through Linear(n,1024) ReLU Linear(1024,1).

    Parameters
    ----------
    branches
        Mapping with `encoder` (name of a backbone or None), `frozen`, `inception` and `magnitude`.
    backbone
        The backbone that `encoder` names, or None.
    side
        Pixels on a side of the stamps (32).

    Raises
    ------
    ValueError
        If no branch is chosen.
    """

    def __init__(self, branches: dict[str, Any], backbone: dict[str, Any] | None, side: int):
        super().__init__()
        self.frozen = bool(branches["frozen"])
        self.encoder = self.adapter = self.inception = self.magnitude = None
        image_widths = {}
        if branches["encoder"] is not None:
            self.encoder = build_encoder(backbone, side, "finetune").requires_grad_(not self.frozen)
            self.frozen_encoder = FrozenEncoder(self.encoder) if self.frozen else None
            width = self.encoder.width
            # With the epsilon of He et al.'s and timm's norm after global pooling.
            self.adapter = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, width))
            image_widths["encoder"] = width
        if branches["inception"]:
            self.inception = Inception()
            image_widths["inception"] = Inception.features
        if branches["magnitude"]:
            self.magnitude = _mlp(len(BANDS), *[MAGNITUDE_WIDTH] * 5)
        if not image_widths and self.magnitude is None:
            raise ValueError("a redshift model needs at least one branch: encoder, inception or magnitude")

        alone = len(image_widths) == 1 and self.magnitude is None
        self.image_heads = nn.ModuleDict(
            {
                name: nn.Sequential(*[nn.ReLU()] * alone, *_mlp(width, BRANCH_WIDTH, BRANCH_WIDTH))
                for name, width in image_widths.items()
            }
        )
        joined = BRANCH_WIDTH * len(image_widths) + (MAGNITUDE_WIDTH if self.magnitude is not None else 0)
        self.join = nn.Sequential(nn.ReLU()) if alone else nn.Sequential(nn.Linear(joined, HEAD_WIDTH), nn.ReLU())
        self.output = nn.Linear(BRANCH_WIDTH if alone else HEAD_WIDTH, 1)

    def train(self, mode: bool = True) -> "RedshiftModel":
        """Set training mode; a frozen encoder stays in eval mode, or its BatchNorm would go on learning."""
        super().train(mode)
        if self.encoder is not None and self.frozen:
            self.encoder.eval()
        return self

    def encode(self, images: Tensor) -> Tensor:
        """Return the encoder's features (n, width); where it is frozen, without gradients and as float16."""
        if self.frozen:
            return self.frozen_encoder.features(images)
        return self.encoder.features(images)

    def forward(self, images: Tensor | None, magnitudes: Tensor | None, features: Tensor | None = None) -> Tensor:
        """Predict redshifts.

        Parameters
        ----------
        images
            Scaled stamps (n, 5, side, side); None where no branch reads them.
        magnitudes
            Scaled magnitudes (n, 5); None where no branch reads them.
        features
            The encoder's features (n, width), where they have been computed before.

        Returns
        -------
        Tensor
            Redshifts, shape (n,), float32.
        """
        parts = []
        if self.encoder is not None:
            features = self.encode(images) if features is None else features
            parts.append(self.image_heads["encoder"](self.adapter(features.to(self.output.weight.dtype))))
        if self.inception is not None:
            parts.append(self.image_heads["inception"](self.inception(images)))
        if self.magnitude is not None:
            parts.append(self.magnitude(magnitudes))
        joined = self.join(torch.cat(parts, dim=1))
        # Eight bits of mantissa would round redshifts to steps near 0.0005, so the last layer has 24.
        with torch.autocast(joined.device.type, enabled=False):
            return self.output(joined.to(self.output.weight.dtype)).squeeze(1)


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Return the number of all parameters and of the trainable ones."""
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def describe_models(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    """List every configured model with its branches and parameters.

    Parameters
    ----------
    configuration
        The validated configuration: `models`, `backbones` and `scaling`.

    Returns
    -------
    list of dict
        name, group, encoder, pretrained, frozen, inception, magnitude, parameters, trainable.
    """
    rows = []
    for name, branches in configuration["models"].items():
        backbone = configuration["backbones"].get(branches["encoder"])
        with torch.device("meta"):
            model = RedshiftModel(branches, backbone, configuration["scaling"]["crop"])
        parameters, trainable = count_parameters(model)
        rows.append({"name": name, **branches, "parameters": parameters, "trainable": trainable})
    return rows
