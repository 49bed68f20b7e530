"""Fetching frames from a local or remote archive: read only as far as needed, with retries where they can help."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from astromae.errors import InputError
from astromae.stamps.frame import FrameError, FrameId, FrameReader
from astromae.survey.address import is_remote, local_path
from astromae.survey.archive import FRAME_SUFFIXES, frame_address
from astromae.survey.connections import ConnectionLimit
from astromae.survey.http import (
    FetchError,
    HttpSettings,
    NotFound,
    Refused,
    Stream,
    Transient,
    open_stream,
    retrying,
)
from astromae.survey.ratelimit import RateLimit

Result = TypeVar("Result")

#: Frames in a row that a remote archive may fail to deliver, each after all its tries, before it is taken to be away.
PATIENCE = 10

# Seconds in which so many requests are counted as the settings allow a second.
_WINDOW_S = 1.0


@dataclass(frozen=True)
class Download(HttpSettings):
    """How frames are downloaded. A local archive needs none of it.

    Attributes
    ----------
    connections
        Open connections to the archive, over all running jobs.
    requests_per_second
        Requests to the archive, over all running jobs.
    """

    connections: int = 8
    requests_per_second: int = 10


class Archive:
    """The frames of one data release, at an https://, http:// or file:// address or in a folder.

    Threads may share it.

    Parameters
    ----------
    root
        Address or folder that holds ``dr{release}``.
    release
        Data release.
    download
        How a remote archive is read.
    shared
        Folder through which all running jobs keep the limits of a remote archive together.

    Raises
    ------
    InputError
        If the address is of an unknown kind, or a folder that does not exist.
    """

    def __init__(self, root: str, release: int, download: Download, shared: Path):
        self.root, self.release, self.download = str(root), release, download
        self._connections = self._requests = None
        if is_remote(self.root):
            self._connections = ConnectionLimit(shared / ".archive-connections", download.connections)
            self._requests = RateLimit(shared / ".archive-requests.json", download.requests_per_second, _WINDOW_S)
        elif not local_path(self.root).is_dir():
            raise InputError(f"{root}: no such folder; the archive's folder holds dr{release}")
        self._lock = threading.Lock()
        self._failures = 0
        self._suffix: str | None = None

    def read(self, frame: FrameId, use: Callable[[FrameReader], Result]) -> Result:
        """Open a frame, let `use` read what it needs of it, and return what that returns.

        Whatever may pass is tried again from the frame's first byte: a busy or silent server, a dropped
        connection, and damage to what a remote archive sent.

        Parameters
        ----------
        frame
            Which frame.
        use
            Reads the frame. It may be called several times.

        Raises
        ------
        NotFound
            If the archive has no such frame.
        FrameError
            If what came is damaged or another thing than the frame, each time that it was asked for.
        FetchError
            If it cannot be read; the message does not repeat the address.
        InputError
            If the archive as a whole does not deliver: the step should stop rather than count galaxies as missing.
        """
        whole = frame_address(self.root, self.release, frame.run, frame.camcol, frame.field, frame.band)
        # A remote archive compresses all its files alike: once one is found, the other suffixes are not tried.
        known = self._suffix if is_remote(self.root) else None
        *others, last = [known] if known else FRAME_SUFFIXES
        for suffix in others:
            with contextlib.suppress(NotFound):
                return self._read(whole.removesuffix(FRAME_SUFFIXES[0]) + suffix, frame, use)
        return self._read(whole.removesuffix(FRAME_SUFFIXES[0]) + last, frame, use)

    def _read(self, address: str, frame: FrameId, use: Callable[[FrameReader], Result]) -> Result:
        """Read the frame at an address, whose ending is one of `FRAME_SUFFIXES`."""

        def once() -> Result:
            with self.open(address) as stream:
                try:
                    reader = FrameReader(stream, frame)
                    result = use(reader)
                    reader.finish()
                    return result
                except FrameError as error:
                    # A damaged file on disk stays damaged; a damaged download may be sound the next time.
                    raise (_Damaged(f"{address}: {error}") if is_remote(address) else error) from error

        try:
            result = retrying(once, self.download)
        except FetchError as error:
            if isinstance(error, Refused) and is_remote(address) and error.status is None:
                # The server was not reached at all: its certificate is bad, or the address is no address.
                raise
            self._count(error)
            error.args = (str(error).removeprefix(f"{address}: "),)
            if isinstance(error, _Damaged):
                raise FrameError(str(error)) from error
            raise
        self._count(None)
        self._suffix = next(suffix for suffix in FRAME_SUFFIXES if address.endswith(suffix))
        return result

    @contextlib.contextmanager
    def open(self, address: str) -> Iterator[Stream]:
        """Open an address once, when the limits of a remote archive allow it."""
        with contextlib.ExitStack() as held:
            if self._connections is not None:
                held.enter_context(self._connections.place())
                self._requests.wait()
            yield held.enter_context(open_stream(address, self.download))

    def _count(self, fault: FetchError | None) -> None:
        """Count frames in a row that were not delivered, and stop when they are too many."""
        with self._lock:
            self._failures = self._failures + 1 if isinstance(fault, Transient) else 0
            if self._failures >= PATIENCE:
                raise InputError(
                    f"{self.root}: the last {PATIENCE} frames asked for could not be read, the last because of: "
                    f"{fault}. Run the same command again when the archive delivers."
                ) from fault


class _Damaged(Transient):
    """A remote archive sent something else than the frame."""


def reason_of(error: Exception, band: str) -> str:
    """Return why a frame could not be used, for the list of missing galaxies.

    Parameters
    ----------
    error
        What `Archive.read` raised.
    band
        Band of the frame.
    """
    if isinstance(error, NotFound):
        return f"no frame in band {band}"
    if isinstance(error, FrameError):
        return f"corrupt frame in band {band}: {error}"
    return f"unreadable frame in band {band}: {error}"
