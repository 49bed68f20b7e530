"""Learning rates of single layers: in fine-tuning they may decay from an encoder's last to its first."""

from astromae.encoders import ENCODERS
from astromae.tasks.model import Model
from astromae.training.recipes import CurveRecipe, ModelRecipe

#: Of a linear probe: with the rate of a network it ends far from where logistic regression does, with a mean area under
#: the ROC of 0.86 instead of 0.92 (morphology preset, 2,000 updates).
LINEAR_RATE = 10.0


def rate_factors(model: Model, recipe: ModelRecipe | CurveRecipe) -> dict[str, float]:
    """Return the factor of the learning rate of each of a model's parameters that has one.

    With a decay d and an encoder of n layers, counted from 0, those of layer i have d**(n - i). What reads the encoder
    has all of the rate, and so have encoders that learn from scratch (He et al. 2022 and their released code; Clark et
    al. 2020).

    Parameters
    ----------
    model
        The model.
    recipe
        Its recipe.

    Returns
    -------
    dict
        By the name of the parameter; empty where no encoder is fine-tuned with a decay, but for a linear probe.
    """
    branches = recipe.branches
    if branches.linear and branches.frozen:
        return {f"output.{name}": LINEAR_RATE for name, _ in model.output.named_parameters()}
    if branches.frozen or not branches.pretrained or recipe.finetuning.layer_decay is None:
        return {}
    decay = recipe.finetuning.layer_decay
    layer_of = ENCODERS[recipe.backbone.network].layer_of
    of = {name: layer_of(name) for name, _ in model.encoder.named_parameters()}
    layers = sorted(set(of.values()))
    return {f"encoder.{name}": decay ** (len(layers) - layers.index(layer)) for name, layer in of.items()}
