"""Stamps over HTTP: a fault that passes leaves no trace, one that stays costs its field and nothing else."""

import bz2
import gzip
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astromae.constants import FRAME_COLUMNS, FRAME_ROWS
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.stamps.fetch import PATIENCE, Archive
from astromae.stamps.frame import FrameId
from astromae.survey.archive import frame_address
from astromae.survey.frames import Frame, write_frame
from astromae.survey.geometry import field_astrometry
from servers.sdss import Server, body, drop, drop_chunked, html_200, redirect, slow, status
from strip import CAMCOL, QUICK, RELEASE, RUN, SURVEY, Strip, cut, write_catalog


@pytest.fixture(scope="module")
def faultless(strip, tmp_path_factory):
    """Bytes of shard and list, and the reasons, cut from the folder itself."""
    folder = tmp_path_factory.mktemp("faultless")
    shard, missing = cut(strip, folder)
    return contents(folder), shard, missing


@pytest.fixture
def server(strip):
    with Server(archive=strip.archive) as running:
        yield running


def contents(folder):
    return {name: (folder / name).read_bytes() for name in ("0000.h5", "0000.missing.csv")}


def flip(data):
    # A bit in the middle of the first block's data.
    data = bytearray(data)
    data[len(data) // 20] ^= 4
    return bytes(data)


def one_row_short(data):
    card = b"NAXIS2  =                 1489"
    image = bz2.decompress(data)
    assert card in image
    return bz2.compress(image.replace(card, b"NAXIS2  =                 1488"))


#: Faults that may pass, and how the list of missing galaxies names them when they do not.
PASSING = {
    "dropped": (drop(0.2), r"unreadable frame in band i: cut off after \d+ bytes.*\(tried 3 times\)"),
    "dropped at once": (drop(0.0), r"unreadable frame in band i: .*\(tried 3 times\)"),
    "dropped in chunks": (drop_chunked(0.2), r"unreadable frame in band i: cut off.*\(tried 3 times\)"),
    "truncated": (
        body(lambda data: data[: len(data) // 5]),
        r"corrupt frame in band i: the file is truncated \(tried 3 times\)",
    ),
    "flipped bit": (body(flip), r"corrupt frame in band i: a bzip2 block is damaged \(tried 3 times\)"),
    "wrong shape": (
        body(one_row_short),
        r"corrupt frame in band i: its header says NAXIS2 = 1488, not 1489 \(tried 3 times\)",
    ),
    "503": (status(503), r"unreadable frame in band i: the server answered 503 .*\(tried 3 times\)"),
    "slow": (slow(2.0), r"unreadable frame in band i: no answer in time .*\(tried 3 times\)"),
    "html": (html_200(), r"corrupt frame in band i: it is neither a bzip2, a gzip nor a FITS file \(tried 3 times\)"),
    "empty": (body(lambda data: b""), r"corrupt frame in band i: the data end \d+ bytes early \(tried 3 times\)"),
}
#: Faults that asking again does not help.
LASTING = {
    "404": (status(404), "no frame in band i"),
    "403": (status(403), "unreadable frame in band i: the server answered 403 Forbidden"),
}


def patience(fault):
    """Return settings with which a slow answer is given up, and only then: this machine may be slow itself."""
    return replace(QUICK, timeout_s=1.0) if fault == "slow" else QUICK


def test_addresses_are_equals(strip, server, faultless, tmp_path):
    for name, archive in {"http": server.sas, "file": strip.archive.as_uri()}.items():
        cut(strip, tmp_path / name, archive)
        assert contents(tmp_path / name) == faultless[0]


def test_threads_change_no_byte(strip, server, faultless, tmp_path):
    cut(strip, tmp_path, server.sas, threads=5)
    assert contents(tmp_path) == faultless[0]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_leaves_no_trace(strip, server, faultless, tmp_path, fault):
    for field, band in ((11, "u"), (11, "i"), (12, "z")):
        server.inject(rf"frame-{band}-.*-{field:04d}\.", PASSING[fault][0], times=2)
    cut(strip, tmp_path, server.sas, download=patience(fault), threads=2)
    assert contents(tmp_path) == faultless[0]
    # Each of the ten frames once, and the three twice in vain.
    assert len(server.requests) == 10 + 6


def test_redirects_are_followed(strip, server, faultless, tmp_path):
    server.inject("frame-", redirect())
    cut(strip, tmp_path, server.sas)
    assert contents(tmp_path) == faultless[0]


@pytest.mark.parametrize("fault", PASSING | LASTING)
def test_a_fault_that_stays_costs_its_field_only(strip, server, faultless, tmp_path, fault):
    _, whole, edges = faultless
    spoil, reason = (PASSING | LASTING)[fault]
    server.inject(r"frame-i-.*-0011\.", spoil)
    shard, missing = cut(strip, tmp_path, server.sas, download=patience(fault))
    of_field = set(strip.galaxies["objid"][strip.galaxies["field"] == 11]) - set(edges)
    assert set(missing) == of_field | set(edges)
    for objid in of_field:
        assert pd.Series([missing[objid]]).str.fullmatch(reason)[0], missing[objid]
    assert {objid: missing[objid] for objid in edges} == edges
    rest = StampSet([shard]).objid
    assert set(rest) == set(strip.galaxies["objid"]) - set(missing)
    np.testing.assert_array_equal(StampSet([shard]).read(rest), StampSet([whole]).read(rest))
    asked = [request for request in server.requests if "frame-i-" in request.path and "-0011." in request.path]
    assert len(asked) == (QUICK.tries if fault in PASSING else 1)


def many_fields(strip, folder, count):
    """A catalogue of one galaxy in each of `count` fields of which the archive has no frame."""
    galaxies = pd.concat([strip.galaxies.head(1)] * count, ignore_index=True)
    galaxies["objid"], galaxies["field"] = np.arange(count) + 1, np.arange(count, dtype=np.int32) + 500
    return Strip(strip.archive, write_catalog(folder / "many.parquet", galaxies), galaxies)


def test_an_archive_that_is_away_stops_the_job(strip, server, tmp_path):
    """An outage must not turn a chunk's galaxies into missing ones."""
    server.inject("frame-", status(503))
    with pytest.raises(InputError, match=r"503.*same command again"):
        cut(many_fields(strip, tmp_path, PATIENCE + 5), tmp_path / "a", server.sas)
    assert not list((tmp_path / "a").glob("0000*"))


def test_fields_that_an_archive_lacks_do_not_stop_the_job(strip, server, tmp_path):
    _, missing = cut(many_fields(strip, tmp_path, PATIENCE + 5), tmp_path / "a", server.sas)
    assert len(missing) == PATIENCE + 5 and set(missing.values()) == {"no frame in band u"}


def test_no_server_at_all(strip, tmp_path):
    with Server() as server:
        address = server.sas
    _, missing = cut(strip, tmp_path, address)
    assert set(missing) == set(strip.galaxies["objid"])
    assert all("refused" in reason for reason in missing.values())


def test_requests_keep_to_the_rate(strip, server, tmp_path):
    cut(strip, tmp_path, server.sas, download=replace(QUICK, requests_per_second=4), threads=2)
    moments = np.array([request.moment for request in server.requests])
    # The fifth request after any other comes a second later, but for what delayed the other on its way.
    assert len(moments) == 10
    assert (moments[4:] - moments[:-4] > 0.7).all()


def test_connections_keep_to_the_limit(strip, server, tmp_path):
    archive = Archive(server.sas, RELEASE, replace(QUICK, connections=1), tmp_path)
    address = frame_address(server.sas, RELEASE, RUN, CAMCOL, 11, "r")
    done = threading.Event()

    def read_another():
        with archive.open(address):
            done.set()

    with archive.open(address):
        thread = threading.Thread(target=read_another)
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(5)
    thread.join()


def test_little_is_sent_after_the_last_needed_row(tmp_path):
    """What the server sends counts, not only what is read: the system receives ahead of its reader."""
    noise = np.random.default_rng(4).normal(0, 0.02, (FRAME_ROWS, FRAME_COLUMNS)).astype(np.float32)
    path = tmp_path / frame_address("", RELEASE, RUN, CAMCOL, 11, "r").lstrip("/")
    path.parent.mkdir(parents=True)
    calibration, sky = np.full(FRAME_COLUMNS, 0.005, np.float32), np.zeros((192, 256), np.float32)
    astrometry = field_astrometry(SURVEY, RUN, CAMCOL, 11, "r")
    write_frame(path, Frame(RUN, CAMCOL, 11, "r", noise, calibration, sky, astrometry))
    with Server(archive=tmp_path) as server:
        archive = Archive(server.sas, RELEASE, QUICK, tmp_path)
        rows = archive.read(FrameId(RUN, CAMCOL, 11, "r"), lambda reader: reader.read_rows(100, 200))
        assert np.abs(rows - noise[100:200]).max() < 2e-4
        # 200 of 1489 rows are 0.13 of the file; a quarter of a megabyte received ahead is 0.08 more.
        assert 0.1 < server.sent / path.stat().st_size < 0.35


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits"])
def test_a_mirror_may_be_compressed_otherwise(strip, faultless, tmp_path, suffix):
    """From a folder and over the network, where only the first frame is asked for under other names."""
    for path in strip.archive.rglob("frame-*.fits.bz2"):
        copy = tmp_path / "mirror" / path.relative_to(strip.archive).with_name(path.name.replace(".fits.bz2", suffix))
        copy.parent.mkdir(parents=True, exist_ok=True)
        data = bz2.decompress(path.read_bytes())
        copy.write_bytes(gzip.compress(data, 1) if suffix == ".fits.gz" else data)
    cut(strip, tmp_path / "local", tmp_path / "mirror")
    assert contents(tmp_path / "local") == faultless[0]
    with Server(archive=tmp_path / "mirror") as server:
        cut(strip, tmp_path / "http", server.sas)
        assert contents(tmp_path / "http") == faultless[0]
        assert len(server.requests) == 10 + (1 if suffix == ".fits.gz" else 2)
