"""The rate limit: never more requests in a window than allowed, whoever asks and whoever is killed."""

import json
import multiprocessing
import signal
import time

import numpy as np
import pytest
from astromae.survey.ratelimit import RateLimit

LIMIT, WINDOW_S = 8, 0.8


def ask(path, count, answers):
    limit = RateLimit(path, LIMIT, WINDOW_S)
    for _ in range(count):
        limit.wait()
        answers.put(time.time())


def in_any_window(moments):
    """Return the largest number of moments in any window of the limit's length."""
    moments = np.sort(moments)
    return int((np.searchsorted(moments, moments + WINDOW_S * 0.98) - np.arange(len(moments))).max())


def test_the_limit_holds_over_processes(tmp_path):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    jobs = [context.Process(target=ask, args=(tmp_path / "queries.json", 12, answers)) for _ in range(2)]
    for job in jobs:
        job.start()
    moments = [answers.get(timeout=20) for _ in range(24)]
    for job in jobs:
        job.join()
    assert in_any_window(moments) <= LIMIT
    # Nor does anybody wait in vain: 24 requests are three windows' worth.
    assert max(moments) - min(moments) < 3 * WINDOW_S


def test_below_the_limit_nobody_waits(tmp_path):
    started = time.time()
    limit = RateLimit(tmp_path / "queries.json", LIMIT, WINDOW_S)
    for _ in range(LIMIT):
        limit.wait()
    assert time.time() - started < WINDOW_S / 2


def test_a_killed_process_leaves_no_lock_and_a_sound_file(tmp_path):
    path = tmp_path / "queries.json"
    context = multiprocessing.get_context("fork")
    for delay_s in np.linspace(0.005, 0.1, 10):
        job = context.Process(target=ask, args=(path, 1000, context.Queue()))
        job.start()
        time.sleep(delay_s)
        job.kill()
        job.join()
        assert job.exitcode == -signal.SIGKILL
    json.loads(path.read_text())
    started = time.time()
    RateLimit(path, LIMIT, WINDOW_S).wait()
    # Each killed process had reserved one moment at most beyond those that it used.
    assert time.time() - started < 4 * WINDOW_S


@pytest.mark.parametrize("content", ["", "[1, 2", "[9e99]"])
def test_a_spoilt_file_is_no_obstacle(tmp_path, content):
    path = tmp_path / "queries.json"
    path.write_text(content)
    started = time.time()
    RateLimit(path, LIMIT, WINDOW_S).wait()
    assert time.time() - started < WINDOW_S / 2
