"""A local server that speaks SkyServer's and the Science Archive Server's protocol, and misbehaves on request.

It listens on 127.0.0.1 and answers through real sockets. SkyServer's part runs the SQL it is sent, in SQLite, behind
the same filter, row cap and rate limit that SkyServer puts before its database, and writes CSV as SkyServer does.
The archive's part serves the files of a folder.

    with Server(tables=tables, archive=folder) as server:
        server.inject("SqlSearch", drop(), times=1)        # the first query breaks off in mid-body
        server.inject(r"frame-r-.*0100", status(503))      # every read of that field's r frames answers 503
        run(server.skyserver, server.sas)
"""

import gzip
import json
import re
import socket
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus, urlsplit

#: Path below which nothing is answered but a redirect's goal; see `redirect`.
MOVED = "/moved"

#: Bytes that are handed to the network at once.
PIECE_BYTES = 1 << 15


@dataclass(frozen=True)
class Answer:
    """What goes back: after `pause_s`, the status line and `body`, of which only `sent` bytes if that is not None."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    sent: int | None = None
    chunked: bool = False
    path: str = ""


Fault = Callable[[Answer], Answer]


def status(code: int, body: str | None = None, headers: Mapping[str, str] | None = None) -> Fault:
    """An error page of a proxy, such as the two-line 503 that stands before SkyServer."""
    page = body or f"<html><body><h1>{code} Service Unavailable</h1>\nNo server is available.\n</body></html>\n"
    return lambda answer: replace(
        answer, status=code, content_type="text/html", body=page.encode(), headers=headers or {}
    )


def html_200(text: str = "The web site is being maintained.") -> Fault:
    """A page for people with status 200."""
    page = (
        f"<html><head><title>Skyserver Error</title></head><body><h2>An error occured</h2><p>{text}</p></body></html>"
    )
    return lambda answer: replace(answer, status=200, content_type="text/html", body=page.encode())


def json_error(message: str, code: int = 500, kind: str = "InternalServerError") -> Fault:
    """SkyServer's error as JSON."""
    error = {"ErrorCode": code, "ErrorType": kind, "ErrorMessage": message, "LogMessageID": "57c1", "LogTime": "now"}
    return lambda answer: replace(answer, status=code, content_type="application/json", body=json.dumps(error).encode())


def error_table(message: str) -> Fault:
    """SkyServer's error as an ordinary table with one column."""
    return lambda answer: replace(answer, status=200, content_type="text/plain", body=error_csv(message))


def rate_limit() -> Fault:
    """The answer to a client that asks too often."""
    return error_table("ERROR: Maximum 60 queries allowed per minute. Rejected query: select top 500000 p.objID, s.z ")


def silent_truncation(rows: int) -> Fault:
    """A table that ends after `rows` rows, as if that were all."""

    def cut(answer: Answer) -> Answer:
        lines = answer.body.splitlines(keepends=True)
        return replace(answer, body=b"".join(lines[: 2 + rows]))

    return cut


def slow(pause_s: float) -> Fault:
    """An answer that is late."""
    return lambda answer: replace(answer, pause_s=pause_s)


def drop(fraction: float = 0.5) -> Fault:
    """A connection that breaks after a fraction of the body."""
    return lambda answer: replace(answer, sent=int(len(answer.body) * fraction))


def drop_chunked(fraction: float = 0.5) -> Fault:
    """A connection that breaks while the body comes in chunks of unstated total length."""
    return lambda answer: replace(answer, sent=int(len(answer.body) * fraction), chunked=True)


def redirect() -> Fault:
    """A redirect to where the same thing is now."""
    return lambda answer: replace(
        answer, status=302, content_type="text/html", body=b"", headers={"Location": MOVED + answer.path}
    )


def body(change: Callable[[bytes], bytes]) -> Fault:
    """A body that is delivered whole but changed."""
    return lambda answer: replace(answer, body=change(answer.body))


def compressed() -> Fault:
    """No fault: a body that a server compresses although it was not asked to."""
    return lambda answer: replace(answer, body=gzip.compress(answer.body), headers={"Content-Encoding": "gzip"})


@dataclass
class _Injection:
    pattern: re.Pattern
    fault: Fault
    remaining: float
    skip: int


@dataclass(frozen=True)
class Request:
    """A request that came in: when (seconds, monotonic), its path and query with escapes undone, and its headers."""

    moment: float
    path: str
    headers: Mapping[str, str]

    @property
    def sql(self) -> str:
        """The SQL of a request to SkyServer."""
        return self.path.partition("cmd=")[2].partition("&")[0]


class Server:
    """The server, running inside a ``with`` block.

    Parameters
    ----------
    tables
        SkyServer's database: for each table its columns, each a list of values. A name may carry a view's definition
        in SQL instead.
    archive
        Folder that is served below ``/sas``.
    row_limit
        Rows after which SkyServer ends a table silently.
    queries_per_minute, minute_s
        SkyServer's rate limit, and the length of its minute in seconds; None for no limit.

    Attributes
    ----------
    skyserver, sas
        Addresses of the two services.
    requests
        Every `Request` so far.
    sent
        Bytes of bodies that went out so far, but for some 100 kB under way.
    """

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, list] | str] | None = None,
        archive: Path | None = None,
        row_limit: int = 500_000,
        queries_per_minute: int | None = None,
        minute_s: float = 60.0,
    ):
        self.archive, self.row_limit = archive, row_limit
        self.queries_per_minute, self.minute_s = queries_per_minute, minute_s
        self.requests: list[Request] = []
        self.sent = 0
        self._recent: deque[float] = deque()
        self._injections: list[_Injection] = []
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        for name, columns in (tables or {}).items():
            self._create(name, columns)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    def __enter__(self) -> "Server":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._database.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def skyserver(self) -> str:
        return self.address

    @property
    def sas(self) -> str:
        return f"{self.address}/sas"

    @property
    def queries(self) -> list[str]:
        """The SQL of every query so far."""
        return [request.sql for request in self.requests if "SqlSearch" in request.path]

    def inject(self, pattern: str, fault: Fault, times: float = float("inf"), skip: int = 0) -> None:
        """Apply `fault` to the next `times` answers whose path and query match `pattern`, after `skip` sound ones."""
        self._injections.append(_Injection(re.compile(pattern), fault, times, skip))

    def heal(self) -> None:
        """Forget all faults."""
        self._injections.clear()

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Answer one request, and spoil the answer if that was asked for."""
        path = unquote_plus(target)
        with self._lock:
            self.requests.append(Request(time.monotonic(), path, headers))
            sound = replace(self._sound(target.removeprefix(MOVED)), path=target)
            if target.startswith(MOVED):
                return sound
            for injection in self._injections:
                if injection.remaining > 0 and injection.pattern.search(path):
                    if injection.skip > 0:
                        injection.skip -= 1
                        continue
                    injection.remaining -= 1
                    return injection.fault(sound)
            return sound

    def count(self, sent: int) -> None:
        """Count bytes that went out."""
        with self._lock:
            self.sent += sent

    def _sound(self, target: str) -> Answer:
        parts = urlsplit(target)
        if re.fullmatch(r"/dr\d+/SkyServerWS/SearchTools/SqlSearch", parts.path):
            return self._query(parse_qs(parts.query))
        if parts.path.startswith("/sas/") and self.archive is not None:
            file = self.archive / unquote_plus(parts.path.removeprefix("/sas/"))
            if file.is_file():
                return Answer(200, "application/x-bzip2", file.read_bytes())
        return status(404)(Answer(404, "", b""))

    def _query(self, query: Mapping[str, list[str]]) -> Answer:
        nothing = Answer(200, "text/plain", b"")
        if "cmd" not in query or query.get("format") != ["csv"]:
            return json_error("There are not enough parameters to process your request.", 400, "BadRequest")(nothing)
        sql = query["cmd"][0]
        if self.queries_per_minute is not None:
            now = time.monotonic()
            while self._recent and self._recent[0] < now - self.minute_s:
                self._recent.popleft()
            if len(self._recent) >= self.queries_per_minute:
                return replace(
                    nothing, body=error_csv("ERROR: Maximum 60 queries allowed per minute. Rejected query: " + sql)
                )
            self._recent.append(now)
        # The filter of SkyServer's stored procedure spExecuteSQL.
        sql = re.sub(r"--[^\r\n]*", "", sql).replace(";", "#")
        if not sql.lower().startswith("select "):
            return replace(nothing, body=error_csv("error: must be a select statement: " + sql))
        sql = re.sub(r"(?i)(?<!^)(?<!\()\bselect ", "#select ", sql)
        try:
            cursor = self._database.execute(sql)
            rows = cursor.fetchmany(self.row_limit)
        except sqlite3.Error as error:
            return json_error(f"Incorrect syntax near the query: {error}")(nothing)
        return replace(nothing, body=table_csv([column[0] for column in cursor.description], rows))

    def _create(self, name: str, columns: Mapping[str, list] | str) -> None:
        if isinstance(columns, str):
            self._database.execute(f"CREATE VIEW {name} AS {columns}")
            return
        rows = list(zip(*columns.values(), strict=True))
        self._database.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        self._database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)


def table_csv(columns: list[str], rows: list[tuple]) -> bytes:
    """Write a table as SkyServer does: its name first, NULL as nothing, commas quoted, inner quotes left alone."""
    lines = ["#Table1", ",".join(columns), *(",".join(_cell(value) for value in row) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def error_csv(message: str) -> bytes:
    """Write SkyServer's table of one error."""
    return table_csv(["error_message"], [(message,)])


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and "," in text and not text.startswith('"') else text


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else every answer waits 40 ms for the acknowledgement of its header.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            # Else the system takes a whole frame at once, whether or not the client ever reads it.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE_BYTES)
            super().setup()

        def do_GET(self) -> None:
            answer = server.answer(self.path, dict(self.headers))
            if answer.pause_s:
                time.sleep(answer.pause_s)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            sent = answer.body[: answer.sent]
            try:
                if answer.chunked:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent))
                else:
                    for start in range(0, len(sent), PIECE_BYTES):
                        self.wfile.write(sent[start : start + PIECE_BYTES])
                        server.count(len(sent[start : start + PIECE_BYTES]))
            except OSError:
                # The client has seen enough.
                self.close_connection = True
            if answer.sent is not None:
                self.close_connection = True
            elif answer.chunked:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *arguments: object) -> None:
            """Say nothing: `Server.requests` holds what was asked."""

    return Handler
