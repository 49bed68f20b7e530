"""What all settings have in common: strict types, bounds, and checks that name the key that is wrong."""

import contextlib
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

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
    context = {"key": key, "shown": show(value), "allowed": allowed, "words": placed(allowed, "")}
    return PydanticCustomError("wrong", "{key} is {shown}; allowed: {words}", context)


def missing(key: str) -> PydanticCustomError:
    """Return the error of a check that wants a key, from the section that is checked."""
    return PydanticCustomError("missing_key", "{key} is missing", {"key": key})


def problem(text: str) -> PydanticCustomError:
    """Return the error of a check that says in words of its own, with `HERE` and `SECTION`, what is wrong."""
    return PydanticCustomError("problem", "{words}", {"text": text, "words": placed(text, "")})


def placed(text: str, key: str) -> str:
    """Put the key of a section into the words of a check."""
    return text.replace(HERE, f"{key}." if key else "").replace(SECTION, key or "settings")


@contextlib.contextmanager
def section(key: str) -> Iterator[None]:
    """Let the checks in the block name their keys from a section further up."""
    try:
        yield
    except PydanticCustomError as error:
        context = {name: placed(value, key) for name, value in (error.context or {}).items()}
        if "key" in context:
            context["key"] = f"{key}.{context['key']}" if context["key"] else key
        raise PydanticCustomError(error.type, error.message_template, context) from None


def _one_line(text: str) -> str:
    # A line break in a path or a title is a slip of quoting in YAML.
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise wrong("", text, "text on one line, without control characters")
    return text


class _Different:
    """Marks a list in which no value stands twice."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        return {**handler(schema), "uniqueItems": True}

    @staticmethod
    def _check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise PydanticCustomError("not_different", "values are repeated")
        return values


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
AnyOf = Annotated[tuple[Value, ...], Field(strict=False), _Different()]
SomeOf = Annotated[tuple[Value, ...], Field(strict=False, min_length=1), _Different()]
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


class NameIn:
    """Marks a field that names an entry of a table."""

    def __init__(self, table: Registry):
        self.table = table

    def validate(self, name: Any) -> str:
        """Return the name of an entry."""
        if not isinstance(name, str) or name not in self.table:
            raise wrong("", name, f"{', '.join(self.table)}{near(name, self.table)}")
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Check with `validate`."""
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        """Allow the names."""
        return {"enum": list(self.table), "type": "string"}


class EntryOf:
    """Marks a field that holds settings of an entry of a table, which one of its keys names.

    Parameters
    ----------
    table
        The entries.
    key
        Names the entry.
    default
        The entry of a mapping without that key.
    model
        Called with a name, returns the model of the entry's settings, the key itself among its fields.
    """

    def __init__(
        self,
        table: Registry,
        key: str,
        default: Callable[[Mapping[str, Any]], str],
        model: Callable[[str], type[Typed]],
    ):
        self.table, self.key, self.default, self.model = table, key, default, model

    def validate(self, value: Any) -> Typed:
        """Check a mapping by the model of the entry that it names."""
        if isinstance(value, Typed):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("not_a_mapping", "not a mapping")
        name = value.get(self.key, self.default(value))
        with section(self.key):
            NameIn(self.table).validate(name)
        model = self.model(name)
        try:
            return model.model_validate({**value, self.key: name})
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
        return {"anyOf": [handler(self.model(name).__pydantic_core_schema__) for name in self.table]}


def near(name: object, names: Any) -> str:
    """Suggest the name that was probably meant, if one is close."""
    close = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""
