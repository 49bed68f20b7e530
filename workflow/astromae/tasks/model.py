"""Models: branches chosen in the configuration, joined by one head for the outputs of any task (figures 6 and 7)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from astromae.encoders import ENCODERS, build_encoder
from astromae.encoders.frozen import FrozenEncoder
from astromae.tasks import task_of
from astromae.tasks.branches import Branches
from astromae.training.recipes import ModelRecipe
from astromae.typed import Typed

#: Widths of the fully connected layers that the paper states.
BRANCH_WIDTH, MAGNITUDE_WIDTH, HEAD_WIDTH = 1096, 1024, 1024


def _mlp(*widths: int) -> nn.Sequential:
    """Linear layers of the given widths with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class Model(nn.Module):
    """A model of any task: image branches and a magnitude branch, joined by one head.

    A branch alone ends in ReLU Linear(192,1096) ReLU Linear(1096,1096) ReLU Linear(1096,outputs). Of several
    branches, each image branch ends in Linear(192,1096) ReLU Linear(1096,1096), and the joined vector goes
    through Linear(n,1024) ReLU Linear(1024,outputs). A linear probe ends in BatchNorm
    Linear(width,outputs), as in He et al. 2022, appendix A.1.

    Parameters
    ----------
    branches
        Which branches there are.
    backbone
        The backbone that `branches.encoder` names, or None.
    bands
        Number of bands.
    side
        Pixels on a side of the stamps.
    outputs
        Numbers that the last layer gives for each galaxy.

    Raises
    ------
    ValueError
        If no branch is chosen.
    """

    def __init__(self, branches: Branches, backbone: Typed | None, bands: int, side: int, outputs: int):
        super().__init__()
        self.frozen = branches.frozen
        self.encoder = self.adapter = self.inception = self.magnitude = None
        image_widths = {}
        if branches.encoder is not None:
            self.encoder = build_encoder(backbone, bands, side, "finetune").requires_grad_(not self.frozen)
            self.encode = FrozenEncoder(self.encoder).features if self.frozen else self.encoder.features
            width = self.encoder.width
            # Epsilons are those of He et al.'s and timm's norms after global pooling.
            if branches.linear:
                self.adapter = nn.BatchNorm1d(width, eps=1e-6)
            else:
                self.adapter = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, width))
            image_widths["encoder"] = width
        if branches.inception:
            inception = ENCODERS["inception"]
            self.inception = inception.build(inception.settings(), bands, side, "finetune")
            image_widths["inception"] = self.inception.width
        if branches.magnitude:
            self.magnitude = _mlp(bands, *[MAGNITUDE_WIDTH] * 5)
        if not image_widths and self.magnitude is None:
            raise ValueError("a model needs at least one branch: encoder, inception or magnitude")
        if branches.linear:
            self.image_heads = nn.ModuleDict({"encoder": nn.Identity()})
            self.join, self.output = nn.Identity(), nn.Linear(image_widths["encoder"], outputs)
            return

        alone = len(image_widths) == 1 and self.magnitude is None
        self.image_heads = nn.ModuleDict(
            {
                name: nn.Sequential(*[nn.ReLU()] * alone, *_mlp(width, BRANCH_WIDTH, BRANCH_WIDTH))
                for name, width in image_widths.items()
            }
        )
        joined = BRANCH_WIDTH * len(image_widths) + (MAGNITUDE_WIDTH if self.magnitude is not None else 0)
        self.join = nn.Sequential(nn.ReLU()) if alone else nn.Sequential(nn.Linear(joined, HEAD_WIDTH), nn.ReLU())
        self.output = nn.Linear(BRANCH_WIDTH if alone else HEAD_WIDTH, outputs)

    def train(self, mode: bool = True) -> "Model":
        """Set training mode; a frozen encoder stays in eval mode, or its BatchNorm would go on learning."""
        super().train(mode)
        if self.encoder is not None and self.frozen:
            self.encoder.eval()
        return self

    def forward(self, images: Tensor | None, magnitudes: Tensor | None, features: Tensor | None = None) -> Tensor:
        """Return the outputs of the task, (n, outputs), float32; parameters are those of `embed`."""
        return self.answer(self.embed(images, magnitudes, features))

    def embed(self, images: Tensor | None, magnitudes: Tensor | None, features: Tensor | None = None) -> Tensor:
        """Return what the last layer reads.

        Parameters
        ----------
        images
            Scaled stamps (n, bands, side, side); None where no branch reads them.
        magnitudes
            Scaled magnitudes (n, bands); None where no branch reads them.
        features
            The encoder's features (n, width), where they have been computed before.

        Returns
        -------
        Tensor
            Shape (n, width).
        """
        parts = []
        if self.encoder is not None:
            features = self.encode(images) if features is None else features
            parts.append(self.image_heads["encoder"](self.adapter(features.to(self.output.weight.dtype))))
        if self.inception is not None:
            parts.append(self.image_heads["inception"](self.inception(images)))
        if self.magnitude is not None:
            parts.append(self.magnitude(magnitudes))
        return self.join(torch.cat(parts, dim=1))

    def answer(self, embedded: Tensor) -> Tensor:
        """Return the outputs of the task, (n, outputs), float32, of what `embed` returned."""
        # Eight bits of mantissa would round a redshift to steps near 0.0005, so the last layer has 24.
        with torch.autocast(embedded.device.type, enabled=False):
            return self.output(embedded.to(self.output.weight.dtype))


def build_model(recipe: ModelRecipe, bands: int) -> Model:
    """Build the model of a recipe."""
    model = Model(recipe.branches, recipe.backbone, bands, recipe.crop, task_of(recipe.task).outputs)
    if model.encoder is not None and not model.frozen and recipe.finetuning.drop_path:
        ENCODERS[recipe.backbone.network].add_drop_path(model.encoder, recipe.finetuning.drop_path)
    return model
