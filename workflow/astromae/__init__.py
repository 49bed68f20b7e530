"""AstroMAE: photometric redshifts from a masked autoencoder, from the archive to the printed table."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "load_model"]


def __getattr__(name: str) -> Any:
    """Return `astromae.predict.load_model`, imported when it is asked for: most commands need no torch."""
    if name == "load_model":
        # By name: an import statement would make the module a source of every step (`astromae.sources`).
        return import_module("astromae.predict").load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
