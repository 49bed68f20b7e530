"""Which code runs is known in the package's own clone, and not claimed anywhere else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from astromae import __version__
from astromae.code_state import in_words

PACKAGE = Path(__file__).parents[2] / "workflow/astromae"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", folder, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def installed(folder):
    """Copy the modules that know the code's state to a folder."""
    folder.mkdir(parents=True)
    for name in ("__init__.py", "code_state.py", "sources.py"):
        shutil.copy(PACKAGE / name, folder)
    return folder


def state_of(package):
    code = "import json; from astromae.code_state import code_state; print(json.dumps(code_state()))"
    environment = os.environ | {"PYTHONPATH": str(package.parent), "GIT_CEILING_DIRECTORIES": str(package.parents[3])}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_commit_of_the_clone_and_its_changes(tmp_path):
    clone = tmp_path / "a/clone"
    package = installed(clone / "workflow/astromae")
    assert state_of(package) == {"version": __version__, "commit": None, "uncommitted": None}
    git(clone, "init", "-q")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "All")
    known = {"version": __version__, "commit": git(clone, "rev-parse", "HEAD"), "uncommitted": False}
    assert state_of(package) == known
    (clone / "mine.yaml").write_text("seeds: [1]\n")  # a configuration of one's own is no change of the code
    assert state_of(package) == known
    (package / "__init__.py").write_text((package / "__init__.py").read_text() + "\n")
    assert state_of(package) == known | {"uncommitted": True}


def test_commit_of_something_else_is_not_claimed(tmp_path):
    other = tmp_path / "other"
    package = installed(other / "lib/site-packages/astromae")
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-qm", "Something else")
    assert state_of(package)["commit"] is None


def test_state_in_words():
    code = {"version": "0.1.0", "commit": "0123456789abcdef", "uncommitted": True}
    assert in_words(code) == "astromae 0.1.0 at commit 0123456789ab with uncommitted changes"
    assert in_words({"version": "0.1.0", "commit": None, "uncommitted": None}) == "astromae 0.1.0"
