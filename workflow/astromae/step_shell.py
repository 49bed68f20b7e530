"""What the shell of every job runs before its step."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from astromae.plugins import VARIABLE

#: Environment variable that keeps jobs from printing what goes to their logs, from which `make paper` shows the run.
SILENT = "ASTROMAE_JOBS_ARE_SILENT"


def shell_prefix(package_root: Path, plugins: Sequence[str], environments: bool) -> str:
    """Return the commands that stand before those of a rule.

    A step runs the package of this repository, with the plugins of the run. At a time limit or a preemption Slurm sends
    SIGTERM to all processes of a job. The shell and tee ignore it and wait for the step, which saves its state: if the
    shell ended, so would the job, and without tee the next line that the step prints would kill it.

    Parameters
    ----------
    package_root
        Folder of the package.
    plugins
        Files of the configuration's `plugins`.
    environments
        Whether rules run in environments of their own, each with its Python, rather than with this one.
    """
    tee = f"""if [ -n "${{{SILENT}:-}}" ]; then cat > "$1"; else command tee "$@"; fi"""
    commands = ["set -euo pipefail", "trap : TERM", f"tee() {{ trap '' TERM; {tee}; }}"]
    commands.append(f"export PYTHONPATH={shlex.quote(str(package_root))}${{PYTHONPATH:+:$PYTHONPATH}}")
    if not environments:
        commands.append(f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"')
    if plugins:
        commands.append(f"export {VARIABLE}={shlex.quote(os.pathsep.join(map(os.path.abspath, plugins)))}")
    return "; ".join(commands) + "; "
