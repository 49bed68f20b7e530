"""Progress is a bar on a terminal and sparse lines in a log."""

import os
import pty
import re
import subprocess
import sys
import termios

STEPS = """
import sys, time
from astromae import progress
progress.INTERVAL_S = 0.2
ticker = progress.Ticker("pretrain pcm", 100, "batches")
for step in range(100):
    time.sleep(0.01)
    ticker.advance(note=f"loss {step}")
ticker.close()
"""


def test_lines_in_a_log():
    ran = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    lines = ran.stderr.splitlines()
    assert 2 <= len(lines) <= 20
    assert all(
        re.fullmatch(r"\[pretrain pcm\] \d+/100 batches, \d\d:\d\d elapsed, \d\d:\d\d left, loss \d+", line)
        for line in lines
    )
    assert lines[-1].startswith("[pretrain pcm] 100/100 batches") and lines[-1].endswith("loss 99")


def test_bar_on_a_terminal():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-c", STEPS], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert shown.count("\n") == 1 and shown.count("\r") > 2
    assert "pretrain pcm: 100%" in shown and "100/100" in shown and "loss" in shown


def test_only_the_first_of_several_processes_speaks():
    environment = os.environ | {"RANK": "1"}
    ran = subprocess.run([sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
