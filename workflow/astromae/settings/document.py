"""What is made from the models: docs/configuration.md, and the JSON schema by which editors complete keys."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astromae.settings.configuration import configuration_model
from astromae.settings.files import DEFAULTS_PATH
from astromae.settings.messages import Schema, allowed, schema_of

#: The files that are made, in the repository.
REFERENCE_PATH = DEFAULTS_PATH.parent / "docs/configuration.md"
SCHEMA_PATH = DEFAULTS_PATH.parent / "workflow/schemas/config.schema.json"

_INTRODUCTION = """\
# Configuration

Every key of `config.yaml` and of the studies in `workflow/studies`, whose values are the defaults here. Lay your own
file over it with `--configfile`: it needs only the keys that differ. A wrong key or value stops a run before its first
job.

`<name>` stands for names that you choose: lower-case letters, digits and hyphens, beginning with a letter.
Where entries differ in a key, its default is given for each, or as "by entry" where they are many.

This page is made by `astromae docs-configuration` from the models in `workflow/astromae` and from
`config.yaml`; edit those. An editor that knows YAML helps with the keys of your own file if its first line is
`# yaml-language-server: $schema=` and the path to `workflow/schemas/config.schema.json`.
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
        What it means; empty if its model does not say.
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
    """Yield every key that holds a value, and the sections that hold keys, in the order of their models.

    Parameters
    ----------
    config
        The defaults.
    """
    yield from _keys(schema_of(configuration_model()), (), [("", config)])


def _keys(schema: Schema, path: tuple[str, ...], defaults: list[tuple[str, Any]]) -> Iterator[Key]:
    """Yield the keys below `schema`; `defaults` are the values of each entry there, with its name."""
    for name, parts in _by_name(schema).items():
        above = [(entry, value) for entry, value in defaults if isinstance(value, Mapping)]
        below = [(entry, value[name]) for entry, value in above if name in value]
        yield from _described(parts, len(schema.choices()), (*path, name), below, len(below) < len(above))
    if (entries := schema.chosen()) is not None:
        below = [(entry, value) for _, given in defaults for entry, value in given.items()]
        yield Key((*path, "<name>"), _text(entries.choices()[0].get("description", "")), "", "", "")
        yield from _keys(entries, (*path, "<name>"), below)


def _by_name(schema: Schema) -> dict[str, list[tuple[str, Schema]]]:
    """Return the parts of each key, of all kinds of entry that have it, with the kind."""
    found: dict[str, list[tuple[str, Schema]]] = {}
    for choice in schema.choices():
        own = choice.keys() if choice.get("properties") else {}
        kind = next((str(part["const"]) for part in own.values() if "const" in part.part), "")
        for name, part in own.items():
            found.setdefault(name, []).append((kind, part))
    # First the key that says which kind it is.
    return dict(sorted(found.items(), key=lambda item: "const" not in item[1][0][1].part))


def _described(
    parts: list[tuple[str, Schema]],
    kinds: int,
    path: tuple[str, ...],
    defaults: list[tuple[str, Any]],
    others_lack_it: bool,
) -> Iterator[Key]:
    """Yield a key that several kinds of entry may have, and those below it."""
    _, first = parts[0]
    section = any(part.keys() or part.chosen() for _, part in parts)
    words = "" if section and not any(_takes_null(part) for _, part in parts) else _allowed([p for _, p in parts])
    of = f" Of {', '.join(kind for kind, _ in parts)}." if len(parts) < kinds else ""
    default = "" if section else _default(defaults, first, others_lack_it)
    yield Key(path, _text(first.get("description", "")) + of, words, first.get("unit", ""), default)
    below = [key for _, part in parts if part.keys() or part.chosen() for key in _keys(part, path, defaults)]
    # Several kinds may have the same section.
    yield from dict.fromkeys(below)


def _takes_null(part: Schema) -> bool:
    return part.takes_null() or part.get("type") == "null"


def _allowed(parts: list[Schema]) -> str:
    words = list(dict.fromkeys(allowed(part).replace('"', "") for part in parts))
    return (", " if all("const" in part.part for part in parts) else " or ").join(words)


def _text(description: str) -> str:
    return " ".join(description.split())


def _default(defaults: list[tuple[str, Any]], part: Schema, others_lack_it: bool) -> str:
    """Return the default of a key, and those of the entries that have another."""
    shown = {entry: _show(value) for entry, value in defaults}
    own = "none" if part.get("default") is None else _show(part["default"])
    if not shown:
        return own
    if others_lack_it and "default" in part.part:
        shown = {entry: value for entry, value in shown.items() if value != own}
        if len(shown) > _SHOWN:
            return f"{own}, or by entry"
        return ", ".join([own, *(f"{entry}: {value}" for entry, value in shown.items())])
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
        The defaults, content of config.yaml; sections stand in its order.
    """
    lines = [_INTRODUCTION]
    sections: dict[str, list[Key]] = {name: [] for name in config}
    for key in keys(config):
        sections.setdefault(key.path[0], []).append(key)
    for section, rows in sections.items():
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


def editor_schema() -> str:
    """Return the JSON schema of a configuration for editors, in which no key is required: a preset gives some only."""
    schema = _without_required(configuration_model().model_json_schema())
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**title, **schema, "title": "Configuration of the AstroMAE workflow"}, indent=1) + "\n"


def _without_required(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_required(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        name: _without_required(value)
        for name, value in part.items()
        if not (name == "required" and isinstance(value, list)) and not (name == "title" and isinstance(value, str))
    }


def write_documents(config: Path, reference_path: Path, schema_path: Path) -> None:
    """Write the reference and the schema.

    Parameters
    ----------
    config
        Configuration that holds the defaults.
    reference_path, schema_path
        Files to write (Markdown, JSON).
    """
    from astromae.files import write_text
    from astromae.settings.files import read_defaults

    write_text(reference_path, reference(read_defaults(config)))
    write_text(schema_path, editor_schema())
