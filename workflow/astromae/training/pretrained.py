"""Pretrained encoders, read back from their folders."""

from pathlib import Path

from torch import nn

from astromae.encoders import build_encoder, load_pretrained
from astromae.settings.entries import Backbone
from astromae.training.weights import read_weights


def pretrained_encoder(folder: Path, backbone: Backbone, bands: int, side: int) -> nn.Module:
    """Return the encoder of a pretraining's folder, ready for fine-tuning.

    Parameters
    ----------
    folder
        Folder with weights.safetensors of the encoder and of what its objective added.
    backbone
        The encoder's entry of the configuration's `backbones`.
    bands
        Number of bands.
    side
        Pixels on a side of the stamps.
    """
    weights, prefix = read_weights(folder), "encoder."
    encoder = build_encoder(backbone, bands, side, "finetune")
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    load_pretrained(backbone, encoder, own)
    return encoder
