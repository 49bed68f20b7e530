"""The steps of the workflow: functions that the command line calls with parameters from JSON.

A rule hands a step the paths of its inputs and outputs, by their names in the rule, and its settings. What the
function's annotations say is checked before it starts.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError, validate_call

from astromae.errors import InputError
from astromae.registry import Registry

#: Function of each step.
STEPS: Registry[Callable[..., None]] = Registry(
    "step",
    {
        "split": "astromae.stamps.splits:write_split",
    },
)


def run_step(name: str, *parameters: str) -> None:
    """Run a step.

    Parameters
    ----------
    name
        The step, one of `STEPS`.
    *parameters
        JSON objects with its parameters, all of them together.

    Raises
    ------
    InputError
        If a parameter is missing, unknown or of another type: names it; or as the step does.
    """
    given: dict[str, Any] = {}
    for text in parameters:
        try:
            given |= json.loads(text)
        except (ValueError, TypeError) as error:
            raise InputError(f"{name}: the parameters are no JSON object ({error}): {text!r}") from error
    call(name, STEPS[name], given)


def call(name: str, function: Callable[..., None], parameters: Mapping[str, Any]) -> None:
    """Call a function with parameters that are checked against its annotations, and converted to them.

    Parameters
    ----------
    name
        What is called, for messages.
    function
        Function to call.
    parameters
        By name, as JSON has them: paths as text, lists, numbers.

    Raises
    ------
    InputError
        If a parameter is missing, unknown or of another type: names it; or as the function does.
    """
    try:
        checked = validate_call(function, config={"arbitrary_types_allowed": True})
        # Of the call alone: what the function does itself is not wrapped.
        checked(**parameters)
    except ValidationError as error:
        if error.title != function.__name__:
            raise
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        got = "" if first["type"].startswith("missing") else f" (got {first['input']!r:.80})"
        raise InputError(f"{name}: parameter {where}: {first['msg']}{got}") from error
