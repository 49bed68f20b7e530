"""Runs that fail, are killed, or are configured wrongly, as a user meets them."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from preset import PRESET
from project import ROOT

pytestmark = pytest.mark.workflow

#: Galaxies that are drawn in some seconds, in two jobs.
SMALL = {"embedded": {"galaxies": 40, "runs": [9001], "camcols": [1, 2], "galaxies_per_field": 40}}


def settings(folder, **sections):
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(sections))
    return ("--configfile", PRESET[1], str(file))


@pytest.mark.parametrize("way", ["snakemake", "make"])
def test_a_failing_run_ends_with_what_failed_and_why(fresh_project, environment, tmp_path, way):
    file = tmp_path / "fail.yaml"
    file.write_text("survey: cube\ncube: {path: no-such-file.npz, chunks: 1}\n")
    if way == "snakemake":
        said = fresh_project.snakemake("--cores", "1", "--configfile", str(file))
    else:
        arguments = ["make", "paper", f"VENV={environment}", f"ARGS=--configfile {file}"]
        # As a user calls it, not from within the `make test` that may run this.
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        said = subprocess.run(
            arguments, cwd=fresh_project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
        )
    assert said.returncode and "Traceback" not in said.stdout and "TypeError" not in said.stdout
    lines = said.stdout.strip().splitlines()
    if way == "make":
        assert lines.pop().startswith("make: *** ")  # make's own last word cannot be kept from it
    place = lines.index("catalog failed; results/logs/catalog.log ends:")
    assert len(lines) - place <= 16
    log = (fresh_project.folder / "results/logs/catalog.log").read_text().splitlines()[-15:]
    assert lines[place + 1 :] == [f"    {line}" for line in log]
    assert "no-such-file.npz" in lines[-1]


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < end
        time.sleep(0.1)


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_tree(pid):
    """Kill a process and all below it, as a node that runs out of memory or power does."""
    below = children(pid)
    os.kill(pid, signal.SIGKILL)
    for child in below:
        kill_tree(child)


@pytest.mark.parametrize("way", ["snakemake", "make"])
def test_a_killed_run_is_continued_by_the_same_command(fresh_project, environment, tmp_path, way):
    folder = fresh_project.folder
    arguments = settings(tmp_path, **SMALL)
    if way == "snakemake":
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "stamps", *arguments]
    else:
        command = ["make", "paper", f"VENV={environment}", f"ARGS=stamps {' '.join(arguments)}"]

    def start():
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    killed = start()
    # In the middle of the frames: the catalogue is made, and a frame of the first strip.
    wait_for(lambda: any((folder / "results").rglob("frame-*")), killed)
    kill_tree(killed.pid)
    killed.communicate()
    assert not (folder / "results/stamps").exists()
    again = start()
    said, _ = again.communicate()
    assert again.returncode == 0, said[-3000:]
    assert "a run here was killed; its lock is removed" in said
    assert {path.name for path in (folder / "results/stamps").glob("*.h5")} == {"0000.h5", "0001.h5"}
    assert fresh_project.plan("stamps", *arguments) == {}
    assert "a run here was killed" not in fresh_project.snakemake("stamps", "--cores", "1", *arguments).stdout


def test_the_lock_of_a_living_run_is_respected(fresh_project, tmp_path):
    folder, arguments = fresh_project.folder, settings(tmp_path, **SMALL)
    first = fresh_project.start("--cores", "1", "stamps", *arguments)
    wait_for(lambda: any((folder / "results").rglob("frame-*")), first)
    second = fresh_project.snakemake("--cores", "1", "stamps", *arguments)
    assert first.poll() is None
    assert second.returncode and "cannot be locked" in second.stdout and "was killed; its" not in second.stdout
    said, _ = first.communicate()
    assert first.returncode == 0, said[-3000:]


def test_the_lock_of_another_host_is_left_alone(fresh_project, tmp_path):
    (fresh_project.folder / ".snakemake").mkdir()
    (fresh_project.folder / ".snakemake/runs-under-way.json").write_text('["another.cluster"]')
    ran = fresh_project.snakemake("stamps", "--dry-run", *settings(tmp_path, **SMALL))
    assert ran.returncode == 0 and "a run on another.cluster goes on or was killed" in ran.stdout


DEFAULTS = yaml.safe_load((ROOT / "config.yaml").read_text())
WITH_INCEPTION = [name for name, model in DEFAULTS["models"].items() if model["inception"]]


def test_a_configuration_file_without_keys(project, tmp_path):
    for content in ("", "- survey\n"):
        (tmp_path / "odd.yaml").write_text(content)
        ran = project.snakemake("--dry-run", "--configfile", str(tmp_path / "odd.yaml"))
        assert ran.returncode and "keys at top level" in ran.stdout, ran.stdout
        assert "Traceback" not in ran.stdout


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("survey: sdss\nsdss: {cuts: {z_min: 0.4, z_max: 0.1}}", "no redshift is above z_min = 0.4 and at most"),
        ("survey: sdss\nsdss: {cuts: {dec: [10, -10]}}", "sdss.cuts.dec: [10, -10] is no range"),
        ("embedded: {runs: [70000], camcols: [1]}", "embedded.runs.0 is 70000; allowed: an integer at least 1 and at"),
        (
            yaml.safe_dump(
                {
                    "backbones": {"pcm": {"patch": 5}, "plain": {"patch": 5}},
                    "scaling": {"crop": 35},
                    "models": {name: {"inception": False, "magnitude": True} for name in WITH_INCEPTION},
                }
            ),
            "scaling.crop is 35; allowed: an even number, at most 44",
        ),
    ],
)
def test_what_would_fail_later_is_refused_at_once(project, tmp_path, settings, line):
    (tmp_path / "settings.yaml").write_text(settings)
    ran = project.snakemake("--dry-run", "--configfile", str(tmp_path / "settings.yaml"))
    assert ran.returncode and line in ran.stdout, ran.stdout[-2000:]
    assert "Traceback" not in ran.stdout


def test_a_range_of_right_ascension_may_lead_through_0(project, tmp_path):
    (tmp_path / "wrap.yaml").write_text("survey: sdss\nsdss: {cuts: {ra: [350, 10]}}\n")
    assert project.plan("catalog", "--configfile", str(tmp_path / "wrap.yaml"))["sdss_partition"] == 72


MODELS_CASES = {
    "workflow/presets/test.yaml": "plain-astromae",
    "missing.yaml": "error: missing.yaml: no such configuration",
    "empty.yaml": "error: empty.yaml: holds nothing; a configuration holds keys with values",
    "text.yaml": 'error: text.yaml: holds "survey"; a configuration holds keys',
    "broken.yaml": "error: broken.yaml: not valid YAML",
    "wrong.yaml": 'error: wrong.yaml: configuration: survey is "sloan"; allowed',
    "binary.yaml": "error: binary.yaml: ",
    ".": "error: .: cannot be read as a configuration",
}


# The bench with a configuration that is right measures for half a minute.
MEASURES = (["bench", "train"], "workflow/presets/test.yaml")


@pytest.mark.parametrize(
    ("command", "file"),
    [pair for pair in itertools.product([["models"], ["bench", "train"]], MODELS_CASES) if pair != MEASURES],
)
def test_commands_lay_a_configuration_over_the_defaults(project, file, command):
    folder = project.folder
    contents = {
        "empty": b"",
        "text": b"survey\n",
        "broken": b"a: [\n",
        "wrong": b"survey: sloan\n",
        "binary": b"\xff\xfe\0",
    }
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_bytes(content)
    ran = project.astromae(*command, "--config", file)
    assert MODELS_CASES[file] in ran.stdout
    assert "Traceback" not in ran.stdout
    if not file.startswith("workflow"):
        assert ran.returncode == 2 and len(ran.stdout.strip().splitlines()) == 1, ran.stdout


def test_a_plan_of_a_missing_configuration(project):
    ran = project.astromae("plan", "--configfile", "missing.yaml")
    assert ran.returncode and "missing.yaml" in ran.stdout and "Traceback" not in ran.stdout
