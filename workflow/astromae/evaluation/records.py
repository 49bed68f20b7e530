"""Reading what steps record: values of a run, provenance of trainings, descriptions of networks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astromae.errors import InputError


def read_json(path: Path, keys: Sequence[str] = ()) -> Any:
    """Return the content of a JSON file.

    Parameters
    ----------
    path
        File to read.
    keys
        Keys that it must hold.

    Raises
    ------
    InputError
        If it cannot be read or lacks a key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error})") from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path}: no {', '.join(missing)}; make it again with this version")
    return content


def read_values(paths: Sequence[Path]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the named values of the survey, and those of every experiment in the order of the files.

    Parameters
    ----------
    paths
        ``survey.json``, and one file for each experiment.

    Raises
    ------
    InputError
        If a file cannot be read, or those of the survey or of any experiment are not given.
    """
    read = {path.stem: read_json(path) for path in paths}
    if "survey" not in read or len(read) < 2:
        raise InputError(f"values {', '.join(read) or 'none'}: survey.json and at least one experiment's are needed")
    return read.pop("survey"), list(read.values())


def read_networks(path: Path, kind: str, names: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """Return the descriptions of some networks, and the shape of the stamps that they read.

    Parameters
    ----------
    path
        Description of all networks (``astromae networks``).
    kind
        Which of them: ``autoencoders`` or ``models``.
    names
        Names of those to return, in this order.

    Raises
    ------
    InputError
        If the description cannot be read or lacks one of them.
    """
    described = read_json(path, (kind, "side", "bands"))
    by_name = {row["name"]: row for row in described[kind]}
    absent = [name for name in names if name not in by_name]
    if absent:
        raise InputError(f"{path}: describes no {kind.removesuffix('s')} {', '.join(absent)}")
    return [by_name[name] for name in names], f"{described['bands']}×{described['side']}×{described['side']}"


#: What a training says of itself in its provenance.json, as far as tables and figures read it.
_PROVENANCE = ("recipe", "stamps", "device", "devices", "threads", "wall_s", "cpu_hours", "gpu_hours", "peak_memory_mb")


def read_provenance(path: Path) -> dict[str, Any]:
    """Return what a training says of itself: its recipe, its device, and what it took.

    Raises
    ------
    InputError
        If the file cannot be read or lacks something.
    """
    return read_json(path, _PROVENANCE)
