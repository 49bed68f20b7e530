"""A stamps job that is killed at any moment, and run again."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from servers.sdss import Server, slow
from strip import RELEASE

NAMES = ("0000.h5", "0000.missing.csv")
KILLS = 5


@pytest.fixture
def server(strip):
    with Server(archive=strip.archive) as running:
        running.inject("frame-", slow(0.05))
        yield running


def start(strip, server, folder):
    told = {"catalog": strip.catalog, "chunk": 0, "archive": server.sas, "release": RELEASE, "size": 64, "threads": 2}
    told |= {"download": {"requests_per_second": 1000}, "output": folder / NAMES[0], "missing": folder / NAMES[1]}
    command = [sys.executable, "-m", "astromae", "cut", "--params", json.dumps(told, default=str)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def visible(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_killed_and_run_again(strip, server, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    started = time.monotonic()
    assert start(strip, server, whole).wait() == 0
    took_s = time.monotonic() - started
    expected = visible(whole)
    assert set(expected) == {*NAMES, f"{NAMES[0]}.sha256"}
    moments = np.random.default_rng(8).uniform(0.2, 1.0, KILLS) * took_s
    for moment in moments:
        job = start(strip, server, killed)
        time.sleep(moment)
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert visible(killed).items() <= expected.items()
    # In the midst of writing, which a random moment seldom hits.
    job = start(strip, server, killed)
    before = set(killed.glob(".0000.*"))
    while job.poll() is None and not set(killed.glob(".0000.*")) - before:
        pass
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert visible(killed).items() <= expected.items()
    assert start(strip, server, killed).wait() == 0
    assert visible(killed) == expected
