"""What the networks are made of, read off the networks themselves: for schemes, and for tables of cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from astromae.encoders import ENCODERS, build_encoder
from astromae.encoders.inception import InceptionSettings
from astromae.files import write_json
from astromae.objectives.mae import MAESettings
from astromae.settings.entries import Backbone
from astromae.tasks import Task, task_of
from astromae.tasks.branches import Branches
from astromae.tasks.model import Model

_BACKBONE = TypeAdapter(Backbone)


def write_networks(configuration: dict[str, Any], bands: int, networks: Path, models: Path) -> None:
    """Write what `describe_networks` and `describe_models` return, as JSON."""
    write_json(networks, describe_networks(configuration, bands))
    write_json(models, describe_models(configuration, bands))


def describe_networks(configuration: Mapping[str, Any], bands: int) -> dict[str, Any]:
    """Describe every configured network.

    Parameters
    ----------
    configuration
        The checked configuration: `models`, `backbones`, `experiments`, `scaling`, and `decoder` where it has one.
    bands
        Number of bands of the stamps.

    Returns
    -------
    dict
        ``side`` (px) and ``bands`` of the stamps; ``autoencoders``, ``inception`` (None where no model has it) and
        ``models``: what `describe_autoencoder`, `describe_inception` and `describe_model` return.
    """
    side, decoder = configuration["scaling"]["crop"], configuration.get("decoder")
    models = configuration["models"]
    backbones = {name: _BACKBONE.validate_python(given) for name, given in configuration["backbones"].items()}
    with torch.device("meta"):  # shapes and counts need no memory
        return {
            "side": side,
            "bands": bands,
            "autoencoders": [
                describe_autoencoder(name, backbone, decoder, bands, side)
                for name, backbone in backbones.items()
                if decoder is not None and ENCODERS[backbone.network].masked
            ],
            "inception": describe_inception(bands, side) if any(row["inception"] for row in models.values()) else None,
            "models": [describe_model(name, configuration, bands) for name in models],
        }


def _built(name: str, configuration: Mapping[str, Any], bands: int, experiment: str | None = None) -> Model:
    """Build a configured model for the task of an experiment, or of the first that trains it."""
    chosen = configuration["models"][name]
    branches = Branches(**{key: chosen[key] for key in Branches.model_fields if key in chosen})
    backbone = (
        None if branches.encoder is None else _BACKBONE.validate_python(configuration["backbones"][branches.encoder])
    )
    task = _tasks(name, configuration, experiment)[0]
    return Model(branches, backbone, bands, configuration["scaling"]["crop"], task.outputs)


def _tasks(name: str, configuration: Mapping[str, Any], experiment: str | None = None) -> list[Task]:
    """Return the task of an experiment, or of all that train a model; at least one."""
    chosen_from = configuration["experiments"]
    chosen_from = [chosen_from[experiment]] if experiment else chosen_from.values()
    tasks = [settings.get("task", "redshift") for settings in chosen_from if name in settings["models"]]
    return [task_of(task) for task in tasks or ["redshift"]]


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Return the number of all parameters and of the trainable ones."""
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def describe_models(configuration: Mapping[str, Any], bands: int) -> list[dict[str, Any]]:
    """List every configured model with its branches and parameters.

    Parameters
    ----------
    configuration, bands
        As for `describe_networks`.

    Returns
    -------
    list of dict
        name, group, encoder, pretrained, frozen, inception, magnitude, and what `_counted` returns.
    """
    with torch.device("meta"):
        return [
            {"name": name, **chosen, **_counted(name, configuration, bands)}
            for name, chosen in configuration["models"].items()
        ]


def _counted(name: str, configuration: Mapping[str, Any], bands: int) -> dict[str, Any]:
    """Return the numbers of a model's parameters and of the trainable ones, and both in each experiment that has it.

    The head depends on the experiment's task.
    """

    def counts(experiment: str | None = None) -> dict[str, int]:
        both = count_parameters(_built(name, configuration, bands, experiment))
        return dict(zip(("parameters", "trainable"), both, strict=True))

    experiments = [of for of, settings in configuration["experiments"].items() if name in settings["models"]]
    return {**counts(), "of_experiments": {of: counts(of) for of in experiments}}


def _linear_widths(module: nn.Module) -> list[int]:
    """Return the output widths of a module's linear layers, in order."""
    return [layer.out_features for layer in module.modules() if isinstance(layer, nn.Linear)]


def describe_autoencoder(name: str, backbone: Any, decoder: Mapping[str, Any], bands: int, side: int) -> dict:
    """Describe an encoder and its decoder in pretraining.

    Returns
    -------
    dict
        name; patch (px); tokens; values of a token; width, depth, heads and hidden width of the encoder; pcm: None, or
        hidden width, groups and both kernels; decoder: width, depth, heads; parameters of both together, and of
        each as encoder_parameters and decoder_parameters.
    """
    from astromae.objectives.masked_autoencoder import MaskedAutoencoder

    settings = MAESettings(mask_ratio=0.75, normalise_targets=False, decoder=decoder)
    network = MaskedAutoencoder(build_encoder(backbone, bands, side, "pretrain"), settings, bands)
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
        "heads": block.attn.heads,
        "hidden": block.mlp.fc1.out_features,
        "pcm": None
        if pcm is None
        else {
            "hidden": pcm.conv1.out_channels,
            "groups": pcm.conv1.groups,
            "pretrain_kernel": backbone.pcm.pretrain_kernel,
            "finetune_kernel": backbone.pcm.finetune_kernel,
        },
        "decoder": {
            "width": network.decoder_embed.out_features,
            "depth": len(network.decoder_blocks),
            "heads": network.decoder_blocks[0].attn.heads,
        },
        "parameters": parameters,
        "encoder_parameters": of_encoder,
        "decoder_parameters": parameters - of_encoder,
    }


def describe_inception(bands: int, side: int) -> dict:
    """Describe the Inception module by letting a stamp through it.

    Returns
    -------
    dict
        stem: channels after the first convolution; blocks: for each block its branches (a list of kernels and
        widths each; the kernel "pool" is a maximum), its output channels and side (px); features; parameters.
    """
    network = ENCODERS["inception"].build(InceptionSettings(), bands, side, "finetune").eval()
    shapes: list[torch.Size] = []
    for block in network.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    features = network(torch.empty(1, bands, side, side))
    return {
        "stem": network.stem.out_channels,
        "blocks": [
            {"branches": _branches(block), "channels": shape[1], "side": shape[2]}
            for block, shape in zip(network.blocks, shapes, strict=True)
        ],
        "features": features.shape[1],
        "parameters": count_parameters(network)[0],
    }


def _branches(block: nn.Module) -> list[list[list]]:
    """Return kernel and output channels of every convolution of each of a block's parallel branches."""

    def convolutions(module: nn.Module) -> list[list]:
        layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
        return [[f"{layer.kernel_size[0]}×{layer.kernel_size[0]}", layer.out_channels] for layer in layers]

    several = [convolutions(branch) for branch in (block.one, block.three, block.five) if branch is not None]
    return [*several, [["pool", None], *convolutions(block.pool)]]


def describe_model(name: str, configuration: Mapping[str, Any], bands: int) -> dict:
    """Describe a model.

    Returns
    -------
    dict
        name, group, pretrained, frozen; branches: for each its kind (encoder, inception, magnitude), the
        encoder's name, the parameters of its network (None without one), and widths of the linear layers that follow;
        predicts: titles of its tasks;
        joined: length of the joined vector; head: widths of the layers after it; and what `_counted` returns.
    """
    model, branches = _built(name, configuration, bands), configuration["models"][name]
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
    return {
        "name": name,
        **{key: branches[key] for key in ("group", "pretrained", "frozen")},
        "branches": described,
        "predicts": list(dict.fromkeys(task.title for task in _tasks(name, configuration))),
        "joined": sum((part["widths"] or [model.encoder.width])[-1] for part in described),
        "head": [*_linear_widths(model.join), *_linear_widths(model.output)],
        **_counted(name, configuration, bands),
    }
