"""Model folders: all that predictions with a trained model or encoder need, in open formats."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from astromae.errors import InputError
from astromae.files import atomic_path, write_checksum, write_json

WEIGHTS, RECIPE, HISTORY, PROVENANCE = "weights.safetensors", "recipe.json", "history.csv", "provenance.json"


def write_folder(
    folder: Path, weights: Mapping[str, np.ndarray], recipe: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Write weights with their checksum, recipe and provenance.

    Parameters
    ----------
    folder
        Folder to write to.
    weights
        All weights and buffers, those of a frozen encoder too; or what a classical method has fitted.
    recipe
        Its recipe, seed, scaling and stamps: what is needed to build it again and to feed it.
    provenance
        Where it comes from.
    """
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(dict(weights), temporary)
    write_checksum(folder / WEIGHTS)
    write_json(folder / RECIPE, recipe)
    write_json(folder / PROVENANCE, provenance)


def read_recipe(folder: Path) -> dict[str, Any]:
    """Return the recipe of a model or an encoder, with its seed, scaling and stamps.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    path = folder / RECIPE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
