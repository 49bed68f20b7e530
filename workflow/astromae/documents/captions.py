"""Captions of what a report shows: one file for each family of figures and for each kind of other result.

A caption is reStructuredText whose first line is its title. What depends on the run is a template's expression
of ``snakemake.wildcards`` and ``snakemake.config``, the names that Snakemake gives captions.
"""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from astromae.errors import InputError

#: Heading of results that are of no single experiment.
GENERAL = "Survey and method"


def caption_file(folder: Path, name: str) -> Path:
    """Return the caption of a result: that of the longest family that its name begins with.

    Parameters
    ----------
    folder
        Folder of the captions of one kind of result.
    name
        Name of the result without its suffix, or the pattern of its names: ``density-experiment2`` and
        ``density-{part}`` are of the family ``density``, and ``{table}`` is of the family ``table``.

    Raises
    ------
    InputError
        If there is none.
    """
    words = name.replace("{", "").replace("}", "").split("-")
    families = ["-".join(words[:end]) for end in range(len(words), 0, -1)]
    for family in families:
        if (folder / f"{family}.rst").is_file():
            return folder / f"{family}.rst"
    raise InputError(f"{folder}: no caption for {name}; write {families[-1]}.rst, its title in the first line")


def caption_title(file: Path) -> str:
    """Return a caption's title."""
    return file.read_text(encoding="utf-8").partition("\n")[0]


def render_caption(file: Path, wildcards: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """Return a caption's text for one result as HTML, without its title.

    Parameters
    ----------
    file
        Its caption.
    wildcards
        What stands for the wildcards of the result's rule.
    config
        What captions may quote of the configuration.

    Raises
    ------
    InputError
        If the caption quotes something else, or is not reStructuredText with a title.
    """
    from docutils.core import publish_parts
    from docutils.utils import SystemMessage
    from jinja2 import Environment, StrictUndefined, TemplateError

    job = SimpleNamespace(wildcards=dict(wildcards), config=dict(config))
    try:
        template = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        text = template.from_string(file.read_text(encoding="utf-8")).render(snakemake=job)
        settings = {"halt_level": 2, "report_level": 5, "file_insertion_enabled": False, "raw_enabled": False}
        parts = publish_parts(text, writer="html5", settings_overrides=settings | {"_disable_config": True})
    except (OSError, TemplateError, SystemMessage) as error:
        raise InputError(f"{file}: {error}") from error
    if not parts["title"]:
        raise InputError(f"{file}: has no title; underline its first line")
    return parts["body"]
