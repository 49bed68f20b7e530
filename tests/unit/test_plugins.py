"""Entries of tables: those of the package, and those that a person's own file adds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from astromae.errors import InputError
from astromae.plugins import VARIABLE, load_plugins
from astromae.registry import Registry
from astromae.sources import PACKAGE, sources_of

TABLE = Registry("kind of metric", {"redshift": "astromae.tasks.redshift:METRICS"})


def test_an_entry_is_an_attribute_of_its_module():
    assert "nmad" in TABLE["redshift"]
    assert list(TABLE) == ["redshift"] and len(TABLE) == 1
    assert TABLE.source("redshift") == "astromae.tasks.redshift"


def test_an_unknown_name_is_said_with_the_nearest():
    with pytest.raises(InputError, match=r"no kind of metric 'redshfit'; use one of redshift; did you mean redshift\?"):
        TABLE["redshfit"]
    with pytest.raises(InputError, match="no kind of metric 'redshfit'"):
        TABLE.source("redshfit")
    assert "redshfit" not in TABLE


def test_names_are_listed_without_importing_anything():
    program = (
        "import sys; from astromae.registry import Registry; "
        "print(list(Registry('figure', {'none': 'no.such.module:FIGURE'})), 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['none'] False"


def test_a_plugin_adds_entries_and_counts_as_their_source(tmp_path):
    plugin = tmp_path / "colours.py"
    plugin.write_text(
        "import test_plugins\nfrom astromae.tasks.redshift import METRICS\n"
        "test_plugins.TABLE.register('colour', tuple(METRICS)[:2])\n"
    )
    load_plugins([plugin])
    load_plugins([plugin])
    assert TABLE["colour"] == ("mse", "mae") and list(TABLE) == ["redshift", "colour"]
    assert TABLE.source("colour") == plugin
    assert {plugin, PACKAGE / "tasks/redshift.py"} <= set(sources_of(TABLE.source("colour")))
    (tmp_path / "other").mkdir()
    again = plugin.rename(tmp_path / "other/shades.py")
    with pytest.raises(InputError, match=r"shades\.py: there is already a kind of metric 'colour'"):
        load_plugins([again])


def test_a_plugin_that_fails_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match=r"broken\.py: the plugin fails with ZeroDivisionError: division by zero"):
        load_plugins([tmp_path / "broken.py"])
    with pytest.raises(InputError, match=r"missing\.py: no such plugin"):
        load_plugins([tmp_path / "missing.py"])
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "same.py", tmp_path / "a/same.py"):
        path.write_text("")
    with pytest.raises(InputError, match=r"another plugin is called same\.py"):
        load_plugins([tmp_path / "same.py", tmp_path / "a/same.py"])


def test_steps_are_told_of_plugins_by_the_environment(tmp_path):
    plugin = tmp_path / "loud.py"
    plugin.write_text("print('loaded')\n")
    command = [sys.executable, "-m", "astromae", "--help"]
    environment = {**os.environ, VARIABLE: os.pathsep.join([str(plugin)]), "PYTHONPATH": str(PACKAGE.parent)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("loaded")
    environment[VARIABLE] = str(tmp_path / "gone.py")
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.startswith(f"error: {Path(environment[VARIABLE])}: no such plugin")
