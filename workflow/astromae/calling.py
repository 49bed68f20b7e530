"""Calling functions with parameters from JSON, which are checked against the functions' annotations."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError, validate_call

from astromae.errors import InputError
from astromae.registry import Registry


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
        if error.title not in (function.__name__, function.__qualname__):
            raise
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        got = "" if first["type"].startswith("missing") else f" (got {first['input']!r:.80})"
        raise InputError(f"{name}: parameter {where}: {first['msg']}{got}") from error


def make(table: Registry, family: str, parameters: Mapping[str, Any]) -> None:
    """Make a data product: call the function of its family, one of a table of `astromae.products.Product`.

    Raises
    ------
    InputError
        If there is no such family, or as `call`.
    """
    function = table[family].make
    if isinstance(function, str):
        module, _, name = function.partition(":")
        function = getattr(importlib.import_module(module), name)
    call(f"{table.kind} {family}", function, parameters)
