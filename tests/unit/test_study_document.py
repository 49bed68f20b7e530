"""The document of a study quotes its tables, and says what their intervals say."""

import copy

import pandas as pd
import pytest
from astromae.documents.study import write_study_document
from astromae.documents.values_study import study_values, write_study_values
from astromae.errors import InputError
from astromae.figures.label_curves import draw_label_curves
from astromae.settings.files import read_defaults
from project import ROOT

TEXT = [ROOT / "workflow/studies/rivals.typ", ROOT / "workflow/paper/style.typ"]
WAYS = [("mae", "small-vit", True), ("mae", "small-vit", False), ("random", "small-vit", True)]
SUPERVISED, CLASSICAL = ("supervised", "small-vit", False), ("local-linear", "none", False)


@pytest.fixture(scope="module")
def study():
    return read_defaults()["studies"]["rivals"]


@pytest.fixture
def tables(tmp_path):
    errors = [
        {
            **dict(zip(("objective", "network", "frozen"), way, strict=True)),
            "n_labels": count,
            "n_seeds": 3,
            "nmad": 0.02 + 0.001 * number,
            "nmad_low": 0.019,
            "nmad_high": 0.03,
            "outliers": 0.01,
            "r2": 0.9,
        }
        for number, way in enumerate([*WAYS, SUPERVISED, CLASSICAL])
        for count in (93, 2983)
    ]
    saved = [
        {
            **dict(zip(("objective", "network", "frozen"), way, strict=True)),
            "n_labels": count,
            "supervised_labels": 2 * count,
            "factor": 2.0,
            "factor_low": low,
            "factor_high": 0.9 if way[0] == "random" else 25.0,
            "bound": bound,
        }
        for way, low in zip(WAYS, (1.2, 0.8, 0.1), strict=True)
        for count, bound in ((93, ""), (2983, "at least"))
    ]
    paths = tmp_path / "errors.csv", tmp_path / "saved.csv"
    for path, rows in zip(paths, (errors, saved), strict=True):
        pd.DataFrame(rows).to_csv(path, index=False)
    return paths


def test_values_are_those_of_the_tables(study, tables):
    values = study_values(study, 0.95, True, *tables)
    assert (values["metric"], values["interval"], values["labels"], values["seeds"]) == (
        "NMAD",
        "95",
        ["93", "2,983"],
        "3",
    )
    assert [row["way"] for row in values["errors"]] == ["frozen", "fine-tuned", "", "", ""]
    assert values["errors"][1]["cells"][0] == {"value": "0.0210", "low": "0.0190", "high": "0.0300"}
    assert [cell["value"] for cell in values["saved"][0]["cells"]] == ["2.00", "≥ 2.00"]
    assert values["saved"][0]["cells"][0]["high"] == "25"
    saves = {(row["way"], tuple(row["saves"]), tuple(row["costs"])) for row in values["found"]}
    assert saves == {("frozen", ("93", "2,983"), ()), ("fine-tuned", (), ())}, "a random encoder has learnt nothing"
    assert {row["name"] for row in values["objectives"]} == {"masked autoencoder", "MoCo v2", "Barlow Twins"}


def test_an_objective_without_a_network_is_not_spoken_of(study, tables):
    fewer = copy.deepcopy(study)
    fewer["objectives"]["moco"]["networks"] = []
    assert len(study_values(fewer, 0.95, True, *tables)["objectives"]) == len(study["objectives"]) - 1


def test_one_seed_judges_nothing(study, tables, tmp_path):
    values = study_values({**study, "seeds": [42]}, 0.95, True, *tables)
    assert values["found"] == [] and not values["judged"]


def test_the_same_tables_give_the_same_pdf(study, tables, tmp_path):
    figure = tmp_path / "figure.pdf"
    draw_label_curves(tables[0], "redshift", figure, tmp_path / "figure.png")
    write_study_values(study, 0.95, True, *tables, tmp_path / "values.json")
    outputs = [tmp_path / "one.pdf", tmp_path / "two.pdf"]
    for output in outputs:
        write_study_document(TEXT, tmp_path / "values.json", figure, output)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[0].read_bytes().startswith(b"%PDF-")
    write_study_values({**study, "seeds": [42], "classical": []}, 0.95, False, *tables, tmp_path / "values.json")
    write_study_document(TEXT, tmp_path / "values.json", figure, tmp_path / "one_seed.pdf")
    assert (tmp_path / "one_seed.pdf").read_bytes() != outputs[0].read_bytes()


def test_what_is_missing_or_wrong_is_named(tables, tmp_path):
    with pytest.raises(InputError, match=r"values\.json: no such file"):
        write_study_document(TEXT, tmp_path / "values.json", tables[0], tmp_path / "out.pdf")
    (tmp_path / "bad.typ").write_text("#missing")
    with pytest.raises(InputError, match=r"bad\.typ: does not compile"):
        write_study_document([tmp_path / "bad.typ"], tables[0], tables[0], tmp_path / "out.pdf")
