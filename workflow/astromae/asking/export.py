"""Trained models written as archives, to be shared (`astromae.model_archive`). The same folder gives the same bytes."""

import hashlib
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import IO, Any

from astromae import __version__
from astromae.asking.model_card import model_card
from astromae.errors import InputError
from astromae.files import atomic_path
from astromae.model_archive import ALWAYS, CARD, FORMAT, MANIFEST, MEMBERS, MOST_IN_ALL, most_bytes
from astromae.predict import load_model

#: Bytes that are copied at a time.
_CHUNK = 1 << 20


def export_model(folder: Path, output: Path) -> None:
    """Write a model folder as an archive: what a prediction needs, where it comes from, and a model card.

    Parameters
    ----------
    folder
        Folder of a model, an encoder or a classical method (`astromae.predict.load_model`). Of its predictions, the
        card tells the metrics; the archive holds none of their galaxies.
    output
        Archive (.zip) to write, in a folder that is there.

    Raises
    ------
    InputError
        If the archive's name or place is wrong; or if the folder cannot be loaded, lacks a file, or has one that nobody
        would read back (`astromae.model_archive`, `astromae.model_limits`).
    """
    _require_place(output)
    load_model(folder, foreign=True)
    card = model_card(folder).encode()
    files = {}
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in MEMBERS:
            if name == CARD:
                files[name] = _write(archive, name, io.BytesIO(card), len(card))
            elif (folder / name).is_file():
                with open(folder / name, "rb") as source:
                    files[name] = _write(archive, name, source, (folder / name).stat().st_size)
            elif name in ALWAYS:
                raise InputError(f"{folder / name}: no such file; an archive holds the {name} of its model")
        total = sum(member["size"] for member in files.values())
        if total > MOST_IN_ALL:
            raise InputError(f"{folder}: {total:,} bytes; an archive of a model holds at most {MOST_IN_ALL:,}")
        manifest = {"format": FORMAT, "version": __version__, "files": files}
        text = json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n"
        _write(archive, MANIFEST, io.BytesIO(text), len(text))


def _require_place(output: Path) -> None:
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name the archive, for example {output / 'model.zip'}")
    if output.suffix != ".zip":
        raise InputError(f"{output}: the name of an archive ends in .zip, for example {output.with_suffix('.zip')}")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}; make it first")


def _write(archive: zipfile.ZipFile, name: str, source: IO[bytes], size: int) -> dict[str, Any]:
    """Write a member and return what the manifest says of it."""
    if size > most_bytes(name):
        raise InputError(f"{name}: {size:,} bytes; an archive of a model holds at most {most_bytes(name):,}")
    # Date, owner and compression are left alone: other dates or another zlib would give other bytes.
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    member.file_size = size
    digest, written = hashlib.sha256(), 0
    with archive.open(member, "w") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
            digest.update(chunk)
            written += len(chunk)
    return {"sha256": digest.hexdigest(), "size": written}
