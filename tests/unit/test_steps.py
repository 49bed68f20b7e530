"""Steps take their parameters as JSON, and refuse wrong ones by name."""

import json
import subprocess
import sys

import pytest
from astromae.errors import InputError
from astromae.sources import PACKAGE
from astromae.steps import STEPS, run_step


def test_every_step_is_a_function_with_a_docstring():
    for name in STEPS:
        assert STEPS[name].__doc__, name


@pytest.mark.parametrize(
    "text, said",
    [
        ("[", "split: the parameters are no JSON object"),
        ("[1]", "split: the parameters are no JSON object"),
        ("{}", "split: parameter catalog: Missing required argument"),
        (json.dumps({"colour": 1}), "split: parameter catalog: Missing"),
        (
            json.dumps(
                {"catalog": "a", "stamps": [], "missing": [], "fractions": {}, "output": "b"}
                | {"max_missing_fraction": 0.1, "seed": "x"}
            ),
            r"split: parameter seed: .*valid integer.* \(got 'x'\)",
        ),
    ],
)
def test_wrong_parameters_are_named(text, said):
    with pytest.raises(InputError, match=said):
        run_step("split", text)


def test_the_command_line_runs_a_step():
    command = [sys.executable, "-m", "astromae", "split", "--params", '{"catalog": "none.parquet"}']
    ran = subprocess.run(command, env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (
        2,
        "error: split: parameter stamps: Missing required argument\n",
    ), ran
