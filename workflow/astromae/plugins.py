"""Plugins: Python files, named by a person, that add entries to the tables (`astromae.registry`)."""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from astromae.errors import InputError

#: Environment variable that hands the plugins of a run to its steps: paths, joined like those of ``PATH``.
VARIABLE = "ASTROMAE_PLUGINS"


def load_plugins(paths: Sequence[str | Path]) -> None:
    """Run plugins, each once; they register their entries.

    Parameters
    ----------
    paths
        Python files.

    Raises
    ------
    InputError
        If a file is missing or fails: names it, and what went wrong.
    """
    for path in paths:
        path = Path(path).resolve()
        if os.pathsep in str(path):
            raise InputError(f"{path}: a plugin's path may not contain {os.pathsep!r}; rename it")
        name = f"astromae_plugin_{path.stem}"
        loaded = sys.modules.get(name)
        if loaded is not None and loaded.__file__ == str(path):
            continue
        if loaded is not None:
            raise InputError(f"{path}: another plugin is called {path.name}; rename one of them")
        if not path.is_file() or path.suffix != ".py":
            raise InputError(f"{path}: no such plugin; `plugins` lists Python files (.py)")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except InputError:
            del sys.modules[name]
            raise
        except Exception as error:
            del sys.modules[name]
            raise InputError(f"{path}: the plugin fails with {type(error).__name__}: {error}") from error


def listed_plugins(config: Mapping[str, Any]) -> list[str]:
    """Return the plugins of a configuration that has not been checked yet; none where the key is wrong."""
    listed = config.get("plugins", [])
    return listed if isinstance(listed, list) and all(isinstance(path, str) for path in listed) else []


def load_plugins_of_run() -> None:
    """Run the plugins that the workflow names in the environment."""
    load_plugins([path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path])
