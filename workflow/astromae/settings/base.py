"""What all settings have in common: types with bounds, and checks that name the key that is wrong."""

import contextlib
import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, PlainSerializer, PlainValidator, ValidationError

from astromae.registry import Registry
from astromae.typed import Typed

#: In the words of a check: the key of the section that it belongs to, with a dot.
HERE = "{here}"

#: The same without the dot.
SECTION = "{section}"


def setting(description: str, default: Any = ..., *, unit: str | None = None, **bounds: Any) -> Any:
    """Return a field of a model of settings.

    Parameters
    ----------
    description
        What it means, in one sentence.
    default
        Its value where a configuration does not give one; without it the key must be given.
    unit
        Of its value.
    **bounds
        ``ge``, ``gt``, ``le``, ``lt``, ``multiple_of``, ``min_length`` as pydantic's `Field` takes them.
    """
    extra = {"unit": unit} if unit else None
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def show(value: Any) -> str:
    """Return a value as it would stand in YAML, shortened."""
    text = json.dumps(value, default=lambda model: model.model_dump(mode="json"))
    return text if len(text) <= 80 else f"{text[:77]}..."


class Refused(ValueError):
    """What a check says of settings.

    Attributes
    ----------
    key
        The key that is wrong, from the section that is checked; empty for the section or value itself, None where the
        text names the keys.
    text
        What is wrong with it, to be read after the key; with `HERE` and `SECTION`.
    """

    def __init__(self, key: str | None, text: str):
        super().__init__(key, text)
        self.key, self.text = key, text

    def __str__(self) -> str:
        """Return the message as it reads without the key of the section."""
        return self.said("")

    def said(self, section: str) -> str:
        """Return the message with the key of the section."""
        text = self.text.replace(HERE, f"{section}." if section else "").replace(SECTION, section or "settings")
        if self.key is None:
            return text
        return f"{'.'.join(filter(None, [section, self.key]))} {text}".strip()


def wrong(key: str, value: Any, allowed: str) -> Refused:
    """Return the error of a check that refuses a value.

    Parameters
    ----------
    key
        From the section that is checked; empty for the section or value itself.
    value
        What it holds.
    allowed
        What it may hold, in words; `HERE` in it stands for the key of the section, with a dot.
    """
    return Refused(key, f"is {show(value)}; allowed: {allowed}")


def missing(key: str) -> Refused:
    """Return the error of a check that wants a key, from the section that is checked."""
    return Refused(key, "is missing; config.yaml explains what it holds")


def problem(text: str) -> Refused:
    """Return the error of a check that says in words of its own, with `HERE` and `SECTION`, what is wrong."""
    return Refused(None, text)


@contextlib.contextmanager
def section(key: str) -> Iterator[None]:
    """Let the checks in the block name their keys from a section further up."""
    try:
        yield
    except Refused as error:
        text = error.text.replace(HERE, f"{key}.").replace(SECTION, key)
        raise Refused(error.key if error.key is None else ".".join(filter(None, [key, error.key])), text) from None


def _one_line(text: str) -> str:
    # A line break in a path or a title is a slip of quoting in YAML.
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise wrong("", text, "text on one line, without control characters")
    return text


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("values are repeated")
    return values


class _JsonSchema:
    """Says what the JSON schema of a type is: a function of that which pydantic would make, and of its handler."""

    def __init__(self, make: Callable[[Callable[[], dict], GetJsonSchemaHandler], dict]):
        self.make = make

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict:
        return self.make(lambda: handler(schema), handler)


Value = TypeVar("Value")

#: Of names that become parts of file names.
NAME_PATTERN = r"^[a-z][a-z0-9-]*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]

# YAML and JSON have lists; a model that cannot be changed holds tuples.
_EACH_ONCE = (AfterValidator(_different), _JsonSchema(lambda made, handler: {**made(), "uniqueItems": True}))
AnyOf = Annotated[tuple[Value, ...], Field(strict=False), *_EACH_ONCE]
SomeOf = Annotated[tuple[Value, ...], Field(strict=False, min_length=1), *_EACH_ONCE]
Pair = Annotated[tuple[Value, ...], Field(strict=False, min_length=2, max_length=2)]


class NestedError(ValueError):
    """Settings of an entry of a table are wrong.

    Attributes
    ----------
    model, error
        The entry's model, and what it says.
    """

    def __init__(self, model: type[Typed], error: ValidationError):
        super().__init__("; ".join(str(found["msg"]) for found in error.errors()))
        self.model, self.error = model, error


def name_in(table: Registry) -> Any:
    """Return the type of a field that names an entry of a table."""

    def check(name: str) -> str:
        if name not in table:
            raise wrong("", name, f"{', '.join(table)}{near(name, table)}")
        return name

    return Annotated[
        str, AfterValidator(check), _JsonSchema(lambda made, handler: {"enum": list(table), "type": "string"})
    ]


def entry_of(
    table: Registry,
    key: str,
    default: Callable[[Mapping[str, Any]], str],
    model: Callable[[str], type[Typed]],
    ignore_others: bool = False,
) -> Any:
    """Return the type of a field that holds settings of an entry of a table, which one of its keys names.

    Parameters
    ----------
    table
        The entries.
    key
        Names the entry.
    default
        Returns the entry of a mapping without that key.
    model
        Called with a name, returns the model of the entry's settings, the key itself among its fields.
    ignore_others
        Whether keys that only other entries have are ignored, so that a preset can change the entry.
    """

    def check(value: Any) -> Typed:
        if isinstance(value, Typed):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("not a mapping")
        name = value.get(key, default(value))
        if not isinstance(name, str) or name not in table:
            raise wrong(key, name, f"{', '.join(table)}{near(name, table)}")
        if ignore_others:
            superfluous = {other for entry in table for other in model(entry).model_fields} - set(
                model(name).model_fields
            )
            value = {name: given for name, given in value.items() if name not in superfluous}
        try:
            return model(name).model_validate({**value, key: name})
        except ValidationError as error:
            raise NestedError(model(name), error) from None

    def schema(made: Any, handler: GetJsonSchemaHandler) -> dict:
        return {"anyOf": [handler(model(name).__pydantic_core_schema__) for name in table]}

    return Annotated[
        Any,
        PlainValidator(check),
        PlainSerializer(lambda settings: settings.model_dump(mode="json")),
        _JsonSchema(schema),
    ]


def near(name: object, names: Iterable[str]) -> str:
    """Suggest the name that was probably meant, if one is close."""
    close = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""
