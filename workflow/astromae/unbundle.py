"""Reading bundles (`astromae.bundle`): what was made elsewhere is checked before any of it is used."""

import contextlib
import json
import lzma
import os
import posixpath
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from astromae import __version__
from astromae.bundle import FORMAT, MANIFEST, Manifest
from astromae.code_state import in_words
from astromae.errors import InputError
from astromae.files import sha256
from astromae.settings.base import show
from astromae.settings.configuration import check_configuration
from astromae.typed import Typed

_AGAIN = "copy it again, or make it again with `make bundle`"


class _Code(BaseModel):
    model_config = ConfigDict(extra="allow")

    version: str


class _PackedFile(Typed):
    sha256: str
    size: NonNegativeInt


class _Manifest(Typed):
    """What a manifest of this format holds; see `astromae.bundle.Manifest`."""

    format: int
    code: _Code
    configuration: dict[str, Any]
    files: dict[str, _PackedFile]


@contextlib.contextmanager
def _archive(bundle: Path) -> Iterator[tarfile.TarFile]:
    """Open a bundle; what is wrong with the archive becomes a message that names it."""
    try:
        # Compressed ones too: people pack what they send.
        with tarfile.open(bundle, "r:*") as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{bundle}: no such bundle; `make bundle` writes `results/bundle.tar`") from None
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        if zipfile.is_zipfile(bundle):
            raise InputError(f"{bundle}: a zip archive; a bundle is a tar archive: unzip it first") from error
        raise InputError(f"{bundle}: not a readable bundle ({' '.join(str(error).split())}); {_AGAIN}") from error
    except OSError as error:
        raise InputError(f"{bundle}: cannot be read or unpacked ({error})") from error


def read_manifest(bundle: Path) -> Manifest:
    """Read what a bundle holds, without unpacking it.

    Raises
    ------
    InputError
        If there is no such bundle, it cannot be read, or its format is of another version.
    """
    with _archive(bundle) as archive:
        # The first member, unless the files were packed anew.
        manifest = next((member for member in archive if _name(member) == MANIFEST and member.isreg()), None)
        if manifest is None:
            raise InputError(f"{bundle}: not a bundle: it holds no {MANIFEST}, as `make bundle` writes")
        text = archive.extractfile(manifest).read()
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{bundle}: its {MANIFEST} is no JSON ({error}); {_AGAIN}") from error
    found = content.get("format", FORMAT) if isinstance(content, dict) else FORMAT
    if found != FORMAT:
        code = content.get("code")
        maker = code.get("version", "an unknown version") if isinstance(code, dict) else "an unknown version"
        raise InputError(
            f"{bundle}: bundle format {found}, made by astromae {maker}; this is astromae {__version__}, which reads "
            f"format {FORMAT}: rebuild it with the version that made it"
        )
    try:
        _Manifest.model_validate(content)
    except ValidationError as error:
        raise InputError(
            f"{bundle}: its {MANIFEST} was changed after it was made: {_first(error)}; make the bundle again with "
            "`make bundle`"
        ) from None
    return Manifest(**content)


def _first(error: ValidationError) -> str:
    """Return the first thing that is wrong with a manifest, and where."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "it"
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "extra_forbidden":
        return f"{where} is an unknown key"
    return f"{where} is {show(first['input'])}, but {first['msg'][0].lower()}{first['msg'][1:]}"


def _name(member: tarfile.TarInfo) -> str:
    """Return a member's path as `make bundle` writes it; ``tar -c .`` puts ./ before it."""
    return posixpath.normpath(member.name)


def adopt_configuration(bundle: Path, manifest: Manifest, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that a bundle was made with, if nothing contradicts it.

    Parameters
    ----------
    bundle, manifest
        The bundle, and what it says.
    given
        Settings from a person's configuration files and command line, nested as in config.yaml.

    Raises
    ------
    InputError
        If a given setting has another value, or this version does not know the bundle's configuration.
    """
    for path, value in _leaves({key: value for key, value in given.items() if key not in ("bundle", "plugins")}):
        made_with: Any = manifest.configuration
        for key in path:
            made_with = made_with.get(key) if isinstance(made_with, Mapping) else None
        if value != made_with:
            raise InputError(
                f"configuration: {'.'.join(path)} is {json.dumps(value)}, but {bundle} was made with "
                f"{json.dumps(made_with)}; a bundle brings its own configuration: leave this key out"
            )
    # A bundle may come from anyone, and a plugin is code that would be run.
    wanted, plugins = manifest.configuration.get("plugins"), given.get("plugins", [])
    if wanted and not plugins:
        raise InputError(
            f"{bundle}: was made with the plugins {json.dumps(wanted)}, which it does not hold; give them yourself, "
            f"with --configfile, if you trust them"
        )
    configuration = {**manifest.configuration, "bundle": str(bundle), "plugins": plugins}
    try:
        check_configuration(configuration)
    except InputError as error:
        raise InputError(f"{bundle}: made by {in_words(manifest.code)}; in this version, its {error}") from None
    return configuration


def _leaves(settings: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of every setting that is not itself a section."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def unpack_bundle(bundle: Path, manifest: Manifest, wanted: Iterable[str], folder: Path) -> None:
    """Unpack files of a bundle into a folder, each checked; those that are there already are left alone.

    Parameters
    ----------
    bundle, manifest
        The bundle, and what it says.
    wanted
        Paths in the archive; other members are not unpacked.
    folder
        Where they go, below the same paths. Made if it is missing.

    Raises
    ------
    InputError
        If the bundle lacks a file, or a file differs from what the manifest says.
    """
    wanted = list(wanted)
    unlisted = [name for name in wanted if name not in manifest.files]
    if unlisted:
        raise InputError(
            f"{bundle}: holds no {', '.join(unlisted[:3])}{', ...' * (len(unlisted) > 3)}, which astromae "
            f"{__version__} needs; the bundle was made by {in_words(manifest.code)}: use that version, or make it again"
        )
    pending = {name: manifest.files[name] for name in wanted if not _is_there(folder / name, manifest.files[name])}
    if not pending:
        return
    folder.mkdir(parents=True, exist_ok=True)
    # Beside its final place, so that a checked file is moved there as a whole.
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as temporary, _archive(bundle) as archive:
        # Paths come from this version's own list, so that no member can lead out of the folder.
        for member in archive:
            name = _name(member)
            if member.isreg() and name in pending and member.size == pending[name]["size"]:
                unpacked = Path(temporary, name)
                unpacked.parent.mkdir(parents=True, exist_ok=True)
                with open(unpacked, "wb") as file:
                    shutil.copyfileobj(archive.extractfile(member), file)
        for name, recorded in pending.items():
            unpacked = Path(temporary, name)
            if not unpacked.is_file():
                raise InputError(
                    f"{bundle}: holds no file {name} of {recorded['size']} bytes, though {MANIFEST} lists it; {_AGAIN}"
                )
            if (found := sha256(unpacked)) != recorded["sha256"]:
                raise InputError(
                    f"{bundle}: {name} is damaged: its SHA-256 is {found}, {MANIFEST} says {recorded['sha256']}; "
                    f"{_AGAIN}"
                )
        for name in pending:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(temporary, name), folder / name)


def _is_there(path: Path, recorded: Mapping[str, Any]) -> bool:
    """Return whether a file has the content that a manifest records."""
    return path.is_file() and path.stat().st_size == recorded["size"] and sha256(path) == recorded["sha256"]
