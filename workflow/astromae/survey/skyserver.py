"""SQL over HTTP: sending SkyServer one query and checking the answer.

SkyServer reports errors in four shapes: a status with JSON, a page for people with status 200, an ordinary
table whose only column is ``error_message``, and the page of the proxy before it. None of them may pass for
data, and a query that it rejects must not be asked again.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from astromae.errors import InputError
from astromae.survey.http import FetchError, HttpSettings, Refused, Transient, open_stream, retrying
from astromae.survey.ratelimit import RateLimit
from astromae.survey.selections import COUNT, RELEASES
from astromae.survey.sentinels import SDSS_NULL

#: Rows after which SkyServer ends a table without a word.
ROW_LIMIT = 500_000

#: Longest address that every server of its kind takes: the default of its query strings is 2,048 characters.
LONGEST_ADDRESS = 2_000

# Statuses that mean that the server is busy, whatever the body says.
_BUSY_STATUSES = frozenset({408, 429, 502, 503, 504})

# Messages of SkyServer and its database when the query is not at fault.
_PASSING = re.compile(
    r"queries allowed per minute|too many (requests|queries)|time-?out|timed out|deadlock|network-related|"
    r"transport-level|connection (was|is|has been|could not|forcibly)|failed to connect|login failed|"
    r"cannot open database|try again|temporarily|unavailable|out of memory|insufficient (system )?(memory|resource)|"
    r"shutdown is in progress|in recovery|severe error occurred",
    re.IGNORECASE,
)

# Their messages when it is.
_REJECTION = re.compile(
    r"incorrect syntax|syntax error|invalid (object|column) name|could not be bound|ambiguous column|cannot find|"
    r"must be a select|error: limit is|unclosed quotation|conversion failed|error converting|non-boolean|overflow|"
    r"divide by zero|permission was denied|is not a recognized|operand type|invalid in the select list|"
    r"no such (table|column|function)|not allowed|input parameters|not enough parameters",
    re.IGNORECASE,
)

Table = dict[str, NDArray]


class QueryRejected(Refused):
    """SkyServer will not run the query; asking again cannot help."""


class SkyServer:
    """One release's SkyServer.

    Parameters
    ----------
    server
        Its address without the release, for example ``https://skyserver.sdss.org``.
    release
        Number of the data release.
    settings
        Time-out, tries and pauses of a query.
    limit
        The rate limit that all clients share; every try counts.

    Raises
    ------
    InputError
        If the release has no SkyServer with this project's tables.
    """

    def __init__(self, server: str, release: int, settings: HttpSettings, limit: RateLimit):
        if release not in RELEASES:
            raise InputError(f"sdss.release: {release} is not supported; use {RELEASES[0]} to {RELEASES[-1]}")
        self.name = f"{server.rstrip('/')}/dr{release}"
        self.settings, self.limit = settings, limit

    def address(self, sql: str) -> str:
        """Return the address at which a query's answer is."""
        return f"{self.name}/SkyServerWS/SearchTools/SqlSearch?{urlencode({'cmd': sql, 'format': 'csv'})}"

    def ask(self, sql: str, columns: Mapping[str, type]) -> Table:
        """Return the answer to a query.

        Parameters
        ----------
        sql
            One ``SELECT`` on one line.
        columns
            The selected columns in order, each with the type that its values are turned into: a NumPy integer
            (exact to the last digit; a missing value is an error) or float (a missing value becomes NaN).

        Returns
        -------
        dict
            For each column, by its name without alias and in lower case, its values.

        Raises
        ------
        QueryRejected
            If SkyServer rejects the query; it is asked once only.
        Transient
            If a passing fault did not pass within the settings' tries.
        FetchError
            If the server refuses, or has no such release.
        """
        return retrying(lambda: self._ask_once(sql, columns), self.settings)

    def count(self, sql: str) -> int:
        """Return the number that a counting query answers with; raise as `ask` does."""
        return self.totals(sql, [COUNT])[COUNT]

    def totals(self, sql: str, columns: Sequence[str]) -> dict[str, int]:
        """Return the one row of integers that a query of aggregates answers with, by column; raise as `ask` does."""

        def once() -> dict[str, int]:
            table = self._ask_once(sql, dict.fromkeys(columns, np.int64))
            rows = len(table[columns[0]])
            if rows != 1:
                raise Transient(f"{self.name}: {rows} rows answer a question for one; query: {sql}")
            return {name: int(values[0]) for name, values in table.items()}

        return retrying(once, self.settings)

    def _ask_once(self, sql: str, columns: Mapping[str, type]) -> Table:
        self.limit.wait()
        try:
            with open_stream(self.address(sql), self.settings) as stream:
                body = b"".join(stream)
        except FetchError as fault:
            raise self._explained(fault, sql) from fault
        if not stream.bounded and not body.endswith(b"\n"):
            raise Transient(f"{self.name}: the answer broke off after {len(body)} bytes; query: {sql}")
        return self._table(body.decode("utf-8", "replace"), stream.content_type, sql, columns)

    def _explained(self, fault: FetchError, sql: str) -> FetchError:
        """Return a failure with the server's own words instead of the long address."""
        message = str(fault).replace(self.address(sql), self.name)
        body = fault.body.decode("utf-8", "replace")
        words = _error_words(body, fault.content_type)[1] or _shorten(body)
        if words:
            message += f': "{words}"'
        kind = type(fault)
        if fault.status is not None and fault.status not in _BUSY_STATUSES:
            if _PASSING.search(words):
                kind = Transient
            elif _REJECTION.search(words):
                kind = QueryRejected
        return kind(f"{message}; query: {sql}", fault.status, fault.content_type, fault.body, fault.retry_after_s)

    def _table(self, text: str, content_type: str, sql: str, columns: Mapping[str, type]) -> Table:
        """Turn the body of an answer with status 200 into columns, or raise what it says instead."""
        names = [name.rpartition(".")[2].lower() for name in columns]
        shape, words = _error_words(text, content_type)
        if shape:
            # A table of errors speaks of this query; a page or JSON may come from anything on the way.
            at_fault = shape == "table" or _REJECTION.search(words)
            kind = QueryRejected if at_fault and not _PASSING.search(words) else Transient
            raise kind(f'{self.name}: the server answered "{words}"; query: {sql}')
        lines = text.replace("\r\n", "\n").split("\n")
        if lines and lines[0].startswith("#"):
            del lines[0]
        header = [name.strip().lower() for name in lines[0].split(",")] if lines else []
        if header != names:
            raise Transient(
                f"{self.name}: the answer has the columns {', '.join(header)[:200] or '(none)'} "
                f"instead of {', '.join(names)}; query: {sql}"
            )
        rows = split_rows(lines[1:])
        for number, row in enumerate(rows, 1):
            if len(row) != len(names):
                raise Transient(
                    f"{self.name}: row {number} of the answer has {len(row)} cells, not {len(names)}; query: {sql}"
                )
        table = {}
        for index, (name, kind) in enumerate(zip(names, columns.values(), strict=True)):
            try:
                table[name] = _values([row[index] for row in rows], kind)
            except ValueError as error:
                raise Transient(f"{self.name}: column {name} of the answer: {error}; query: {sql}") from error
        return table


def split_rows(lines: list[str]) -> list[list[str]]:
    """Split the lines of SkyServer's CSV into cells.

    SkyServer quotes a string that has a comma and leaves quotes inside it as they are, so a closing quote is one
    that a comma or the line's end follows; a quoted string may also run over several lines.
    """
    rows = []
    waiting = ""
    for line in lines:
        line = waiting + line
        waiting = ""
        if '"' not in line:
            if line:
                rows.append(line.split(","))
            continue
        cells = []
        rest: str | None = line
        while rest is not None:
            if rest.startswith('"'):
                closing = re.compile(r'"(?=,|$)').search(rest, 1)
                if closing is None:
                    waiting = line + "\n"
                    break
                cells.append(rest[1 : closing.start()])
                rest = rest[closing.end() + 1 :] if closing.end() < len(rest) else None
            else:
                cell, comma, rest = rest.partition(",")
                cells.append(cell)
                rest = rest if comma else None
        else:
            rows.append(cells)
    if waiting:
        rows.append([waiting])
    return rows


def _values(cells: list[str], kind: type) -> NDArray:
    """Turn cells into an array; integers never pass through a float, which has 53 bits only."""
    if np.issubdtype(kind, np.integer):
        try:
            return np.array([int(cell) for cell in cells], dtype=kind)
        except OverflowError as error:
            raise ValueError(f"a value does not fit in {np.dtype(kind)} ({error})") from error
    values = np.array([float(cell) if cell.strip() else np.nan for cell in cells], dtype=kind)
    values[values == SDSS_NULL] = np.nan
    return values


def _error_words(text: str, content_type: str) -> tuple[str, str]:
    """Return the shape of an error (json, page or table) and its words, or two empty strings if it is none."""
    beginning = text.lstrip("\ufeff \t\r\n")
    if beginning and (content_type.endswith("json") or beginning.startswith("{")):
        return "json", _shorten(_json_words(beginning))
    if beginning and (content_type.endswith(("html", "xml")) or beginning.startswith("<")):
        visible = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", beginning)
        return "page", _shorten(html.unescape(re.sub(r"<[^>]*>", " ", visible)))
    table = re.match(r'(?:#[^\n]*\n)?"?error_message"?\s*\n(.*)', beginning, re.IGNORECASE | re.DOTALL)
    return ("table", _shorten(table[1].strip().strip('"'))) if table else ("", "")


def _json_words(text: str) -> str:
    try:
        error = json.loads(text)
    except ValueError:
        return text
    if isinstance(error, dict):
        for key in ("ErrorMessage", "Error Message", "error_message", "Message"):
            if error.get(key):
                return str(error[key])
    return text


def _shorten(words: str, length: int = 600) -> str:
    words = " ".join(words.split())
    return words if len(words) <= length else f"{words[:length]}..."
