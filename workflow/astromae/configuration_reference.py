"""The reference of the configuration, from its schema and the defaults."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from astromae.configuration import allowed, read_schema, resolved

_INTRODUCTION = """\
# Configuration

Every key of `config.yaml`, whose values are the defaults here. Lay your own file over it with `--configfile`:
it needs only the keys that differ. A wrong key or value stops a run before its first job.

`<name>` stands for names that you choose: lower-case letters, digits and hyphens, beginning with a letter.
Where entries differ in a key, its default is given for each, or as "by entry" where they are many.

This page is made by `astromae docs-configuration` from `workflow/schemas/config.schema.yaml` and
`config.yaml`; edit those.
"""

#: Entries whose defaults are given one by one.
_SHOWN = 3

#: Characters of a default that is shown; a longer list stands in config.yaml.
_LONGEST = 60


@dataclass(frozen=True)
class Key:
    """One key of the configuration.

    Attributes
    ----------
    path
        Names from the top; ``<name>`` for one that a person chooses.
    description
        What it means; empty if the schema does not say.
    allowed
        What it may hold, in words.
    unit
        Of its value; empty for none.
    default
        As in YAML.
    """

    path: tuple[str, ...]
    description: str
    allowed: str
    unit: str
    default: str


def keys(config: Mapping[str, Any]) -> Iterator[Key]:
    """Yield every key of the schema that holds a value, in its order, and the sections that hold keys.

    Parameters
    ----------
    config
        The defaults.
    """
    yield from _keys(read_schema(), (), [("", config)])


def _keys(schema: Mapping[str, Any], path: tuple[str, ...], defaults: list[tuple[str, Any]]) -> Iterator[Key]:
    """Yield the keys below `schema`; `defaults` are the values of each entry there, with its name."""
    schema = resolved(schema)
    chosen = schema.get("additionalProperties")
    if path:
        section = "properties" in schema or isinstance(chosen, Mapping)
        yield Key(
            path,
            " ".join(schema.get("description", "").split()),
            "" if section and schema["type"] == "object" else allowed(schema),
            schema.get("unit", ""),
            "" if section else _default(defaults),
        )
    for name, part in schema.get("properties", {}).items():
        below = [(entry, value[name]) for entry, value in defaults if isinstance(value, Mapping) and name in value]
        yield from _keys(part, (*path, name), below)
    if isinstance(chosen, Mapping):
        below = [(entry, value) for _, section in defaults for entry, value in section.items()]
        yield from _keys(chosen, (*path, "<name>"), below)


def _default(defaults: list[tuple[str, Any]]) -> str:
    """Return the default of a key, or those of the entries that have it."""
    shown = {entry: _show(value) for entry, value in defaults}
    if not shown:
        return "none"
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    if len(shown) > _SHOWN:
        return "by entry"
    return ", ".join(f"{entry}: {value}" for entry, value in shown.items())


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if len(text) <= _LONGEST else f"{len(value)} values"


def reference(config: Mapping[str, Any]) -> str:
    """Return the reference as Markdown.

    Parameters
    ----------
    config
        The defaults, content of config.yaml.
    """
    lines = [_INTRODUCTION]
    top = read_schema()["properties"]
    for section in top:
        rows = [key for key in keys(config) if key.path[0] == section]
        lines += [f"## {section}", ""]
        if len(rows) > 1:
            lines += [rows[0].description, ""]
        lines += ["| key | default | allowed | unit | meaning |", "|---|---|---|---|---|"]
        for key in rows if len(rows) == 1 else rows[1:]:
            name = "`" + ".".join(key.path) + "`"
            cells = (name, key.default, key.allowed, key.unit, key.description)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
