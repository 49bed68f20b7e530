"""Bundles: all that tables, figures and the paper are made from, as one archive with checksums.

A bundle is a tar archive whose first member, `MANIFEST`, says what made it and lists the other members with
their SHA-256 and size. The same results give the same bytes.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astromae.code_state import code_state
from astromae.errors import InputError
from astromae.files import atomic_path, sha256

#: Version of the archive's layout and of the manifest's keys; one that is read must have the same.
FORMAT = 1

#: Name of the manifest in the archive.
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds, and what made it.

    Attributes
    ----------
    format
        Version of the bundle's layout, `FORMAT`.
    code
        Code that made it: ``version`` of the project, ``commit`` and ``uncommitted`` of its clone
        (`astromae.code_state`).
    configuration
        The whole configuration that its results were made with.
    files
        ``sha256`` and ``size`` in bytes of every file, by its path in the archive.
    """

    format: int
    code: dict[str, Any]
    configuration: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def digest(self) -> str:
        """Return a name for the bundle's content: other files or another configuration have another.

        So has another order of the configuration's keys, which is that of rows and panels.
        """
        return hashlib.sha256(json.dumps([self.configuration, self.files]).encode()).hexdigest()[:12]


def write_bundle(files: Sequence[Path], configuration: dict[str, Any], output: Path) -> None:
    """Pack files into a bundle.

    Parameters
    ----------
    files
        Files to pack, by their paths relative to the working directory.
    configuration
        The whole configuration that they were made with.
    output
        Bundle to write.

    Raises
    ------
    InputError
        If a file is missing or does not lie below the working directory.
    """
    listed = {}
    for path in sorted(files):
        if path.is_absolute() or ".." in path.parts or not path.is_file():
            raise InputError(f"{path}: no file below the working directory; a bundle holds only those")
        listed[path.as_posix()] = {"sha256": sha256(path), "size": path.stat().st_size}
    manifest = {
        "format": FORMAT,
        "code": code_state(),
        "configuration": configuration,
        "files": listed,
    }
    # Keys stay in the configuration's order, which is that of rows and panels.
    text = json.dumps(manifest, indent=2, allow_nan=False).encode() + b"\n"
    with atomic_path(output) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        # A fresh TarInfo has neither date nor owner.
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
        for name, entry in listed.items():
            member = tarfile.TarInfo(name)
            member.size = entry["size"]
            with open(name, "rb") as file:
                archive.addfile(member, file)
