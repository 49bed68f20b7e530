"""The commands before those of every job."""

import subprocess
import sys
from pathlib import Path

import pytest
from astromae.step_shell import SILENT, shell_prefix

ROOT = Path(__file__).parents[2]
# Named from where Snakemake runs.
PLUGIN = Path("a plugin's.py").absolute()


def run(folder: Path, command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    prefix = shell_prefix(ROOT / "workflow", ["a plugin's.py"], environments=False)
    return subprocess.run(["bash", "-c", f"{prefix}{command}"], cwd=folder, env=env, capture_output=True, text=True)


def test_a_step_finds_this_package_and_python_and_the_plugins(tmp_path):
    program = "import astromae, os; print(astromae.__file__, os.environ['ASTROMAE_PLUGINS'])"
    ran = run(tmp_path, f'python -c "{program}"')
    assert ran.stdout.split(" ", 1) == [str(ROOT / "workflow/astromae/__init__.py"), f"{PLUGIN}\n"]
    assert run(tmp_path, "command -v python").stdout.strip() == str(Path(sys.executable).parent / "python")


def test_a_failing_step_fails_its_job(tmp_path):
    assert run(tmp_path, "false | tee log").returncode == 1


@pytest.mark.parametrize("silent", [False, True])
def test_the_log_holds_all_and_the_terminal_unless_silenced(tmp_path, silent):
    ran = run(tmp_path, "echo words 2>&1 | tee log", {SILENT: "1"} if silent else {})
    assert (tmp_path / "log").read_text() == "words\n"
    assert ran.stdout == ("" if silent else "words\n")


def test_a_step_that_saves_its_state_at_a_signal_is_waited_for(tmp_path):
    step = "(trap 'echo saved; exit 75' TERM; sleep 0.5; kill -TERM 0; sleep 5) 2>&1 | tee log"
    prefix = shell_prefix(ROOT / "workflow", [], environments=False)
    ran = subprocess.run(["bash", "-c", f"{prefix}{step}"], cwd=tmp_path, start_new_session=True, capture_output=True)
    assert ran.returncode == 75
    assert (tmp_path / "log").read_text() == "saved\n"
