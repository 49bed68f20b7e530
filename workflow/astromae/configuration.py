"""Checking a configuration before the first job, one clear line for what is wrong.

The schema says what each key may hold. This module turns the first violation into a line that names the
key, its value and what is allowed, and checks what a schema cannot say: sums, names that refer to each
other, and sizes that must fit together.
"""

import difflib
import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from astromae.errors import InputError
from astromae.plugins import listed_plugins, load_plugins
from astromae.sizes import source_size, visible_patches
from astromae.survey.archive import check_archive
from astromae.survey.selections import cuts_of

#: The schema, beside the package in the repository.
SCHEMA_PATH = Path(__file__).resolve().parents[1] / "schemas" / "config.schema.yaml"

#: The defaults, in the root of the repository.
DEFAULTS_PATH = Path(__file__).resolve().parents[2] / "config.yaml"

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}

# The Inception branch pools 32 pixels to 4, which its 192 features take for granted (figure 3 of the paper).
_INCEPTION_SIDE = 32

# Names of files beside those that carry the name of an experiment, a table or a model.
_TAKEN = {
    "experiment": {"survey": "results/values/survey.json holds the survey's numbers"},
    "table": {"cost": "results/tables/cost.csv is the table of cost"},
    "model": {"hgb-magnitudes": "it is the classical method"},
}

# Bits of an object identifier: fields of a strip are numbered from 11 and stay below 2^12. Files of chunks are
# numbered with four digits.
_MOST_FIELDS, _MOST_STRIPS = 2**12 - 11, 9999

# JSON Schema counts 3.0 as an integer; Python's range() and the command line do not.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check_configuration(config: Mapping[str, Any]) -> None:
    """Check a configuration, as laid together from config.yaml, presets and the command line.

    Parameters
    ----------
    config
        The whole configuration.

    Raises
    ------
    InputError
        At the first thing that is wrong: one line with the key, its value and what is allowed.
    """
    _check_values(config, [])
    errors = sorted(_Validator(read_schema()).iter_errors(config), key=_order)
    if errors:
        raise InputError(_line(errors[0]))
    if config["survey"] == "embedded":
        _check_embedded(config["embedded"], config["experiments"])
    _check_sdss(config["sdss"])
    _check_networks(config)
    for name, model in config["models"].items():
        _check_model(f"models.{name}", model, config["backbones"])
    for name, experiment in config["experiments"].items():
        _check_experiment(f"experiments.{name}", experiment, config["models"])
    _check_names(config)
    _check_batches(config)
    if config["training"]["precision"] == "16-mixed" and config["training"]["gpus"] == 0:
        raise _wrong("training.precision", "16-mixed", "auto, 32-true or bf16-mixed while training.gpus is 0")
    if config["training"]["nodes"] > 1 and config["training"]["gpus"] == 0:
        raise _wrong("training.nodes", config["training"]["nodes"], "1 while training.gpus is 0")
    # A bundle reads no frames.
    if config["survey"] == "sdss" and config["bundle"] is None:
        check_archive(config["sdss"]["archive"], config["sdss"]["release"])


def read_configuration(path: Path | None = None) -> dict[str, Any]:
    """Read a configuration as a run with ``--configfile path`` has it: laid over config.yaml, and checked.

    Parameters
    ----------
    path
        A preset or a configuration of one's own; None for config.yaml alone.

    Raises
    ------
    InputError
        If the file is missing or no YAML with keys, or the configuration is wrong.
    """
    config = read_yaml(DEFAULTS_PATH)
    if path is not None:
        config = _laid_over(config, read_yaml(path))
    try:
        load_plugins(listed_plugins(config))
        check_configuration(config)
    except InputError as error:
        raise InputError(f"{path or DEFAULTS_PATH}: {error}") from None
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values.

    Raises
    ------
    InputError
        If it cannot be read, is no YAML, or has no keys.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a configuration ({error})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else _show(content)
        raise InputError(f"{path}: holds {found}; a configuration holds keys with values, as config.yaml does")
    return content


def _laid_over(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with other values where some are given, as Snakemake does it."""
    both = {key: (config[key], given[key]) for key in config.keys() & given.keys()}
    merged = {
        key: _laid_over(ours, theirs)
        for key, (ours, theirs) in both.items()
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping)
    }
    return {**config, **given, **merged}


@functools.cache
def read_schema() -> dict[str, Any]:
    """Return the schema of the configuration."""
    return yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8"))


def _show(value: Any) -> str:
    """Return a value as it would stand in YAML, shortened."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _near(name: object, names: Iterable[str]) -> str:
    """Suggest the name that was probably meant, if one is close."""
    close = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _wrong(key: str, value: Any, allowed: str) -> InputError:
    return InputError(f"configuration: {key} is {_show(value)}; allowed: {allowed}")


def _order(error: jsonschema.ValidationError) -> tuple[bool, int, str]:
    """Unknown keys first: a misspelt key is also a missing one, and its name says more."""
    return error.validator != "additionalProperties", len(error.absolute_path), error.json_path


def _line(error: jsonschema.ValidationError) -> str:
    """Return one line for a violation of the schema."""
    path = [str(part) for part in error.absolute_path]
    key = ".".join(path) or "the configuration"
    schema = error.schema
    if error.validator == "additionalProperties":
        known = sorted(schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        return (
            f"configuration: {'.'.join([*path, str(unknown)])} is an unknown key "
            f"(value {_show(error.instance[unknown])}); allowed: {', '.join(known)}{_near(unknown, known)}"
        )
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"configuration: {'.'.join([*path, missing])} is missing; config.yaml explains what it holds"
    if "propertyNames" in error.absolute_schema_path:
        return f"configuration: {key}.{error.instance} is not a valid name; allowed: {allowed(schema)}"
    hint = ""
    if isinstance(error.instance, str) and error.validator == "type" and _reads_as_number(error.instance):
        hint = " (it was read as text: YAML wants 1.0e-3 for 1e-3; give nested keys with --configfile)"
    return f"{_wrong(key, error.instance, allowed(schema))}{hint}"


def _reads_as_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of the schema with the definition that it refers to; its own keywords come first."""
    if "$ref" not in schema:
        return dict(schema)
    return read_schema()["$defs"][schema["$ref"].rpartition("/")[2]] | schema


def allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a part of the schema allows."""
    schema = resolved(schema)
    if "const" in schema:
        return _show(schema["const"])
    if "enum" in schema:
        return ", ".join(value if isinstance(value, str) else json.dumps(value) for value in schema["enum"])
    if "pattern" in schema:
        return "lower-case letters, digits and hyphens, beginning with a letter"
    types = schema["type"]
    words = " or ".join(_TYPES[name] for name in ([types] if isinstance(types, str) else types))
    if "items" in schema:
        count = {2: "two", None: "one or more" if schema.get("minItems") else "any number of"}
        different = "different " if schema.get("uniqueItems") else ""
        words += f" of {count[schema.get('maxItems')]} {different}values, each {allowed(schema['items'])}"
    if "properties" in schema:
        words += f" with the keys {', '.join(schema['properties'])}"
    if schema.get("minLength") or schema.get("minProperties"):
        words += " that is not empty"
    bounds = [f"{word} {schema[keyword]}" for keyword, word in _BOUNDS.items() if keyword in schema]
    return f"{words} {' and '.join(bounds)}".strip()


def _check_values(value: Any, path: list[str]) -> None:
    """Refuse what passes every bound of a schema or none that one would notice.

    That is .nan and .inf, and control characters in a text: a line break in a path or a title is a slip of quoting
    in YAML.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_values(item, [*path, str(key)])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_values(item, [*path, str(index)])
    elif isinstance(value, str) and re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", value):
        raise _wrong(".".join(path), value, "text on one line, without control characters")
    elif isinstance(value, float) and not math.isfinite(value):
        raise _wrong(".".join(path), str(value), "a finite number")


def _check_networks(config: Mapping[str, Any]) -> None:
    """Check that backbones, decoder, crop, rotation and mask fit together."""
    crop, size = config["scaling"]["crop"], config["stamps"]["size"]
    for name, backbone in config["backbones"].items():
        key = f"backbones.{name}"
        _check_heads(key, backbone)
        if crop % backbone["patch"]:
            raise _wrong(f"{key}.patch", backbone["patch"], f"a divisor of scaling.crop ({crop})")
        pcm = backbone["pcm"]
        if pcm and backbone["width"] % pcm["groups"]:
            raise _wrong(f"{key}.pcm.groups", pcm["groups"], f"a divisor of {key}.width ({backbone['width']})")
        if pcm and pcm["pretrain_kernel"] > pcm["finetune_kernel"]:
            raise _wrong(
                f"{key}.pcm.pretrain_kernel",
                pcm["pretrain_kernel"],
                f"at most finetune_kernel ({pcm['finetune_kernel']}), to which it is zero-padded",
            )
    _check_heads("decoder", config["decoder"])
    augmentation = config["augmentation"]
    rotated = augmentation["rotation_deg"] > 0 and augmentation["rotate_before_crop"]
    # A stamp has no middle pixel that an odd crop could have for its own.
    fitting = [side for side in range(2, size + 1, 2) if source_size(side, augmentation) <= size]
    if crop not in fitting:
        why = "so that a rotated crop stays inside the stamp" if rotated else "the stamp's size"
        raise _wrong("scaling.crop", crop, f"an even number, at most {fitting[-1]}, {why}")
    inception = [name for name, model in config["models"].items() if model["inception"]]
    if inception and crop != _INCEPTION_SIDE:
        raise _wrong("scaling.crop", crop, f"{_INCEPTION_SIDE} while a model has inception: true ({inception[0]})")
    for name, experiment in config["experiments"].items():
        ratio = experiment["pretraining"]["mask_ratio"]
        for backbone in config["backbones"].values():
            tokens = (crop // backbone["patch"]) ** 2
            if not 0 < visible_patches(tokens, ratio) < tokens:
                raise _wrong(
                    f"experiments.{name}.pretraining.mask_ratio",
                    ratio,
                    f"a ratio that hides and shows at least one of the {tokens} patches",
                )


def _check_heads(key: str, transformer: Mapping[str, Any]) -> None:
    if transformer["width"] % transformer["heads"]:
        raise _wrong(f"{key}.heads", transformer["heads"], f"a divisor of {key}.width ({transformer['width']})")


def _check_model(key: str, model: Mapping[str, Any], backbones: Iterable[str]) -> None:
    """Check that a model's branches make a network."""
    encoder = model["encoder"]
    if encoder is not None and encoder not in backbones:
        raise _wrong(f"{key}.encoder", encoder, f"null or a name in section backbones: {', '.join(backbones)}")
    if encoder is None and model["pretrained"]:
        raise _wrong(f"{key}.pretrained", True, "false while encoder is null: there is nothing to pretrain")
    if model["frozen"] and not model["pretrained"]:
        raise _wrong(f"{key}.frozen", True, "false while pretrained is false: random weights would stay random")
    if encoder is None and not model["inception"] and not model["magnitude"]:
        raise InputError(f"configuration: {key} has no branch; give it an encoder, inception: true or magnitude: true")


def _check_experiment(key: str, experiment: Mapping[str, Any], models: Mapping[str, Any]) -> None:
    """Check an experiment's split, its models and its schedules."""
    fractions = experiment["fractions"]
    total = math.fsum(fractions.values())
    if total > 1 + 1e-9:
        raise InputError(f"configuration: {key}.fractions add up to {total:.6g}; allowed: at most 1")
    for name in experiment["models"]:
        if name not in models:
            names = ", ".join(models)
            raise _wrong(f"{key}.models", name, f"names in section models: {names}{_near(name, models)}")
    if any(models[name]["pretrained"] for name in experiment["models"]):
        for role in ("pretrain_on", "validate_on"):
            for subset in experiment[role]:
                if fractions[subset] == 0:
                    filled = [name for name, fraction in fractions.items() if fraction > 0]
                    raise _wrong(f"{key}.{role}", subset, f"subsets with a fraction above 0: {', '.join(filled)}")
        both = sorted(set(experiment["pretrain_on"]) & set(experiment["validate_on"]))
        if both:
            raise _wrong(f"{key}.validate_on", both[0], f"subsets that are not in {key}.pretrain_on")
    for phase in ("pretraining", "finetuning"):
        _check_schedule(f"{key}.{phase}", experiment[phase])


def _check_schedule(key: str, phase: Mapping[str, Any]) -> None:
    schedule, epochs = phase["schedule"], phase["epochs"]
    if schedule["kind"] != "cosine":
        return
    if schedule["period_epochs"] < epochs:
        raise _wrong(
            f"{key}.schedule.period_epochs",
            schedule["period_epochs"],
            f"at least {key}.epochs ({epochs}): past its period the cosine would rise again",
        )
    if schedule["warmup_epochs"] > schedule["period_epochs"]:
        raise _wrong(
            f"{key}.schedule.warmup_epochs",
            schedule["warmup_epochs"],
            f"at most period_epochs ({schedule['period_epochs']})",
        )


def _check_embedded(embedded: Mapping[str, Any], experiments: Mapping[str, Any]) -> None:
    """Check that the galaxies can be dealt to fields, and that every subset of an experiment gets one."""
    galaxies, strips = embedded["galaxies"], len(embedded["runs"]) * len(embedded["camcols"])
    if strips > min(galaxies, _MOST_STRIPS):
        raise InputError(
            f"configuration: embedded.runs times embedded.camcols are {strips} strips; allowed: at most "
            f"{min(galaxies, _MOST_STRIPS)}, so that each has a galaxy (embedded.galaxies) and a number of four digits"
        )
    fields = math.ceil(galaxies / embedded["galaxies_per_field"] / strips)
    if fields > _MOST_FIELDS:
        least = math.ceil(galaxies / strips / _MOST_FIELDS)
        raise _wrong(
            "embedded.galaxies_per_field",
            embedded["galaxies_per_field"],
            f"at least {least}, so that a strip's {fields} fields become at most {_MOST_FIELDS}",
        )
    for name, experiment in experiments.items():
        for subset, fraction in experiment["fractions"].items():
            if 0 < fraction * galaxies < 1:
                raise _wrong(
                    f"experiments.{name}.fractions.{subset}",
                    fraction,
                    f"0, or at least {1 / galaxies:.2g}: one of embedded.galaxies ({galaxies})"
                    if subset.startswith("pretrain")
                    else f"at least {1 / galaxies:.2g}: one of embedded.galaxies ({galaxies})",
                )


def _check_sdss(sdss: Mapping[str, Any]) -> None:
    """Check what is asked of SkyServer, and where it is."""
    try:
        cuts_of(sdss["selection"], sdss["cuts"])
    except InputError as error:
        raise InputError(f"configuration: {error}") from None
    if not re.match(r"https?://[^\s/]", sdss["server"]):
        raise _wrong("sdss.server", sdss["server"], "an address that begins with https:// or http://")
    if sdss["table"] is not None and re.search(r"[{}]", sdss["table"]):
        raise _wrong("sdss.table", sdss["table"], "a path without braces, which Snakemake takes for wildcards")


def _check_batches(config: Mapping[str, Any]) -> None:
    """Check that no process of a training is left without a part of its batch."""
    processes = config["training"]["gpus"] * config["training"]["nodes"]
    for name, experiment in config["experiments"].items():
        for phase in ("pretraining", "finetuning"):
            size = experiment[phase]["batch_size"]
            if size < processes:
                raise _wrong(
                    f"experiments.{name}.{phase}.batch_size", size, f"at least {processes}, one stamp for each GPU"
                )


def _check_names(config: Mapping[str, Any]) -> None:
    """Check that no two files of a run would have the same name."""
    experiments = config["experiments"]
    named = {
        "experiment": {f"experiments.{name}": name for name in experiments},
        "table": {f"experiments.{name}.table": experiment["table"] for name, experiment in experiments.items()},
        "model": {f"models.{name}": name for name in config["models"]},
    }
    for kind, names in named.items():
        for key, name in names.items():
            if name in _TAKEN[kind]:
                raise InputError(f"configuration: {key}: {name} names no {kind}, since {_TAKEN[kind][name]}; rename it")
    for name in experiments:
        # The figures of a large experiment are divided by group.
        stem, _, group = name.rpartition("-")
        if group in ("scratch", "pretrained") and stem in experiments:
            raise InputError(
                f"configuration: experiments.{name} would share figures with experiments.{stem}; rename it"
            )
    owner: dict[str, str] = {}
    for name, experiment in experiments.items():
        table = experiment["table"]
        if table in owner:
            raise _wrong(f"experiments.{name}.table", table, f"a name that {owner[table]} does not use")
        owner[table] = name
