"""Captions: every family of results has one, and it quotes nothing that a run does not have."""

from pathlib import Path

import pytest
from astromae.documents.captions import GENERAL, caption_html, caption_title, fill_caption, shown
from astromae.errors import InputError
from astromae.figures import FIGURES
from astromae.products import Member, Product
from astromae.registry import Registry
from astromae.tables import TABLES

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CAPTIONS = sorted(REPORT.glob("*/*.rst"))
#: What captions may quote of a run.
WILDCARDS = {"experiment": "experiment1", "table": "table4", "part": "experiment1-pretrained", "phase": "finetuning"}

#: Figures of settings and networks alone.
WITHOUT_PIXELS = {"learning-rate", "scheme-autoencoder", "scheme-inception", "scheme-models"}


def render_caption(file, wildcards, config):
    """Return a caption's text for one result as HTML, without its title."""
    return caption_html(fill_caption(file.read_text(), wildcards, config, str(file)), str(file))


@pytest.mark.parametrize("file", CAPTIONS, ids=lambda file: f"{file.parent.name}/{file.stem}")
@pytest.mark.parametrize("survey", ["embedded", "sdss", "cube"])
def test_captions_render(file, survey):
    html = render_caption(file, WILDCARDS, {"survey": survey})
    assert "{" not in html and len(html) > 40
    assert survey == "embedded" or "simulated" not in html
    assert "<h1" not in html and caption_title(file.read_text())


@pytest.mark.parametrize("survey", ["embedded", "sdss"])
@pytest.mark.parametrize("name", [file.stem for file in CAPTIONS if file.parent.name == "figures"])
def test_captions_of_measured_figures_say_what_is_simulated(name, survey):
    html = render_caption(REPORT / "figures" / f"{name}.rst", WILDCARDS, {"survey": survey})
    assert ("simulated" in html) == (survey == "embedded" and name not in WITHOUT_PIXELS)


OF_1 = {"experiment": "experiment1"}
CONFIG = {"survey": "embedded", "experiments": {"experiment1": {"title": "Experiment 1"}}}


def member(family, **wildcards):
    return Member(family, family, wildcards, {}, {}, [])


@pytest.mark.parametrize(
    ("family", "wildcards", "title", "heading"),
    [
        (
            "density",
            OF_1 | {"part": "experiment1-scratch"},
            "Predicted against spectroscopic redshift, scratch",
            "Experiment 1",
        ),
        (
            "learning-rate",
            {"phase": "finetuning", "experiment": "experiment1"},
            "Learning rate, fine-tuning",
            "Experiment 1",
        ),
        (
            "published",
            {"experiment": "experiment1", "table": "table4"},
            "Metrics beside the published ones",
            "Experiment 1",
        ),
        ("stamps", {}, "Galaxies of the survey", GENERAL),
    ],
)
def test_a_figure_is_shown_under_its_experiment_with_what_tells_it_from_others(family, wildcards, title, heading):
    said = shown(FIGURES, member(family, **wildcards), REPORT / "figures", CONFIG)
    assert (said.title, said.heading, said.experiment) == (title, heading, wildcards.get("experiment"))
    assert said.caption.startswith(title.partition(",")[0]) and "{" not in said.caption


@pytest.mark.parametrize(("table", "folder"), [(FIGURES, "figures"), (TABLES, "tables")])
def test_every_family_has_a_caption(table, folder):
    assert {file.stem for file in (REPORT / folder).glob("*.rst")} - {"models"} == set(table)


def test_a_figure_without_a_caption_is_named():
    table = Registry("figure", {})
    table.register("residuals2", Product("residuals2", print))
    with pytest.raises(InputError, match=r"no caption for residuals2; write residuals2\.rst"):
        shown(table, member("residuals2"), REPORT / "figures", CONFIG)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Title\n=====\n\nOf {{ snakemake.wildcards.colour }}.\n", "colour"),
        ("Title\n=====\n\nAn *open emphasis.\n", "emphasis"),
        ("No title, only text.\n", "no title"),
    ],
)
def test_a_faulty_caption_is_named(tmp_path, text, message):
    file = tmp_path / "density.rst"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"density\.rst: .*{message}"):
        render_caption(file, WILDCARDS, {"survey": "embedded"})
