"""Captions: what a report says of a result, by its family.

A caption is reStructuredText whose first line is its title. What depends on the run is a template's expression
of ``snakemake.wildcards`` and ``snakemake.config``, the names that Snakemake gives captions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from astromae.errors import InputError

if TYPE_CHECKING:
    from astromae.products import Member, Product
    from astromae.registry import Registry

#: Heading of results that are of no single experiment.
GENERAL = "Survey and method"


@dataclass(frozen=True)
class Shown:
    """What a report says of a product.

    Attributes
    ----------
    title
        Its caption's title, and what tells it from others of its family and experiment.
    experiment
        The experiment that it is of; None where it is of no single one.
    heading
        Heading that it stands under: its experiment's title, or `GENERAL`.
    caption
        Its caption (reStructuredText).
    """

    title: str
    experiment: str | None
    heading: str
    caption: str


def shown(table: "Registry[Product]", member: "Member", folder: Path, config: Mapping[str, Any]) -> Shown:
    """Return what a report says of a product.

    Parameters
    ----------
    table
        Table that has its family.
    member
        The product.
    folder
        Folder of the captions of families that bring none.
    config
        The configuration.

    Raises
    ------
    InputError
        If there is no caption, or it quotes what a run does not have.
    """
    file, text = folder / f"{member.family}.rst", table[member.family].caption
    if text is None and not file.is_file():
        raise InputError(f"{folder}: no caption for {member.family}; write {file.name}, its title in the first line")
    text = file.read_text(encoding="utf-8") if text is None else text
    experiment = member.experiment
    others = [value for name, value in member.wildcards.items() if name not in ("experiment", "table")]
    parts = [value.removeprefix(experiment or "").strip("-") for value in others]
    title = ", ".join([caption_title(text), *filter(None, parts)]).replace("finetuning", "fine-tuning")
    heading = config["experiments"][experiment]["title"] if experiment else GENERAL
    return Shown(title, experiment, heading, fill_caption(text, member.wildcards, config, str(file)))


def caption_title(text: str) -> str:
    """Return a caption's title."""
    return text.partition("\n")[0]


def fill_caption(text: str, wildcards: Mapping[str, str], config: Mapping[str, Any], where: str) -> str:
    """Return a caption for one result: its expressions replaced by what they stand for.

    Parameters
    ----------
    text
        The caption.
    wildcards
        What stands for the wildcards of its family.
    config
        What captions may quote of the configuration.
    where
        Where it comes from, for messages.

    Raises
    ------
    InputError
        If the caption quotes something else.
    """
    from jinja2 import Environment, StrictUndefined, TemplateError

    job = SimpleNamespace(wildcards=dict(wildcards), config=dict(config))
    try:
        template = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(text)
        return template.render(snakemake=job)
    except TemplateError as error:
        raise InputError(f"{where}: {error}") from error


def caption_html(text: str, where: str) -> str:
    """Return a caption as HTML, without its title.

    Raises
    ------
    InputError
        If it is not reStructuredText with a title.
    """
    from docutils.core import publish_parts
    from docutils.utils import SystemMessage

    settings = {"halt_level": 2, "report_level": 5, "file_insertion_enabled": False, "raw_enabled": False}
    try:
        parts = publish_parts(text, writer="html5", settings_overrides=settings | {"_disable_config": True})
    except SystemMessage as error:
        raise InputError(f"{where}: {error}") from error
    if not parts["title"]:
        raise InputError(f"{where}: has no title; underline its first line")
    return parts["body"]
