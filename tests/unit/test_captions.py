"""Captions: every family of results has one, and it quotes nothing that a run does not have."""

from pathlib import Path

import pytest
from astromae.documents.captions import caption_file, caption_title, render_caption
from astromae.errors import InputError

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CAPTIONS = sorted(REPORT.glob("*/*.rst"))
#: What captions may quote of a run.
WILDCARDS = {"experiment": "experiment1", "table": "table4", "part": "experiment1-pretrained", "phase": "finetuning"}

#: Figures of settings and networks alone.
WITHOUT_PIXELS = {"learning-rate", "scheme-autoencoder", "scheme-inception", "scheme-models"}


@pytest.mark.parametrize("file", CAPTIONS, ids=lambda file: f"{file.parent.name}/{file.stem}")
@pytest.mark.parametrize("survey", ["embedded", "sdss", "cube"])
def test_captions_render(file, survey):
    html = render_caption(file, WILDCARDS, {"survey": survey})
    assert "{" not in html and len(html) > 40
    assert survey == "embedded" or "simulated" not in html
    assert "<h1" not in html and caption_title(file)


@pytest.mark.parametrize("survey", ["embedded", "sdss"])
@pytest.mark.parametrize("name", [file.stem for file in CAPTIONS if file.parent.name == "figures"])
def test_captions_of_measured_figures_say_what_is_simulated(name, survey):
    html = render_caption(REPORT / "figures" / f"{name}.rst", WILDCARDS, {"survey": survey})
    assert ("simulated" in html) == (survey == "embedded" and name not in WITHOUT_PIXELS)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("density-experiment1-scratch", "density"),
        ("density-{part}", "density"),
        ("learning-rate-{phase}-{experiment}", "learning-rate"),
        ("pretraining-experiment2", "pretraining"),
        ("stamps", "stamps"),
    ],
)
def test_a_figure_has_the_caption_of_its_longest_family(name, family):
    assert caption_file(REPORT / "figures", name) == REPORT / "figures" / f"{family}.rst"


def test_a_figure_without_a_caption_is_named():
    with pytest.raises(InputError, match=r"no caption for residuals2-experiment1; write residuals2\.rst"):
        caption_file(REPORT / "figures", "residuals2-experiment1")


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
