"""The page of results: numbers have their minus, names keep their hyphens, and no figure is lost."""

import json
from pathlib import Path

import pytest
from astromae.documents.captions import GENERAL
from astromae.documents.results_page import write_results_page
from astromae.errors import InputError

SOURCE = Path(__file__).parents[2] / "workflow" / "report"


def figure(path):
    """Return name of a figure, and what the page is told of it."""
    experiment = next((name for name in ("experiment1", "experiment2") if name in path.stem), None)
    caption = f"Title\n=====\n\nCaption of {path.stem}.\n"
    return path.stem, {"title": f"Title of {path.stem}", "experiment": experiment, "caption": caption}


def page(results, folder, provenance=(), **changed):
    """Write the page of a run, with some values of each experiment and its provenance replaced, and return its text."""
    values = [results["values"][0]]
    for path in results["values"][1:]:
        content = json.loads(path.read_text())
        content["provenance"] |= dict(provenance)
        values.append(folder / path.name)
        values[-1].write_text(json.dumps(content | changed))
    figures = [path.with_suffix(".png") for path in results["figures"]]
    table = folder / "cost.csv"
    table.write_text("model\n")
    write_results_page(
        SOURCE, values, figures, dict(map(figure, figures)), [table], folder / "a.pdf", folder / "index.html"
    )
    return (folder / "index.html").read_text()


def test_only_the_sign_of_a_number_becomes_a_minus(results, tmp_path):
    device = "Processor X-5 E5-2670 v3"
    versions = [{"package": "torch", "version": "2.14.1-rc1"}]
    text = page(results, tmp_path, provenance={"devices": [device], "versions": versions})
    assert f"<td>{device}</td>" in text and "<td>2.14.1-rc1</td>" in text
    lowest = min(float(cell["low"]) for row in experiment_rows(results) for cell in row["cells"].values())
    assert lowest < 0 and f"[−{abs(lowest)}" in text


def experiment_rows(results):
    return json.loads(results["values"][1].read_text())["rows"]


def test_figures_stand_under_their_experiments_though_titles_are_equal(results, tmp_path):
    text = page(results, tmp_path, title="The same")
    shown = [part.partition('"')[0] for part in text.split('<figure id="')[1:]]
    assert sorted(shown) == sorted(path.stem for path in results["figures"])
    assert f">{GENERAL}: figures<" in text and text.count(">The same: figures<") == 2


def test_what_is_missing_is_named(results, tmp_path):
    with pytest.raises(InputError, match=r"values survey: survey\.json and at least one experiment's are needed"):
        write_results_page(SOURCE, results["values"][:1], [], {}, [], tmp_path / "a.pdf", tmp_path / "index.html")
    with pytest.raises(InputError, match="figure stamps: it has no description"):
        write_results_page(
            SOURCE, results["values"], [Path("stamps.png")], {}, [], tmp_path / "a.pdf", tmp_path / "index.html"
        )
