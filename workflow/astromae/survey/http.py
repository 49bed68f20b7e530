"""Reading an https://, http:// or file:// address or a path, with retries where they can help.

Three kinds of failure are told apart, whatever the scheme: what is asked for does not exist
(`NotFound`), it may come if asked again (`Transient`), it will not come (`Refused`).
"""

import contextlib
import errno
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import requests
import tenacity
import urllib3

import astromae
from astromae.errors import InputError
from astromae.progress import log
from astromae.survey.address import is_remote, local_path

Result = TypeVar("Result")

#: Bytes of a chunk. A few packets: a reader that stops early has not fetched much in vain.
CHUNK_BYTES = 1 << 16

#: Bytes that the system receives ahead of the reader. Its own choice grows to several frames, which would then
#: be sent in full however early a reader stops; this much keeps 5 MB/s flowing over 50 ms.
RECEIVE_BYTES = 1 << 18

#: How the project introduces itself to servers.
USER_AGENT = f"astromae/{astromae.__version__} (python-requests/{requests.__version__})"

#: Longest pause between two tries, seconds, unless the server asks for a longer one.
LONGEST_PAUSE_S = 120.0

#: Longest pause that a server's Retry-After is followed for, seconds.
LONGEST_RETRY_AFTER_S = 900.0

#: Answers that may be different a moment later.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

# What a network file system says while its server is away or restarting.
_TRANSIENT_ERRNOS = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR})

# Enough of an error page for its message, however long the page is.
_ERROR_BODY_BYTES = 1 << 16


class FetchError(InputError):
    """Something could not be fetched; the message names the address and the cause.

    Attributes
    ----------
    status
        HTTP status, or None if there was no HTTP answer.
    content_type
        Content type of the error's body, empty if there was none.
    body
        Beginning of the error's body.
    retry_after_s
        Pause that the server asked for, seconds, or None.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        content_type: str = "",
        body: bytes = b"",
        retry_after_s: float | None = None,
    ):
        super().__init__(message)
        self.status, self.content_type, self.body, self.retry_after_s = (
            status,
            content_type,
            body,
            retry_after_s,
        )


class NotFound(FetchError):
    """There is nothing at the address."""


class Transient(FetchError):
    """A fault that may pass, so that another try is worthwhile."""


class Refused(FetchError):
    """A fault that another try will not cure."""


@dataclass(frozen=True)
class HttpSettings:
    """How patiently an address is read.

    Attributes
    ----------
    timeout_s
        Silence, in seconds, after which a connection is given up; not the length of a download.
    tries
        Times that an address with a passing fault is tried.
    backoff_s
        Pause before the second try, seconds; it doubles from try to try up to `LONGEST_PAUSE_S`, and each
        is shortened by a random part of up to one half, so that many jobs do not return at once.
    """

    timeout_s: float = 60.0
    tries: int = 6
    backoff_s: float = 1.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "HttpSettings":
        """Take the values from a section of the configuration, whatever else it holds."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})


class Stream:
    """An open address: iterating yields its bytes in chunks, and fails if the last ones are missing.

    Attributes
    ----------
    address
        What was opened.
    content_type
        Content type that a server stated, lower case and without parameters, else empty.
    length
        Bytes that are to come, or None if the server did not say.
    bounded
        Whether the transfer itself tells its end, so that a lost end cannot go unnoticed.
    received
        Bytes that have come over the wire so far.
    """

    def __init__(
        self, address: str, content_type: str, length: int | None, bounded: bool, chunks: Iterator[tuple[int, bytes]]
    ):
        self.address, self.content_type, self.length, self.bounded = address, content_type, length, bounded
        self.received = 0
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks; raise `Transient` if the connection drops or ends short."""
        for received, chunk in self._chunks:
            self.received = received
            if chunk:
                yield chunk
        if self.length is not None and self.received != self.length:
            raise Transient(f"{self.address}: ended after {self.received} of {self.length} bytes")


@contextlib.contextmanager
def open_stream(address: str | os.PathLike, settings: HttpSettings) -> Iterator[Stream]:
    """Open an address once, without trying again.

    Leaving the block early is allowed and stops the download.

    Parameters
    ----------
    address
        An ``https://``, ``http://`` or ``file://`` address, or a path.
    settings
        Its time-out is used; tries and pauses are those of `retrying`.

    Yields
    ------
    Stream
        The open address, iterable over chunks of bytes.

    Raises
    ------
    NotFound
        If the file does not exist or the server answers 404 or 410.
    Transient
        If the server is busy, silent or cut off, also while chunks are read.
    Refused
        If the server or the file system refuses, or the server's certificate is not valid.
    InputError
        If the address is of another kind.
    """
    address = str(address)
    opened = _open_http(address, settings) if is_remote(address) else _open_file(address, local_path(address))
    with opened as stream:
        yield stream


def retrying(action: Callable[[], Result], settings: HttpSettings) -> Result:
    """Call `action` until it raises no `Transient`, with growing pauses, and return what it returns.

    Pauses grow exponentially with jitter; a longer one that the server asks for (Retry-After) is kept.

    Parameters
    ----------
    action
        What to do: the whole of opening and reading, since a connection can drop at any byte.
    settings
        Number of tries and first pause.

    Raises
    ------
    Transient
        The last fault, after the last try; its message says how many there were.
    """
    growing = tenacity.wait_exponential(settings.backoff_s, LONGEST_PAUSE_S)

    def pause_s(state: tenacity.RetryCallState) -> float:
        asked = state.outcome.exception().retry_after_s or 0.0
        return max(growing(state) * random.uniform(0.5, 1.0), min(asked, LONGEST_RETRY_AFTER_S))

    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Transient),
        stop=tenacity.stop_after_attempt(settings.tries),
        wait=pause_s,
        before_sleep=lambda state: log(
            f"{state.outcome.exception()}; try {state.attempt_number + 1} of {settings.tries} "
            f"in {state.upcoming_sleep:.1f} s"
        ),
        sleep=time.sleep,
        reraise=True,
    )
    try:
        return tries(action)
    except Transient as fault:
        fault.args = (f"{fault} (tried {'once' if settings.tries == 1 else f'{settings.tries} times'})",)
        raise


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that do not receive far ahead of their reader."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        ahead = (socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        default = urllib3.connection.HTTPConnection.default_socket_options
        super().init_poolmanager(*arguments, socket_options=[*default, ahead], **options)


_local = threading.local()


def _session() -> requests.Session:
    """Return this thread's session, which keeps its connections open between requests."""
    # A forked process must not talk through the connections of its parent.
    if getattr(_local, "process", None) != os.getpid():
        _local.process, _local.session = os.getpid(), requests.Session()
        # Compressed transfer would hide how many bytes are to come; frames are compressed already.
        _local.session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        for scheme in ("https://", "http://"):
            _local.session.mount(scheme, _Adapter())
    return _local.session


@contextlib.contextmanager
def _open_http(address: str, settings: HttpSettings) -> Iterator[Stream]:
    try:
        # Retries are not left to the adapter of requests: it would retry behind a rate limit's back, and
        # not at all once the body has begun.
        response = _session().get(address, stream=True, timeout=settings.timeout_s)
    except requests.RequestException as error:
        raise _http_fault(address, error) from error
    with contextlib.closing(response):
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status_code != 200:
            raise _status_fault(address, response, content_type)
        stated = response.headers.get("Content-Length", "")
        length = int(stated) if stated.isdigit() else None
        bounded = length is not None or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        yield Stream(address, content_type, length, bounded, _http_chunks(address, response))


def _http_chunks(address: str, response: requests.Response) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes received so far over the wire, and a chunk."""
    try:
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
            yield response.raw.tell(), chunk
        yield response.raw.tell(), b""
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Transient(f"{address}: cut off after {response.raw.tell()} bytes: {error}") from error


def _http_fault(address: str, error: requests.RequestException) -> FetchError:
    """Turn a request that got no answer into one of the three kinds of failure."""
    cause = _first_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Refused(f"{address}: the server's certificate is not valid: {cause.verify_message}")
    if isinstance(error, requests.Timeout):
        return Transient(f"{address}: no answer in time ({cause})")
    if isinstance(error, requests.ConnectionError):
        return Transient(f"{address}: no connection ({cause})")
    return Refused(f"{address}: {error}")


def _first_cause(error: BaseException) -> BaseException:
    """Return what lies at the bottom of an error that requests and urllib3 wrapped."""
    while True:
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        inner = [cause for cause in inner if isinstance(cause, Exception)]
        if not inner:
            return error
        error = inner[0]


def _status_fault(address: str, response: requests.Response, content_type: str) -> FetchError:
    status = response.status_code
    try:
        body = next(response.raw.stream(_ERROR_BODY_BYTES, decode_content=True), b"")
    except (urllib3.exceptions.HTTPError, OSError):
        body = b""
    message = f"{address}: the server answered {status} {response.reason or ''}".rstrip()
    if status in (404, 410):
        return NotFound(message, status, content_type, body)
    if status in TRANSIENT_STATUSES:
        return Transient(message, status, content_type, body, _retry_after_s(response))
    return Refused(message, status, content_type, body)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the pause that the header Retry-After asks for, given in seconds or as a date."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(value)
    except urllib3.exceptions.InvalidHeader:
        return None


@contextlib.contextmanager
def _open_file(address: str, path: Path) -> Iterator[Stream]:
    try:
        file = open(path, "rb")
    except OSError as error:
        raise _file_fault(address, error) from error
    with file:
        yield Stream(address, "", os.fstat(file.fileno()).st_size, True, _file_chunks(address, file))


def _file_chunks(address: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes read so far, and a chunk."""
    received = 0
    while True:
        try:
            chunk = file.read(CHUNK_BYTES)
        except OSError as error:
            raise _file_fault(address, error) from error
        if not chunk:
            return
        received += len(chunk)
        yield received, chunk


def _file_fault(address: str, error: OSError) -> FetchError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"{address}: no such file")
    kind = Transient if error.errno in _TRANSIENT_ERRNOS else Refused
    return kind(f"{address}: cannot be read: {error.strerror}")
