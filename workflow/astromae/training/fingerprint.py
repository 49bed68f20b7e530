"""Fingerprints: what a step's numbers come from, so that nothing made otherwise is continued or taken for them."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astromae.progress import log
from astromae.sources import PACKAGE, command_sources, sources_of

if TYPE_CHECKING:
    from astromae.classical.recipe import ClassicalRecipe
    from astromae.training.recipes import Recipe


def fingerprint(
    step: str, recipe: "Recipe | ClassicalRecipe", seed: int, *data: np.ndarray | Mapping[str, Any]
) -> dict[str, str]:
    """Return what a step's numbers come from: hashes of recipe, data and code, and the versions of what computes.

    Parameters
    ----------
    step
        Name of the step. Its code is what it imports, and the entries of tables that its recipe names.
    recipe
        Everything configured about the step.
    seed
        Its seed, hashed with the recipe.
    *data
        What it learns from: arrays, and mappings that JSON can hold.
    """
    read = hashlib.sha256()
    for part in data:
        if isinstance(part, Mapping):
            read.update(json.dumps(part, sort_keys=True).encode())
            continue
        array = np.ascontiguousarray(part)
        read.update(f"{array.dtype}{array.shape}".encode())
        read.update(array.data)
    code = hashlib.sha256()
    for source in sorted({*command_sources(step), *sources_of(*recipe.sources())}):
        inside = source.is_relative_to(PACKAGE)
        code.update(f"{source.relative_to(PACKAGE) if inside else source.name}\n".encode())
        code.update(source.read_bytes())
    return {
        "recipe": hashlib.sha256(json.dumps([recipe.as_json(), seed], sort_keys=True).encode()).hexdigest(),
        "data": read.hexdigest(),
        "code": code.hexdigest(),
        "torch": version("torch"),
    }


def refuse(path: Path, fingerprint: dict[str, str], found: dict[str, str]) -> None:
    """Say why a state with the fingerprint `found` is not continued by a step with another; it may lack parts."""
    changed = [name for name, part in fingerprint.items() if found.get(name) != part]
    log(f"starting anew, not continuing {path}: it was made with another {' and another '.join(changed)}")
