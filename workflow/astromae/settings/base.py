"""What all settings have in common: strict types, bounds, and checks that name the key that is wrong."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from astromae.registry import Registry

#: Stands for the key of the section that a check belongs to, in what the check allows.
HERE = "{here}"


class Settings(BaseModel):
    """A section of the configuration, or what a step is told of it.

    Every field has a description, which is its meaning in docs/configuration.md. Numbers are not made from text,
    integers not from 3.0, and there is no .nan and no .inf.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


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


def wrong(key: str, value: Any, allowed: str) -> PydanticCustomError:
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
    context = {"key": key, "shown": show(value), "allowed": allowed, "words": allowed.replace(HERE, "")}
    return PydanticCustomError("wrong", "{key} is {shown}; allowed: {words}", context)


def missing(key: str) -> PydanticCustomError:
    """Return the error of a check that wants a key, from the section that is checked."""
    return PydanticCustomError("missing_key", "{key} is missing", {"key": key})


def problem(text: str) -> PydanticCustomError:
    """Return the error of a check in words that go on from the key of the section."""
    return PydanticCustomError("problem", "{text}", {"text": text})


@contextlib.contextmanager
def section(key: str) -> Iterator[None]:
    """Let the checks in the block name their keys from a section further up."""
    try:
        yield
    except PydanticCustomError as error:
        context = dict(error.context or {})
        if "key" in context:
            context["key"] = f"{key}.{context['key']}" if context["key"] else key
            context["allowed"] = context.get("allowed", "").replace(HERE, f"{key}.")
        else:
            context["text"] = f"{key}{context['text']}"
        raise PydanticCustomError(error.type, error.message_template, context) from None


def _one_line(text: str) -> str:
    # A line break in a path or a title is a slip of quoting in YAML.
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise wrong("", text, "text on one line, without control characters")
    return text


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("not_different", "values are repeated")
    return values


Value = TypeVar("Value")

#: A name that becomes part of a file's.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Text = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]

# YAML and JSON have lists; a model that cannot be changed holds tuples.
_DIFFERENT = Field(strict=False, json_schema_extra={"uniqueItems": True})
AnyOf = Annotated[tuple[Value, ...], _DIFFERENT, AfterValidator(_different)]
SomeOf = Annotated[tuple[Value, ...], _DIFFERENT, Field(min_length=1), AfterValidator(_different)]
Pair = Annotated[tuple[Value, Value], Field(strict=False)]


class NestedError(ValueError):
    """Settings of an entry of a table are wrong.

    Attributes
    ----------
    model, error
        The entry's model, and what it says.
    """

    def __init__(self, model: type[Settings], error: ValidationError):
        super().__init__("; ".join(str(found["msg"]) for found in error.errors()))
        self.model, self.error = model, error


class EntryOf:
    """Marks a field whose model is that of an entry of a table, which a key among its own names.

    Parameters
    ----------
    table
        Entries with an attribute `settings`, their model, which has the key as a field.
    key
        Names the entry.
    default
        The entry where the key is not given; a function of the given mapping.
    """

    def __init__(self, table: Registry, key: str, default: str | Any):
        self.table, self.key, self.default = table, key, default

    def _name(self, value: Mapping[str, Any]) -> Any:
        return value.get(self.key, self.default(value) if callable(self.default) else self.default)

    def validate(self, value: Any) -> Settings:
        """Check a mapping by the model of the entry that it names."""
        if isinstance(value, Settings):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("not_a_mapping", "not a mapping")
        name = self._name(value)
        if not isinstance(name, str) or name not in self.table:
            raise wrong(self.key, name, f"{', '.join(self.table)}{near(name, self.table)}")
        model = self.table[name].settings
        try:
            return model.model_validate({self.key: name, **value})
        except ValidationError as error:
            raise NestedError(model, error) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Check with `validate`, write as the entry's model does."""
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda model: model.model_dump(mode="json")),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        """Allow what some entry allows."""
        return {"anyOf": [handler(self.table[name].settings.__pydantic_core_schema__) for name in self.table]}


def near(name: object, names: Any) -> str:
    """Suggest the name that was probably meant, if one is close."""
    import difflib

    close = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""
