"""The page of a run's results: tables, figures and provenance in one HTML file that needs nothing else."""

import base64
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astromae.documents.captions import GENERAL, caption_html
from astromae.documents.look_alikes import shown_look_alikes
from astromae.errors import InputError
from astromae.evaluation.records import read_values
from astromae.files import write_text

#: The page's template, in the folder of the report's source.
TEMPLATE = "page.html.jinja"

_KINDS = {".png": "image/png", ".csv": "text/csv"}


def write_results_page(
    source: Path,
    values: Sequence[Path],
    figures: Sequence[Path],
    about: dict[str, dict[str, Any]],
    tables: Sequence[Path],
    paper: Path,
    output: Path,
    look_alikes: Path | None = None,
) -> None:
    """Write the page of a run's results.

    Parameters
    ----------
    source
        Folder of the report's source, which holds the template.
    values
        Named values: ``survey.json``, and one file for each experiment.
    figures
        Figures to show (PNG), in order.
    about
        Of each figure, by its name: ``title``, ``experiment`` (or null) for its place, and ``caption``, which is
        reStructuredText.
    tables
        Files of tables that the page offers for download.
    paper
        The paper (PDF), which the page links to.
    output
        Page to write.
    look_alikes
        What it shows of look-alikes (`astromae.figures.look_alikes`); None where a run has none.

    Raises
    ------
    InputError
        If a file is missing or cannot be read, no values of a survey are given, or a figure has no description.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

    survey, experiments = read_values(values)
    unknown = [path.stem for path in figures if path.stem not in about]
    if unknown:
        raise InputError(f"figure {unknown[0]}: it has no description; known: {', '.join(about) or 'none'}")
    shown = [_figure(path, about[path.stem]) for path in figures]
    headings = [(None, GENERAL), *((it["experiment"], it["title"]) for it in experiments)]
    environment = Environment(
        loader=FileSystemLoader(source),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = lambda text: re.sub(r"^-(?=\d)", "−", text)
    try:
        page = environment.get_template(TEMPLATE).render(
            survey=survey,
            experiments=experiments,
            figures=[
                (heading, [it for it in shown if it["experiment"] == experiment]) for experiment, heading in headings
            ],
            downloads=[_download(path) for path in tables],
            paper=os.path.relpath(paper, output.parent),
            look_alikes=look_alikes and shown_look_alikes(look_alikes, source, experiments, tables),
        )
    except TemplateError as error:
        raise InputError(f"{source / TEMPLATE}: {error}") from error
    write_text(output, page)


def _figure(path: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Return a figure with its description, its caption as HTML."""
    width, height = _pixels(path)
    return {
        "name": path.stem,
        "experiment": about["experiment"],
        "title": about["title"],
        "caption": caption_html(about["caption"], path.stem),
        "image": _data_address(path),
        # three pixels of the file to two of the page: text of the figure as large as the page's own
        "width": 2 * width // 3,
        "height": 2 * height // 3,
    }


def _pixels(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG file, which stand at the beginning of its first chunk."""
    try:
        with open(path, "rb") as file:
            head = file.read(24)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError(f"{path}: not a PNG file")
    return struct.unpack(">II", head[16:24])


def _download(path: Path) -> dict[str, str]:
    """Return a file that the page carries along."""
    return {"name": path.name, "address": _data_address(path)}


def _data_address(path: Path) -> str:
    """Return a file's bytes as an address that needs no file."""
    try:
        content = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return f"data:{_KINDS.get(path.suffix, 'text/plain')};base64,{content}"
