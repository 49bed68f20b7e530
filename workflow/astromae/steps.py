"""The steps of the workflow: functions that the command line calls with parameters from JSON.

A rule hands a step the paths of its inputs and outputs, by their names in the rule, and its settings. What the
function's annotations say is checked before it starts.
"""

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError, validate_call

from astromae.errors import InputError
from astromae.registry import Registry

#: Function of each step.
STEPS: Registry[Callable[..., None]] = Registry(
    "step",
    {
        "catalog": "astromae.survey.embedded_catalog:write_embedded_catalog",
        "frames": "astromae.survey.render:render_strip",
        "sdss-partition": "astromae.survey.sdss_catalog:fetch_partition",
        "sdss-merge": "astromae.survey.sdss_catalog:merge_partitions",
        "user-catalog": "astromae.survey.user_list:write_user_catalog",
        "downloads": "astromae.survey.downloads:print_downloads",
        "cube-catalog": "astromae.survey.cube_catalog:write_cube_catalog",
        "cube-shard": "astromae.survey.cube_catalog:write_cube_shard",
        "cut": "astromae.stamps.cut:cut",
        "split": "astromae.stamps.deal:write_split",
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
    try:
        call = validate_call(STEPS[name], config={"arbitrary_types_allowed": True})
        # Of the call alone: what the step does itself is not wrapped.
        call(**given)
    except ValidationError as error:
        if error.title != STEPS[name].__name__:
            raise
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        got = "" if first["type"].startswith("missing") else f" (got {first['input']!r:.80})"
        raise InputError(f"{name}: parameter {where}: {first['msg']}{got}") from error
