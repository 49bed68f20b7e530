"""What the display of a run prints where there is no terminal, from Snakemake's log records."""

import io
import logging
import time
from types import SimpleNamespace

import pytest
import snakemake_logger_plugin_astromae as display
from astromae.step_shell import SILENT
from snakemake_interface_logger_plugins.common import LogEvent


@pytest.fixture
def handler(monkeypatch):
    monkeypatch.setattr(display.Run, "plan", lambda self, cores: None)
    monkeypatch.setenv(SILENT, "")
    made = display.LogHandler(SimpleNamespace(stdout=False, dryrun=False), None)
    made.stream = io.StringIO()
    yield made
    made.close()


def emit(handler, message, level=logging.INFO, **extra):
    handler.emit(logging.makeLogRecord({"msg": message, "levelno": level, **extra}))


def start(handler, log):
    emit(handler, "", event=LogEvent.RUN_INFO, stats={"split": 2, "total": 2})
    job = {"jobid": 7, "rule_name": "split", "wildcards": {"experiment": "e1"}, "output": ["o"], "log": [str(log)]}
    emit(handler, "", event=LogEvent.JOB_INFO, **job)


def test_a_job_that_fails_is_named_with_its_log(handler, tmp_path):
    start(handler, tmp_path / "split.log")
    emit(handler, "Error in rule", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=7, rule_name="split", log=["s.log"])
    said = handler.stream.getvalue().splitlines()
    assert [line[10:] for line in said] == [
        "2 jobs: split\N{NO-BREAK SPACE}2",
        "split experiment e1 starts",
        "split experiment e1 failed; its log is s.log",
    ]


def test_a_long_job_says_how_far_it_is(handler, tmp_path, monkeypatch):
    monkeypatch.setattr(display, "INTERVAL_S", 0.05)
    (tmp_path / "split.log").write_text("[split] 3/9 fields\n\n")
    start(handler, tmp_path / "split.log")
    end, said = time.monotonic() + 10, ""
    while "3/9" not in said and time.monotonic() < end:
        time.sleep(0.05)
        said = handler.stream.getvalue()
    assert "  split experiment e1 runs, 0 s: [split] 3/9 fields\n" in said


def test_warnings_are_shown_and_chatter_is_not(handler):
    emit(handler, "Select jobs to execute...")
    emit(handler, "Building DAG of jobs...")
    emit(handler, "The disk is full", logging.WARNING)
    emit(handler, "Nothing to be done (all requested files are present and up to date).")
    emit(handler, None)
    assert handler.stream.getvalue().splitlines() == [
        "The disk is full",
        "Nothing to be done (all requested files are present and up to date).",
    ]


def test_a_job_without_a_log_is_no_obstacle():
    assert display.RunningJob("all", "", None, None).last_line() == ""
