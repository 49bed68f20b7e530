"""Weights of a model folder, read back."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from astromae.errors import InputError
from astromae.training.folders import WEIGHTS


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a model or an encoder.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    path = folder / WEIGHTS
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: no readable weights ({str(error).splitlines()[0]})") from error


def load_weights(folder: Path, module: torch.nn.Module, name: str) -> None:
    """Load the weights of a folder into a network that its recipe built.

    Raises
    ------
    InputError
        If the file cannot be read, or holds the weights of another network than `name`.
    """
    try:
        module.load_state_dict(read_weights(folder))
    except RuntimeError as error:
        message = str(error).splitlines()[0]
        raise InputError(f"{folder / WEIGHTS}: not the weights of {name} ({message})") from error
