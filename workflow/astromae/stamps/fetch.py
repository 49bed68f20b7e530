"""Fetching: the bytes of an address of the archive, in pieces, so that a reader can stop early."""

import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from astromae.errors import InputError

#: Bytes fetched at once: an eighth of a bzip2 block of a frame, so that little is read in vain.
PIECE_BYTES = 32 * 1024


def local_path(address: str) -> Path:
    """Return the path behind an address of a local file or folder.

    Parameters
    ----------
    address
        A path or a ``file://`` address.

    Raises
    ------
    InputError
        If the address is of another kind.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(urllib.request.url2pathname(parts.path))
    if "://" in address:
        raise InputError(f"{address}: no address that can be read; give a folder or file:///folder")
    return Path(address)


def fetch(address: str) -> Iterator[bytes]:
    """Yield an address's bytes in pieces; nothing past the last piece taken is read.

    Parameters
    ----------
    address
        A path or a ``file://`` address.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the address.
    OSError
        If it cannot be read.
    InputError
        If the address is of an unknown kind.
    """
    with open(local_path(address), "rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
