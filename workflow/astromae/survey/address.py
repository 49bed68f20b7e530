"""Addresses: an https://, http:// or file:// address, or a path."""

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from astromae.errors import InputError


def is_remote(address: str | os.PathLike) -> bool:
    """Return whether an address is read over the network."""
    return urlsplit(str(address)).scheme.lower() in ("http", "https")


def local_path(address: str | os.PathLike) -> Path:
    """Return the path that a path or a ``file://`` address means.

    Raises
    ------
    InputError
        If the address is of another kind.
    """
    address = str(address)
    parts = urlsplit(address)
    if parts.scheme.lower() == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    if "://" in address:
        raise InputError(f"{address}: cannot be read; use an https://, http:// or file:// address, or a path")
    return Path(address)
