"""Reading configurations from files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from astromae.errors import InputError
from astromae.plugins import listed_plugins, load_plugins
from astromae.settings.base import show
from astromae.settings.configuration import Configuration, check_configuration

#: The defaults, in the root of the repository.
DEFAULTS_PATH = Path(__file__).resolve().parents[3] / "config.yaml"

#: Folder of the studies, a file each, which Snakemake lays over the defaults.
STUDIES_PATH = DEFAULTS_PATH.parent / "workflow/studies"


def read_configuration(path: Path | None = None) -> Configuration:
    """Read a configuration as a run with ``--configfile path`` has it: laid over config.yaml and studies, and checked.

    Parameters
    ----------
    path
        A preset or a configuration of one's own; None for config.yaml alone.

    Raises
    ------
    InputError
        If the file is missing or no YAML with keys, or the configuration is wrong.
    """
    config = read_defaults()
    if path is not None:
        config = laid_over(config, read_yaml(path))
    try:
        load_plugins(listed_plugins(config))
        return check_configuration(config)
    except InputError as error:
        raise InputError(f"{path or DEFAULTS_PATH}: {error}") from None


def read_defaults(path: Path = DEFAULTS_PATH) -> dict[str, Any]:
    """Read config.yaml, or another file in its place, with the studies laid over it; errors as of `read_yaml`."""
    config = read_yaml(path)
    for study in sorted(STUDIES_PATH.glob("*.yaml")):
        config = laid_over(config, read_yaml(study))
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values.

    Raises
    ------
    InputError
        If it cannot be read, is no YAML, or has no keys.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a configuration ({error})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else show(content)
        raise InputError(f"{path}: holds {found}; a configuration holds keys with values, as config.yaml does")
    return content


def laid_over(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with other values where some are given, as Snakemake does it."""
    both = {key: (config[key], given[key]) for key in config.keys() & given.keys()}
    merged = {
        key: laid_over(ours, theirs)
        for key, (ours, theirs) in both.items()
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping)
    }
    return {**config, **given, **merged}
