"""What the benchmark of models compares with: plain eager torch.

Published layer order, default memory layout and float32.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from astromae.encoders.inception_network import Inception
from astromae.tasks.model import build_model
from astromae.training.bench_process import Timed, timed
from astromae.training.recipes import ModelRecipe


class EagerInception(Inception):
    """The Inception branch as published: convolution before pooling, torch's default memory layout."""

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, bands, side, side) to features (n, width)."""
        x = F.avg_pool2d(self.stem(images), 2)
        x = F.avg_pool2d(self.blocks[1](self.blocks[0](x)), 2)
        x = F.avg_pool2d(self.blocks[3](self.blocks[2](x)), 2)
        return self.blocks[4](x).flatten(1)


def eager_works(recipe: dict[str, Any], batch: tuple[Tensor, Tensor, Tensor], device: torch.device) -> dict[str, Timed]:
    """Return how a model is trained on a batch, `finetune`, and predicts one, `infer`.

    Parameters
    ----------
    recipe
        `ModelRecipe` of what is built, as JSON holds it.
    batch
        Images (n, bands, side, side), magnitudes (n, bands) and targets (n, 1).
    device
        Where it runs.
    """
    images, magnitudes, targets = (tensor.to(device) for tensor in batch)
    bands, side = images.shape[1], images.shape[-1]
    model = build_model(ModelRecipe.model_validate(recipe), bands)
    model.inception = EagerInception(bands, side)
    model = model.to(device)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

    def finetune() -> None:
        F.mse_loss(model.train()(images, magnitudes), targets).backward()
        optimiser.step()
        optimiser.zero_grad()

    @torch.no_grad()
    def infer() -> None:
        model.eval()(images, magnitudes)

    return {"finetune": timed(finetune, device), "infer": timed(infer, device)}
