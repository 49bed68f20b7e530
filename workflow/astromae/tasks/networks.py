"""What the networks are made of, read off the networks themselves: for schemes, and for tables of cost."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from astromae.constants import BANDS
from astromae.models.inception import Inception, InceptionBlock
from astromae.models.mae import MaskedAutoencoder
from astromae.models.redshift import RedshiftModel, count_parameters
from astromae.models.vit import build_encoder


def describe_networks(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Describe every configured network.

    Parameters
    ----------
    configuration
        The validated configuration: `models`, `backbones`, `decoder` and `scaling`.

    Returns
    -------
    dict
        ``side`` (px) and ``bands`` of the stamps; ``autoencoders``, ``inception`` (None where no model has it) and
        ``models``: what `describe_autoencoder`, `describe_inception` and `describe_model` return.
    """
    side = configuration["scaling"]["crop"]
    models = configuration["models"]
    with torch.device("meta"):  # shapes and counts need no memory
        return {
            "side": side,
            "bands": len(BANDS),
            "autoencoders": [
                describe_autoencoder(name, backbone, configuration["decoder"], side)
                for name, backbone in configuration["backbones"].items()
            ],
            "inception": describe_inception(side) if any(row["inception"] for row in models.values()) else None,
            "models": [
                describe_model(name, branches, configuration["backbones"].get(branches["encoder"]), side)
                for name, branches in models.items()
            ],
        }


def _linear_widths(module: nn.Module) -> list[int]:
    """Return the output widths of a module's linear layers, in order."""
    return [layer.out_features for layer in module.modules() if isinstance(layer, nn.Linear)]


def describe_autoencoder(name: str, backbone: Mapping[str, Any], decoder: Mapping[str, Any], side: int) -> dict:
    """Describe an encoder and its decoder in pretraining.

    Returns
    -------
    dict
        name; patch (px); tokens; values of a token; width, depth, heads and hidden width of the encoder; pcm: None, or
        hidden width, groups and both kernels; decoder: width, depth, heads; parameters of both together, and of
        each as encoder_parameters and decoder_parameters.
    """
    network = MaskedAutoencoder(build_encoder(backbone, side, "pretrain"), decoder, normalise_targets=False)
    encoder, block = network.encoder, network.encoder.blocks[0]
    parameters = count_parameters(network)[0]
    of_encoder = count_parameters(encoder)[0]
    pcm = getattr(block, "pcm", None)
    return {
        "name": name,
        "patch": encoder.patch,
        "tokens": len(encoder.positions),
        "values": encoder.embed.in_features,
        "width": encoder.width,
        "depth": len(encoder.blocks),
        "heads": block.attn.num_heads,
        "hidden": block.mlp.fc1.out_features,
        "pcm": None
        if pcm is None
        else {
            "hidden": pcm.conv1.out_channels,
            "groups": pcm.conv1.groups,
            "pretrain_kernel": backbone["pcm"]["pretrain_kernel"],
            "finetune_kernel": backbone["pcm"]["finetune_kernel"],
        },
        "decoder": {
            "width": network.decoder_embed.out_features,
            "depth": len(network.decoder_blocks),
            "heads": network.decoder_blocks[0].attn.num_heads,
        },
        "parameters": parameters,
        "encoder_parameters": of_encoder,
        "decoder_parameters": parameters - of_encoder,
    }


def describe_inception(side: int) -> dict:
    """Describe the Inception module by letting a stamp through it.

    Returns
    -------
    dict
        stem: channels after the first convolution; blocks: for each block its branches (a list of kernels and
        widths each; the kernel "pool" is a maximum), its output channels and side (px); features; parameters.
    """
    network = Inception().eval()
    shapes: list[torch.Size] = []
    for block in network.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    features = network(torch.empty(1, len(BANDS), side, side))
    return {
        "stem": network.stem.out_channels,
        "blocks": [
            {"branches": _branches(block), "channels": shape[1], "side": shape[2]}
            for block, shape in zip(network.blocks, shapes, strict=True)
        ],
        "features": features.shape[1],
        "parameters": count_parameters(network)[0],
    }


def _branches(block: InceptionBlock) -> list[list[list]]:
    """Return kernel and output channels of every convolution of each of a block's parallel branches."""

    def convolutions(module: nn.Module) -> list[list]:
        layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
        return [[f"{layer.kernel_size[0]}×{layer.kernel_size[0]}", layer.out_channels] for layer in layers]

    several = [convolutions(branch) for branch in (block.one, block.three, block.five) if branch is not None]
    return [*several, [["pool", None], *convolutions(block.pool)]]


def describe_model(name: str, branches: Mapping[str, Any], backbone: Mapping[str, Any] | None, side: int) -> dict:
    """Describe a redshift model.

    Returns
    -------
    dict
        name, group, pretrained, frozen; branches: for each its kind (encoder, inception, magnitude), the
        encoder's name, the parameters of its network (None without one), and widths of the linear layers that follow;
        joined: length of the joined vector; head: widths of the layers after it; parameters, trainable.
    """
    model = RedshiftModel(branches, backbone, side)
    parts = []
    if model.encoder is not None:
        layers = [model.adapter, model.image_heads["encoder"]]
        parts.append(("encoder", branches["encoder"], model.encoder, layers))
    if model.inception is not None:
        layers = [model.image_heads["inception"]]
        parts.append(("inception", "Inception", model.inception, layers))
    if model.magnitude is not None:
        parts.append(("magnitude", "magnitudes", None, [model.magnitude]))
    described = [
        {
            "kind": kind,
            "name": own_name,
            "parameters": None if network is None else count_parameters(network)[0],
            "widths": [width for module in layers for width in _linear_widths(module)],
        }
        for kind, own_name, network, layers in parts
    ]
    parameters, trainable = count_parameters(model)
    return {
        "name": name,
        **{key: branches[key] for key in ("group", "pretrained", "frozen")},
        "branches": described,
        "joined": sum(part["widths"][-1] for part in described),
        "head": [*_linear_widths(model.join), *_linear_widths(model.output)],
        "parameters": parameters,
        "trainable": trainable,
    }
