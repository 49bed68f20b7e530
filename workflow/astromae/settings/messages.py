"""One clear line for the first thing that is wrong in settings: the key, its value and what is allowed."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from astromae.settings.base import NAME_PATTERN, NestedError, Refused, near, show
from astromae.typed import Typed

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}

_NAME = "lower-case letters, digits and hyphens, beginning with a letter"

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}


@dataclass(frozen=True)
class _Problem:
    """A problem of settings: what pydantic found, where, and the schema there."""

    found: Mapping[str, Any]
    path: tuple[str, ...]
    schema: "Schema"

    @property
    def refused(self) -> Refused | None:
        """What a check says, where it was one that found the problem."""
        error = self.found.get("ctx", {}).get("error")
        return error if isinstance(error, Refused) else None

    @property
    def order(self) -> tuple[int, int, str]:
        """Unknown keys come first: a misspelt key is also a missing one, and its name says more."""
        kind = self.found["type"]
        # A check that looks at several values comes last, since one of those may be wrong by itself.
        check = self.refused is not None and self.refused.key != ""
        rank = 0 if kind == "extra_forbidden" else 2 if check else 1
        # A key that is missing, unknown or no name is a fault of its section.
        of_section = kind in ("extra_forbidden", "missing") or self.path[-1:] == ("[key]",)
        return rank, len(self.path) - of_section, ".".join(self.path)


class Schema:
    """A part of the JSON schema of settings.

    Parameters
    ----------
    root
        The whole schema, whose definitions the part refers to.
    part
        The part; None for the whole.
    """

    def __init__(self, root: Mapping[str, Any], part: Mapping[str, Any] | None = None):
        part = root if part is None else part
        if "$ref" in part:
            part = root["$defs"][part["$ref"].rpartition("/")[2]] | {k: v for k, v in part.items() if k != "$ref"}
        self.root, self.part = root, part

    def __getitem__(self, keyword: str) -> Any:
        """Return a keyword of the part."""
        return self.part[keyword]

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return a keyword of the part, if it has it."""
        return self.part.get(keyword, default)

    def choices(self) -> list["Schema"]:
        """Return the alternatives of the part other than null; the part itself where it has none."""
        alternatives = [Schema(self.root, part) for part in self.part.get("anyOf", [])]
        return [choice for choice in alternatives if choice.get("type") != "null"] or [self]

    def takes_null(self) -> bool:
        """Return whether null is among the alternatives."""
        return any(part.get("type") == "null" for part in self.part.get("anyOf", []))

    def keys(self) -> dict[str, "Schema"]:
        """Return the parts of all keys that a section may hold."""
        return {
            name: Schema(self.root, part)
            for choice in self.choices()
            for name, part in choice.get("properties", {}).items()
        }

    def chosen(self) -> "Schema | None":
        """Return the part of each entry of a section whose keys are names that a person chooses."""
        entries = self.part.get("additionalProperties") or next(
            iter(self.part.get("patternProperties", {}).values()), 0
        )
        return Schema(self.root, entries) if isinstance(entries, Mapping) else None

    def items(self) -> "Schema | None":
        """Return the part of each item of a list."""
        item = self.part.get("items") or next(iter(self.part.get("prefixItems", [])), None)
        return Schema(self.root, item) if isinstance(item, Mapping) else None

    def at(self, path: tuple[str, ...]) -> "Schema":
        """Return the part of a key further down."""
        if not path:
            return self
        name, *rest = path
        for choice in self.choices():
            part = choice.keys().get(name) or choice.chosen() or choice.items()
            if part is not None:
                return part.at(tuple(rest))
        return self


def schema_of(model: type[Typed]) -> Schema:
    """Return the schema of a model of settings."""
    return Schema(model.model_json_schema())


def in_one_line(model: type[Typed], error: ValidationError, of: str = "configuration") -> str:
    """Return one line for the first thing that is wrong.

    Parameters
    ----------
    model
        The model that was to be filled.
    error
        What it says.
    of
        What holds the settings; the line begins with it.
    """
    return f"{of}: {_line(min(_problems(model, error, ()), key=lambda each: each.order))}"


def _problems(model: type[Typed], error: ValidationError, place: tuple[str, ...]) -> Iterator[_Problem]:
    schema = schema_of(model)
    for found in error.errors():
        # Values that are wrong are not counted, which makes a list too short as well.
        if found["type"] == "too_short" and len(found["input"]) >= found["ctx"]["min_length"]:
            continue
        own = tuple(map(str, found["loc"]))
        nested = found.get("ctx", {}).get("error")
        if isinstance(nested, NestedError):
            yield from _problems(nested.model, nested.error, (*place, *own))
        else:
            above = own[:-1] if found["type"] == "extra_forbidden" else own
            yield _Problem(found, (*place, *own), schema.at(above))


def _line(problem: _Problem) -> str:
    found, path, schema = problem.found, problem.path, problem.schema
    kind, value, key = found["type"], found["input"], ".".join(path)
    if kind == "extra_forbidden":
        known = sorted(schema.keys())
        return f"{key} is an unknown key (value {show(value)}); allowed: {', '.join(known)}{near(path[-1], known)}"
    if kind == "missing":
        return f"{key} is missing; config.yaml explains what it holds"
    if problem.refused is not None:
        return problem.refused.said(key)
    if path[-1:] == ("[key]",):
        return f"{show(key.removesuffix('.[key]'))[1:-1]} is not a valid name; allowed: {_NAME}"
    words = "a finite number" if kind == "finite_number" else allowed(schema)
    hint = ""
    if isinstance(value, str) and kind.endswith("_type") and _reads_as_number(value):
        hint = " (it was read as text: YAML wants 1.0e-3 for 1e-3; give nested keys with --configfile)"
    return f"{key or 'all of it'} is {show(value)}; allowed: {words}{hint}"


def _reads_as_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def allowed(schema: Schema) -> str:
    """Say in words what a part of the schema allows."""
    choices = schema.choices()
    if len(choices) > 1 or choices[0] is not schema:
        # Of several models, the keys of all of them.
        if all(choice.get("type") == "object" for choice in choices) and len(choices) > 1:
            return f"a mapping with the keys {', '.join(schema.keys())}"
        words = list(dict.fromkeys(allowed(choice) for choice in choices))
        return " or ".join([*(["null"] if schema.takes_null() else []), *words])
    if "const" in schema.part:
        return show(schema["const"])
    if "enum" in schema.part:
        return ", ".join(value if isinstance(value, str) else json.dumps(value) for value in schema["enum"])
    if "pattern" in schema.part:
        return _NAME if schema["pattern"] == NAME_PATTERN else f"text that matches {schema['pattern']}"
    words = _TYPES[schema["type"]]
    if (item := schema.items()) is not None:
        count = {2: "two", None: "one or more" if schema.get("minItems") else "any number of"}
        different = "different " if schema.get("uniqueItems") else ""
        words += f" of {count[schema.get('maxItems')]} {different}values, each {allowed(item)}"
    if schema.get("properties"):
        words += f" with the keys {', '.join(schema['properties'])}"
    if schema.get("minLength") or schema.get("minProperties"):
        words += " that is not empty"
    bounds = [f"{word} {schema[keyword]}" for keyword, word in _BOUNDS.items() if keyword in schema.part]
    return f"{words} {' and '.join(bounds)}".strip()
