"""Archives of trained models: a model folder and a model card in one zip file, with checksums.

An archive may come from anyone: it is read, and nothing of it is run. Here its files are checked, and what they say in
`astromae.model_limits`; `astromae.asking.export` writes archives.
"""

import contextlib
import errno
import hashlib
import io
import json
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, ValidationError

from astromae import __version__
from astromae.errors import InputError
from astromae.familiarity.reference import REFERENCE
from astromae.training.folders import HISTORY, PROVENANCE, RECIPE, WEIGHTS
from astromae.typed import Typed

#: Version of the archive's layout and of the manifest's keys; one that is read must have the same.
FORMAT = 1

MANIFEST, CARD = "manifest.json", "model-card.md"

#: Members besides the manifest, in their order: those that every archive has, and those of some.
ALWAYS = (CARD, RECIPE, PROVENANCE, WEIGHTS)
SOMETIMES = (HISTORY, REFERENCE)
MEMBERS = (CARD, RECIPE, PROVENANCE, *SOMETIMES, WEIGHTS)

#: Most bytes of a member, by its suffix, and of all together.
MOST = {".json": 1_000_000, ".md": 1_000_000, ".csv": 64_000_000, ".safetensors": 4_000_000_000}
MOST_IN_ALL = 4_000_000_000

#: Most bytes of the archive's own directory. Ours have less than a thousand.
_MOST_DIRECTORY = 1_000_000

#: Most levels of nested JSON. Recipes have about six; what is much deeper could stop whoever reads it.
_MOST_LEVELS = 32

#: What zip allows and an archive does not use: encryption (bits 0, 6 and 13) and patches (bit 5).
_REFUSED_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000

#: What the library raises where bytes are not as a zip archive has them: names, numbers, streams.
_UNREADABLE = (zipfile.BadZipFile, EOFError, zlib.error, struct.error, ValueError, OverflowError, RuntimeError)

_CHUNK = 1 << 20

_AGAIN = "copy it again, or make it again"


class _Member(Typed):
    sha256: str
    size: NonNegativeInt


class _Manifest(Typed):
    """What the manifest of this format holds: version of the package that made it, and every other member."""

    format: int
    version: str
    files: dict[str, _Member]


def most_bytes(name: str) -> int:
    """Return how many bytes a member may have."""
    return MOST[Path(name).suffix]


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Path]:
    """Yield the folder of a model: the path itself, or, of an archive, a temporary one that is removed afterwards.

    Parameters
    ----------
    path
        A model folder, or an archive that `astromae.asking.export.export_model` wrote.

    Yields
    ------
    Path
        A folder. Of an archive, every file in it has been checked; errors about them name the archive.

    Raises
    ------
    InputError
        If there is no such folder or file, or the archive cannot be read, is damaged, or holds anything but what
        `export_model` writes.
    """
    path = Path(path)
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="astromae-") as temporary:
        _extract(path, Path(temporary))
        try:
            yield Path(temporary)
        except InputError as error:
            # A person knows the archive; the temporary folder is gone when they read this.
            raise InputError(str(error).replace(temporary, str(path))) from error


class _Reader(io.BufferedReader):
    """A file of which nobody reads more than a directory's worth at a time, whatever size it claims to have."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > max(_CHUNK, _MOST_DIRECTORY):
            raise zipfile.BadZipFile(f"its directory has {size:,} bytes")
        return super().read(size)


def _extract(path: Path, folder: Path) -> None:
    """Extract the members of an archive into a folder, each checked."""
    if not path.is_file():
        raise InputError(f"{path}: no such model folder or archive")
    try:
        with _Reader(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            members = _checked_members(path, archive)
            manifest = _read_manifest(path, archive, members)
            for name, recorded in manifest.files.items():
                _extract_member(path, archive, members[name], recorded, folder / name)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{path}: not a readable zip archive ({_show(str(error))}); {_AGAIN}") from error
    except OSError as error:
        # What a place before the file's beginning gives, in an archive that was cut off.
        if error.errno == errno.EINVAL:
            raise InputError(f"{path}: not a readable zip archive; {_AGAIN}") from error
        raise InputError(f"{path}: cannot be read or unpacked ({error})") from error
    for name in manifest.files:
        if name.endswith(".json"):
            _read_json(path, name, (folder / name).read_bytes())


def _checked_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return members by name, before any of them is read.

    Raises
    ------
    InputError
        If one is unknown, stands twice, is no plain file, or is too large; or if one that every archive has is missing.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        # Python cuts a name at a zero byte; the name as it stands in the archive is what is known or not.
        name = member.orig_filename
        if name not in (MANIFEST, *MEMBERS) or member.filename != name:
            raise InputError(
                f"{path}: holds {_show(name)}; an archive of a model holds {MANIFEST}, {', '.join(MEMBERS)}"
            )
        if name in members:
            raise InputError(f"{path}: holds {name} twice; an archive of a model holds each file once")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or member.is_dir() or member.external_attr & 0x10:
            raise InputError(f"{path}: {name} is a link, a folder or a device; an archive of a model holds plain files")
        if member.flag_bits & _REFUSED_FLAGS:
            raise InputError(f"{path}: {name} is encrypted or a patch; an archive of a model holds plain files")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{path}: {name} is compressed by method {member.compress_type}; an archive of a model holds files "
                "that are stored or deflated"
            )
        if member.file_size > most_bytes(name):
            raise InputError(f"{path}: {name} has {member.file_size:,} bytes; it may have {most_bytes(name):,}")
        members[name] = member
    missing = [name for name in (MANIFEST, *ALWAYS) if name not in members]
    if missing:
        raise InputError(f"{path}: holds no {', '.join(missing)}: not an archive of a model; {_AGAIN}")
    total = sum(member.file_size for member in members.values())
    if total > MOST_IN_ALL:
        raise InputError(f"{path}: its files have {total:,} bytes; together they may have {MOST_IN_ALL:,}")
    return members


def _show(name: str) -> str:
    """Return a stranger's name for a file, safe to print on one line."""
    return ascii(name if len(name) <= 80 else f"{name[:77]}...")


def _chunks(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of a member, never more than it claims to have."""
    left = member.file_size
    with archive.open(member) as source:
        # One byte more than is left tells a member that goes on beyond its size.
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise InputError(f"{path}: {member.filename} has another size than the archive says; {_AGAIN}")


def _read_manifest(path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> _Manifest:
    content = _read_json(path, MANIFEST, b"".join(_chunks(path, archive, members[MANIFEST])))
    if content.get("format", FORMAT) != FORMAT:
        raise InputError(
            f"{path}: archive format {_show(str(content['format']))}, made by astromae "
            f"{_show(str(content.get('version', 'of an unknown version')))}; this is astromae {__version__}, which "
            f"reads format {FORMAT}: load it with the version that made it"
        )
    try:
        manifest = _Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = _show(".".join(map(str, first["loc"])))
        raise InputError(
            f"{path}: its {MANIFEST} is not as it was written: {where}: {first['msg']}; {_AGAIN}"
        ) from None
    for name in sorted(set(manifest.files) ^ (set(members) - {MANIFEST})):
        where = "holds" if name in members else "does not hold"
        what = "does not list" if name in members else "lists"
        raise InputError(f"{path}: {where} {_show(name)}, which its {MANIFEST} {what}; {_AGAIN}")
    return manifest


def _extract_member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, recorded: _Member, output: Path
) -> None:
    if member.file_size != recorded.size:
        raise InputError(
            f"{path}: {member.filename} has {member.file_size:,} bytes, its {MANIFEST} says {recorded.size:,}; {_AGAIN}"
        )
    digest = hashlib.sha256()
    with open(output, "xb") as target:
        for chunk in _chunks(path, archive, member):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != recorded.sha256:
        raise InputError(
            f"{path}: {member.filename} is damaged: its SHA-256 is {digest.hexdigest()}, its {MANIFEST} says "
            f"{_show(recorded.sha256)}; {_AGAIN}"
        )


def _read_json(path: Path, name: str, text: bytes) -> dict[str, Any]:
    """Return an object of JSON.

    Raises
    ------
    InputError
        If it is none, or is nested too deeply.
    """
    try:
        content = json.loads(text.decode())
    except RecursionError:
        raise InputError(f"{path}: its {name} is nested too deeply; at most {_MOST_LEVELS} levels are read") from None
    except ValueError as error:
        raise InputError(f"{path}: its {name} is no JSON ({_show(str(error))}); {_AGAIN}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: its {name} is no JSON object; {_AGAIN}")
    level = [content]
    for _ in range(_MOST_LEVELS):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    if level:
        raise InputError(f"{path}: its {name} is nested too deeply; at most {_MOST_LEVELS} levels are read")
    return content
