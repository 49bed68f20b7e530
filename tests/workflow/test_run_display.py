"""What a person sees of `make paper`: on a terminal, in a file, and when there is nothing to do."""

import os
import pty
import re
import subprocess
import termios

import pytest
import yaml
from preset import PRESET

pytestmark = pytest.mark.workflow

#: Galaxies that are drawn in some seconds, in two jobs.
SMALL = {"embedded": {"galaxies": 40, "runs": [9001], "camcols": [1, 2], "galaxies_per_field": 10}}


@pytest.fixture
def make(fresh_project, environment, tmp_path):
    """Return a function that makes a target of a small survey, and returns what is written to a terminal or a file."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}

    def run(target, terminal=None):
        arguments = f"ARGS={target} --configfile {PRESET[1]} {tmp_path / 'small.yaml'}"
        command = ["make", "paper", f"VENV={environment}", arguments]
        options = {"cwd": fresh_project.folder, "env": env | {"TERM": terminal or "dumb"}}
        if terminal is None:
            ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
            assert ran.returncode == 0, ran.stdout
            return ran.stdout
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 110))
        process = subprocess.Popen(command, stdout=theirs, stderr=theirs, **options)
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 1 << 16)
            except OSError:  # Nobody writes any more.
                break
        os.close(ours)
        assert process.wait() == 0, shown.decode()
        return shown.decode()

    return run


def states(shown):
    """Return the successive texts that stayed in place on a terminal, without colours."""
    parts = re.split(r"(?:\x1b\[1A|\x1b\[2K|\r(?=\x1b\[2K))+", shown)
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", part).replace("\r", "") for part in parts]


def test_a_terminal_shows_what_is_done_what_runs_and_when_it_ends(make, fresh_project):
    shown = make("stamps", "xterm")
    texts = states(shown)
    assert any(re.search(r"^running  frames run 9001, camcol 1 \(0 of 2 done\) *$", text, re.M) for text in texts)
    # What a job's log says last, in place of what it prints.
    assert any(re.search(r"^ +\d+ s  \[frames 9001-1\] \d+/10 frames", text, re.M) for text in texts)
    assert any(re.search(r"^to come  cut\s2, stamps", text, re.M) for text in texts)
    summary = r"^\d of 6 jobs, \d+ (s|min), about \d+ (s|min) left, until \d\d:\d\d"
    assert any(re.search(summary, text, re.M) for text in texts)
    assert any(re.search(r"^done  catalog, frames\s2, cut\s2, stamps", text, re.M) for text in texts)
    assert "workflow/astromae" not in shown
    (complete,) = re.findall(r"Complete log\(s\): (\S+\.log)", shown)
    whole = (fresh_project.folder / complete).read_text()
    assert "input: results/catalog/galaxies.parquet" in whole and "6 of 6 steps (100%) done" in whole


def test_elsewhere_each_job_is_a_line_when_it_starts_and_when_it_ends(make):
    shown = make("catalog", "dumb").replace("\r", "")
    assert re.search(r"^\d\d:\d\d:\d\d  1 job: catalog$", shown, re.M)
    assert re.search(r"^\d\d:\d\d:\d\d  catalog starts$", shown, re.M)
    assert re.search(r"^\d\d:\d\d:\d\d  catalog is done, \d+ s; 1 of 1 jobs, \d+ s", shown, re.M)
    assert "\x1b" not in shown and "input:" not in shown
    assert "Complete log(s): " in shown
    again = make("catalog")
    assert "Nothing to be done" in again and "starts" not in again


def test_a_dry_run_is_shown_as_snakemake_shows_it(make):
    assert re.search(r"^rule cut:\n    input: ", make("stamps --dry-run"), re.M)
