"""The paper: built offline, from results alone, the same bytes each time; no number in it is typed."""

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import typst
from astromae.contracts.predictions import read_predictions
from astromae.documents.paper import MAIN, assemble, write_paper
from astromae.documents.values_survey import survey_values
from astromae.errors import InputError
from astromae.evaluation.comparisons import Comparison, compare
from astromae.evaluation.scores import score
from astromae.tables.formatting import duration, power_of_ten
from evaluation_inputs import (
    SETTINGS,
    predictions_file,
)
from PIL import Image

SOURCE = Path(__file__).parents[2] / "workflow" / "paper"


def words(content):
    """Return the text of a piece of the document, as the compiler's query gives it."""
    if isinstance(content, dict):
        return " ".join(words(value) for key, value in content.items() if key != "func")
    if isinstance(content, list):
        return "".join(words(value) for value in content)
    return content if isinstance(content, str) else ""


def captions(folder):
    """Return kind and caption of every figure and table of an assembled paper."""
    found = json.loads(typst.query(folder / MAIN, "figure", root=folder, ignore_system_fonts=True))
    return [(figure["kind"], words(figure["caption"]["body"])) for figure in found]


def assembled(results, folder, survey=None, figures=None):
    """Lay out the paper, with the survey's name replaced if wanted."""
    values = list(results["values"])
    if survey:
        named = folder / "named" / "survey.json"
        named.parent.mkdir()
        named.write_text(json.dumps(json.loads(values[0].read_text()) | {"survey": survey, "is_simulated": False}))
        values[0] = named
    target = folder / "assembled"
    target.mkdir()
    assemble(SOURCE, values, results["figures"] if figures is None else figures, results["tables"], target)
    return target


def test_builds_offline_to_the_same_bytes(results, tmp_path, capsys):
    for name in ("one.pdf", "two.pdf"):
        write_paper(SOURCE, results["values"], results["figures"], results["tables"], tmp_path / name)
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert pdf == (tmp_path / "two.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf
    assert "warning" not in capsys.readouterr().err
    fonts = {name.split(b"+")[-1] for name in re.findall(rb"/FontName ?/([\w+-]+)", pdf)}
    known = (b"Libertinus", b"NewCM", b"STIX", b"DejaVu")
    assert fonts and all(name.startswith(known) for name in fonts), fonts


def test_pages_have_something_on_them(results, tmp_path):
    folder = assembled(results, tmp_path)
    pages = typst.compile(folder / MAIN, root=folder, ignore_system_fonts=True, format="png", ppi=40)
    assert len(pages) > 3
    for number, page in enumerate(pages):
        (tmp_path / "page.png").write_bytes(page)
        ink = np.asarray(Image.open(tmp_path / "page.png").convert("L")) < 160
        # the last page has what is left of the references
        assert ink.mean() > (0.01 if number + 1 < len(pages) else 0.001), f"page {number + 1} is nearly empty"
        assert not ink[:, :10].any() and not ink[:, -10:].any(), f"page {number + 1} runs off the paper"
        # below the text only the page's number; a float that does not fit its column would run over it
        bottom = ink[-31:].copy()  # 20 mm
        bottom[:, ink.shape[1] // 2 - 8 : ink.shape[1] // 2 + 8] = False
        assert not bottom[4:].any(), f"page {number + 1} runs over its foot"


def test_captions_say_what_is_simulated(results, tmp_path):
    found = captions(assembled(results, tmp_path))
    images = [text for kind, text in found if kind == "image"]
    assert len(images) == len(results["figures"])
    for text in images:
        assert "Pixels are simulated" in text or text.strip().startswith(("Learning rate", "Scheme")), text
    tables = [text for kind, text in found if kind == "table" and "metrics on" in text]
    assert len(tables) == 2 and all("Pixels are simulated" in text for text in tables)
    assert all("not to be compared with ours directly" in re.sub(r"\s+", " ", text) for text in tables)


@pytest.mark.parametrize("survey", ["cube", "sdss", "another"])
def test_real_pixels_are_not_called_simulated(results, tmp_path, survey):
    folder = assembled(results, tmp_path, survey)
    assert not any("simulated" in text for _, text in captions(folder))
    typst.compile(folder / MAIN, root=folder, ignore_system_fonts=True)


def test_builds_with_the_figures_that_there_are(results, tmp_path):
    figures = [path for path in results["figures"] if path.name == "stamps.pdf"]
    write_paper(SOURCE, results["values"], figures, results["tables"], tmp_path / "paper.pdf")
    one = [results["values"][0], results["values"][1]]
    write_paper(SOURCE, one, results["figures"], results["tables"], tmp_path / "one-experiment.pdf")


def test_one_seed_judges_nothing_and_several_say_how(results, tmp_path):
    """The document's words, from the compiler: those of one seed, and those of values that several seeds made."""

    def said(folder):
        found = captions(folder)
        typst.compile(folder / MAIN, root=folder, ignore_system_fonts=True)
        return re.sub(r"\s+", " ", " ".join(text for kind, text in found if kind == "table"))

    one = said(assembled(results, tmp_path))
    assert "Differences between trained models are not judged, and nothing is bold." in one and "Holm" not in one
    content = json.loads((tmp_path / "assembled/values.json").read_text())
    for experiment in content["experiments"]:
        assert not any(answer["judged"] for answer in experiment["comparisons"])
        experiment["seeds"] = ["1", "2", "3"]
        for answer in experiment["comparisons"]:
            answer |= {"judged": True, "supported": True, "verdict": "scatters less than"}
    (tmp_path / "assembled/values.json").write_text(json.dumps(content))
    several = said(tmp_path / "assembled")
    assert "told apart" in several and "Holm" in several and "not judged" not in several


def test_distributions_have_a_table_and_figures(results, tmp_path):
    folder = assembled(results, tmp_path)
    assert not any("calibration on" in text for _, text in captions(folder))
    content = json.loads((folder / "values.json").read_text())
    rows = [
        {"name": "Henghes", "recalibrated": again, "best": not again, "passes": again, "cells": {"crps": "0.01"}}
        for again in (False, True)
    ]
    for row in rows:
        row["cells"] |= {"pit_ks": "0.021", "pit_ks_p": "-0.5"}
    columns = [{"key": key, "name": key} for key in rows[0]["cells"]]
    content["experiments"][1]["distributions"] = {
        **{"bins": "180", "z_max": "0.4", "head": "softmax", "smoothed": True},
        **{"columns": columns, "rows": rows},
    }
    content["figures"] += ["pit-experiment2.pdf", "nz-experiment2.pdf"]
    for name in content["figures"][-2:]:
        shutil.copy(folder / "figures/density-experiment2.pdf", folder / "figures" / name)
    (folder / "values.json").write_text(json.dumps(content))
    found = " ".join(text for _, text in captions(folder))
    assert "calibration on" in found and "probability integral transform of" in found and "sum of all distrib" in found
    typst.compile(folder / MAIN, root=folder, ignore_system_fonts=True)


def test_questions_on_shapes_are_explained_and_have_a_figure(results, tmp_path):
    folder = assembled(results, tmp_path)
    content = json.loads((folder / "values.json").read_text())
    content["experiments"][1]["shapes"] = {"questions": ["features or disc", "edge-on"], "decided": "70"}
    content["figures"].append("roc-experiment2.pdf")
    shutil.copy(folder / "figures/density-experiment2.pdf", folder / "figures/roc-experiment2.pdf")
    (folder / "values.json").write_text(json.dumps(content))
    assert "receiver operating characteristic" in " ".join(text for _, text in captions(folder))
    typst.compile(folder / MAIN, root=folder, ignore_system_fonts=True)


def test_a_changed_result_changes_the_paper(results, tmp_path):
    write_paper(SOURCE, results["values"], results["figures"], results["tables"], tmp_path / "one.pdf")
    content = json.loads(results["values"][1].read_text())
    content["rows"][0]["cells"]["mae"]["value"] = "0.98765"
    (tmp_path / "experiment1.json").write_text(json.dumps(content))
    values = [results["values"][0], tmp_path / "experiment1.json", results["values"][2]]
    write_paper(SOURCE, values, results["figures"], results["tables"], tmp_path / "two.pdf")
    assert (tmp_path / "one.pdf").read_bytes() != (tmp_path / "two.pdf").read_bytes()


# --- no number is typed ---

#: What may hold a digit in the source: names of files and labels; lengths and counts of the layout; and, in the
#: text, numbers of the published paper's figures, of its equations, of experiments, and its arXiv number.
ALLOWED = [
    r'"[a-zA-Z][\w./-]*"',
    r"\b\d*\.?\d+(em|pt|mm|fr)\b",
    r"\b(width: |luma\()\d+%",
    r"\bcolumns?(: |\()\d\b",
    r"\.len\(\) [+>=]+ \d\b",
    r"\.at\(\d\)",
    r'exponent == "0"',
    r'numbering: "[^"]*"',
    r'paper: "a4"',
    r"it\.level == \d",
    r"\b(figures?|equations?|[Ee]xperiments?) \d+( (to|and) \d+)?\b",
    r"arXiv:2409\.01825",
]
#: Numbers of definitions, which equations may hold: 1 + z, halves and squares, and the scale of equation 8.
IN_EQUATIONS = {"1", "2", "1.48"}


def typed_numbers(source):
    """Return the numbers in a Typst source that are neither layout, nor a reference, nor part of a definition."""
    text = re.sub(r"(?<!:)//.*", "", source)
    equations = re.findall(r"\$[^$]*\$", text)
    text = re.sub(r"\$[^$]*\$", " ", text)
    for pattern in ALLOWED:
        text = re.sub(pattern, " ", text)
        equations = [re.sub(r'"[a-zA-Z]\w*"|#[\w.()-]+|times 10\^', " ", equation) for equation in equations]
    number = r"(?<![A-Za-z_#])\d[\d.,]*\d|(?<![A-Za-z_#])\d"
    found = re.findall(number, text)
    found += [n for equation in equations for n in re.findall(number, equation) if n not in IN_EQUATIONS]
    return found


TEXTS = [*sorted(SOURCE.glob("*.typ")), SOURCE.parent / "studies/rivals.typ"]


@pytest.mark.parametrize("file", TEXTS, ids=lambda path: path.name)
def test_no_number_is_typed(file):
    assert typed_numbers(file.read_text()) == []


@pytest.mark.parametrize(
    "sentence, number",
    [
        ("The NMAD is 0.0145 on the test galaxies.", "0.0145"),
        ("There are 1,495 galaxies in it.", "1,495"),
        ("A gain of 12 % is seen.", "12"),
        ("We use $N = 10000$ galaxies.", "10000"),
        ('The result is #strong("0.0139").', "0.0139"),
        ("Trained for 12 epochs.", "12"),
    ],
)
def test_a_typed_number_is_found(sentence, number):
    assert number in typed_numbers((SOURCE / MAIN).read_text() + "\n" + sentence)


# --- values ---


def test_survey_values_add_up(results):
    values = json.loads(results["values"][0].read_text())
    counts = {key: int(value) for key, value in values["counts"].items()}
    assert counts["galaxies"] == counts["stamps"] + counts["missing"] == 60 and counts["fields"] == 3
    assert values["reasons"] == [{"reason": "at the frame's edge", "count": "2"}]
    z = pd.read_parquet(results["catalog"])["z"]
    assert values["redshift"]["max"] == f"{z.max():.3f}"
    with h5py.File(results["stamps"][0]) as file:
        assert values["pixel_scale_arcsec"] == f"{file.attrs['pixel_scale_arcsec']:g}"


def test_a_galaxy_that_vanished_is_noticed(results):
    with pytest.raises(InputError, match="60 galaxies, but 29 stamps and 2 missing"):
        survey_values(results["catalog"], results["stamps"][:1], results["missing"], "SDSS", True)


def test_experiment_values_are_text_that_results_made(results):
    values = json.loads(results["values"][1].read_text())
    assert values["n_test"] == "150" and values["subsets"]["pretrain"] == "1,200"
    assert values["pretrain_galaxies"] == "1,200" and values["labelled"] == "900"
    assert len(values["rows"]) == 17 and values["best_classical"] == "local-linear"
    assert values["best_astromae"] in ("plain-astromae", "pcm-astromae")
    assert values["encoders"][1]["pcm"] == {"pretrain_kernel": "1", "finetune_kernel": "3", "groups": "48"}
    assert values["provenance"]["time"] == "2.0 minutes" and values["provenance"]["devices"] == ["A processor"]
    assert (values["provenance"]["cpu_hours"], values["provenance"]["gpu_hours"]) == ("0.034", "0")
    assert values["provenance"]["attempts"] == "4" and values["provenance"]["code"] == [
        "astromae 0.1.0 at commit 0123456789ab"
    ]
    assert not values["saw_test_images"] and json.loads(results["values"][2].read_text())["saw_test_images"]
    assert values["rows"][0]["cells"]["precision"]["published"] == "0.01736"


def test_a_phase_shows_the_keys_of_its_own_schedule(results):
    first, second = (json.loads(path.read_text())["phases"] for path in results["values"][1:])
    assert second["finetuning"]["decay"] == "0.995" and "warmup" not in second["finetuning"]
    assert first["finetuning"]["warmup"] == "2" and "decay" not in first["finetuning"]


def test_an_order_is_claimed_only_where_galaxies_and_seeds_support_it(tmp_path):
    def answer(sigma_one, sigma_other, seeds=(1, 2, 3)):
        folder = tmp_path / f"{sigma_one}-{sigma_other}"
        paths = [
            predictions_file(folder, "e", model, group, sigma, seed)
            for model, group, sigma in (
                ("pcm-astromae", "pretrained", sigma_one),
                ("henghes", "scratch", sigma_other),
            )
            for seed in seeds
        ]
        published = {"pcm-astromae": 0.01391, "henghes": 0.01443}
        (found,) = compare(score(read_predictions(paths), SETTINGS), published)
        return found

    assert answer(0.010, 0.020).as_text()["verdict"] == "scatters less than"
    assert answer(0.020, 0.010).as_text()["verdict"] == "scatters more than"
    same = answer(0.015, 0.015)
    assert same.low < 0 < same.high and same.as_text()["verdict"] == "cannot be told apart from"
    alone = answer(0.010, 0.020, seeds=(1,))
    assert alone.high < 0 and not alone.supported and alone.as_text()["verdict"] == "not judged"
    assert same.published == pytest.approx(-0.00052) and same.as_text()["published"] == "-0.00052"
    assert same.value - same.other_value == pytest.approx(same.difference)


def test_an_unpublished_pair_has_no_published_difference():
    text = Comparison("a", "b", "?", 0.01, 0.02, -0.01, -0.012, -0.008, True, True, None).as_text()
    assert text["published"] == "" and text["supported"] and text["low"] == "-0.0120"


def test_numbers_as_text():
    assert power_of_ten(1.2e-3) == {"mantissa": "1.2", "exponent": "-3"}
    assert power_of_ten(3e-4) == {"mantissa": "3", "exponent": "-4"}
    assert duration(61.5) == "62 seconds" and duration(150) == "2.5 minutes" and duration(36_000) == "10 hours"


# --- bad input ---


def test_a_fault_of_the_source_is_shown_with_its_place(results, tmp_path):
    shutil.copytree(SOURCE, tmp_path / "source")
    with open(tmp_path / "source" / MAIN, "a") as file:
        file.write("\n#no-such-function()\n")
    with pytest.raises(InputError, match=r"(?s)astromae\.typ: does not compile.*no-such-function"):
        write_paper(
            tmp_path / "source", results["values"], results["figures"], results["tables"], tmp_path / "paper.pdf"
        )
    assert not (tmp_path / "paper.pdf").exists()


def test_missing_inputs_are_named(results, tmp_path):
    with pytest.raises(InputError, match=r"holds no astromae\.typ"):
        write_paper(tmp_path, results["values"], results["figures"], results["tables"], tmp_path / "paper.pdf")
    with pytest.raises(InputError, match=r"survey\.json and at least one experiment's"):
        write_paper(SOURCE, results["values"][1:], results["figures"], results["tables"], tmp_path / "paper.pdf")
    with pytest.raises(InputError, match=r"none\.pdf: no such figure"):
        write_paper(SOURCE, results["values"], [tmp_path / "none.pdf"], [], tmp_path / "paper.pdf")
