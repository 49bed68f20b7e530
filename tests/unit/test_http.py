"""One opener for https://, http://, file:// and paths: the same bytes, the same three kinds of failure."""

import re
import ssl
import subprocess
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
from astromae.errors import InputError
from astromae.survey import http
from astromae.survey.http import HttpSettings, NotFound, Refused, Transient, open_stream, retrying
from servers.sdss import Server, compressed, drop, drop_chunked, redirect, slow, status

SETTINGS = HttpSettings(timeout_s=0.5, tries=3, backoff_s=0.01)
CONTENT = np.random.default_rng(1).bytes(300_000)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/frame.fits.bz2").write_bytes(CONTENT)
    with Server(archive=tmp_path) as running:
        yield running


def read(address, settings=SETTINGS):
    with open_stream(address, settings) as stream:
        return b"".join(stream)


def test_schemes_are_equals(server, tmp_path):
    path = tmp_path / "a b/frame.fits.bz2"
    for address in (f"{server.sas}/a%20b/frame.fits.bz2", path.as_uri(), str(path), path):
        with open_stream(address, SETTINGS) as stream:
            assert b"".join(stream) == CONTENT
            assert stream.received == stream.length == len(CONTENT)


def test_nothing_there_is_not_found(server, tmp_path):
    below_file = tmp_path / "a b/frame.fits.bz2/none"
    for address in (f"{server.sas}/none", (tmp_path / "none").as_uri(), tmp_path / "none", below_file):
        with pytest.raises(NotFound, match="none"):
            read(address)


def test_other_addresses_and_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ftp://host/x.*https://"):
        read("ftp://host/x")
    with pytest.raises(Refused, match="directory"):
        read(tmp_path)


FAULTS = {
    "503": status(503),
    "429": status(429),
    "500": status(500),
    "slow": slow(1.0),
    "dropped": drop(0.9),
    "dropped at once": drop(0.0),
    "dropped in chunks": drop_chunked(0.9),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_passing_faults_pass_when_tried_again(server, fault):
    server.inject("frame", FAULTS[fault], times=2)
    assert retrying(lambda: read(f"{server.sas}/a b/frame.fits.bz2"), SETTINGS) == CONTENT
    assert len(server.requests) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_lasting_faults_end_after_the_tries(server, fault):
    server.inject("frame", FAULTS[fault])
    with pytest.raises(Transient, match=r"frame.*tried 3 times"):
        retrying(lambda: read(f"{server.sas}/a b/frame.fits.bz2"), SETTINGS)
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403])
def test_refusals_are_not_tried_again(server, code):
    server.inject("frame", status(code, "no"))
    with pytest.raises(Refused, match=str(code)):
        retrying(lambda: read(f"{server.sas}/a b/frame.fits.bz2"), SETTINGS)
    assert len(server.requests) == 1


def test_a_server_that_is_away_is_a_passing_fault():
    with Server() as server:
        address = server.address
    with pytest.raises(Transient, match="refused"):
        read(address)


def test_retry_after_is_kept(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(http.time, "sleep", pauses.append)
    server.inject("frame", status(429, headers={"Retry-After": "7"}), times=1)
    assert retrying(lambda: read(f"{server.sas}/a b/frame.fits.bz2"), SETTINGS) == CONTENT
    assert pauses == [7.0]


def test_pauses_grow_with_jitter_up_to_a_limit(monkeypatch):
    pauses = []
    monkeypatch.setattr(http.time, "sleep", pauses.append)

    def fail():
        raise Transient("no")

    with pytest.raises(Transient):
        retrying(fail, HttpSettings(tries=12, backoff_s=1.0))
    full = np.minimum(2.0 ** np.arange(11), http.LONGEST_PAUSE_S)
    assert (full / 2 <= pauses).all() and (pauses <= full).all()
    assert len({round(pause / limit, 6) for pause, limit in zip(pauses, full, strict=True)}) > 5


def test_redirects_are_followed(server):
    server.inject("frame", redirect(), times=1)
    assert read(f"{server.sas}/a b/frame.fits.bz2") == CONTENT


def test_compressed_transfer_is_undone(server):
    server.inject("frame", compressed())
    assert read(f"{server.sas}/a b/frame.fits.bz2") == CONTENT


def test_leaving_early_stops_the_download(server):
    with open_stream(f"{server.sas}/a b/frame.fits.bz2", SETTINGS) as stream:
        first = next(iter(stream))
    assert CONTENT.startswith(first)
    assert stream.received < len(CONTENT)
    # The connection that was left is not used for the next request.
    assert read(f"{server.sas}/a b/frame.fits.bz2") == CONTENT


def test_the_project_is_named_and_compression_not_asked_for(server):
    read(f"{server.sas}/a b/frame.fits.bz2")
    headers = server.requests[0].headers
    assert re.match(r"astromae/\d", headers["User-Agent"])
    assert headers["Accept-Encoding"] == "identity"


def test_certificates_are_verified(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        with pytest.raises(Refused, match="certificate"):
            read(f"https://127.0.0.1:{server.server_address[1]}/")
    finally:
        server.shutdown()
        server.server_close()
