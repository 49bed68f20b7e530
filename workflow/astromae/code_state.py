"""Which code runs: the package's version, and the commit of its clone."""

import subprocess
from pathlib import Path
from typing import Any

from astromae import __version__

_PACKAGE = Path(__file__).resolve().parent


def code_state() -> dict[str, Any]:
    """Return which code runs: `version` of the package, and `commit` and `uncommitted` of its git clone.

    Outside a clone, or without git, the last two are None.
    """

    def git(*arguments: str) -> str | None:
        # Without optional locks, many jobs can ask at once while a person commits.
        command = ["git", "-C", str(_PACKAGE), "--no-optional-locks", *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    commit = uncommitted = None
    top = git("rev-parse", "--show-toplevel")
    # An installed package may lie in the clone of something else.
    if top and Path(top).resolve() == _PACKAGE.parents[1]:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--untracked-files=no")
        uncommitted = None if changes is None else bool(changes)
    return {"version": __version__, "commit": commit, "uncommitted": uncommitted}


def in_words(code: dict[str, Any]) -> str:
    """Return what `code_state` says as words, for example ``astromae 0.1.0 at commit 0123456789ab``."""
    commit = code.get("commit")
    changed = " with uncommitted changes" if code.get("uncommitted") else ""
    return f"astromae {code['version']}" + (f" at commit {commit[:12]}{changed}" if commit else "")
