"""The study `rivals` on the test preset: a target of its own, from the stamps to its tables and its figure."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from preset import PRESET
from processor_time import processor_seconds

pytestmark = pytest.mark.workflow

#: Processor time that the study may take on the test preset beside the survey, seconds.
LIMIT_S = 180

#: Rules that follow from predictions.
AFTER_CURVES = {"label_table", "label_figure", "study_values", "study_document", "rivals"}

COLUMNS = ["objective", "network", "frozen", "n_labels", "n_seeds", "nmad", "nmad_low", "nmad_high", "outliers", "r2"]


@pytest.fixture(scope="module")
def studied(finished, tmp_path_factory):
    """A copy of the finished run in which the study has run too."""
    copy = dataclasses.replace(finished, folder=tmp_path_factory.mktemp("study") / "project")
    shutil.copytree(finished.folder, copy.folder, symlinks=True)
    with processor_seconds() as spent:
        ran = copy.snakemake("rivals", "--cores", "2", *PRESET)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return dataclasses.replace(copy, processor_s=spent())


def test_it_takes_a_minute_or_two_and_makes_no_stamps_anew(finished, studied):
    assert studied.processor_s < LIMIT_S
    dates = [
        {path.name: path.stat().st_mtime_ns for path in (run.folder / "results/stamps").glob("*.h5")}
        for run in (finished, studied)
    ]
    assert dates[0] and dates[0] == dates[1]
    assert not (studied.folder / "results/checkpoints").exists() or not list(
        (studied.folder / "results/checkpoints").iterdir()
    )


def test_its_table_has_every_way_to_learn(studied):
    table = pd.read_csv(studied.folder / "results/tables/rivals.csv")
    assert list(table.columns) == COLUMNS
    ways = set(table[["objective", "network", "frozen"]].itertuples(index=False, name=None))
    pretrained = [("mae", "small-vit"), ("moco", "thin-resnet")]
    assert ways == {
        *((*pair, frozen) for pair in pretrained for frozen in (True, False)),
        *((name, network, name == "random") for name in ("supervised", "random") for _, network in pretrained),
        ("local-linear", "none", False),
    }
    assert (table.groupby(["objective", "network", "frozen"]).n_labels.nunique() == 2).all()
    assert (table.n_seeds == 1).all()
    assert np.isfinite(table[COLUMNS[5:]]).all(axis=None)
    assert ((table.nmad_low <= table.nmad) & (table.nmad <= table.nmad_high)).all()


def test_its_table_of_labels_saved(studied):
    saved = pd.read_csv(studied.folder / "results/tables/rivals-saved.csv")
    assert set(saved.objective) == {"mae", "moco", "random"}
    assert ((saved.factor_low <= saved.factor) & (saved.factor <= saved.factor_high)).all()
    assert (saved.factor > 0).all()


def test_its_figure(studied):
    for suffix in ("pdf", "png"):
        assert (studied.folder / f"results/figures/rivals.{suffix}").stat().st_size > 2000


def test_a_second_run_does_nothing(studied):
    assert studied.plan("rivals", *PRESET) == {}
    assert studied.plan(*PRESET) == {}, "the run beside it is as it was"


@pytest.mark.parametrize(
    ("source", "rerun"),
    [
        ("workflow/astromae/figures/label_curves.py", {"label_figure", "study_document", "rivals"}),
        ("workflow/astromae/evaluation/label_curves.py", AFTER_CURVES),
        ("workflow/astromae/classical/local_linear.py", {"classical_curve", *AFTER_CURVES}),
    ],
)
def test_an_edit_reruns_what_depends_on_it(studied, source, rerun):
    path = studied.folder / source
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        assert set(studied.plan("rivals", *PRESET)) == rerun
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["train", "labels", "table4"])
def test_a_study_of_a_name_that_is_taken_is_refused(studied, tmp_path, name):
    """That of a target, of a figure and of a table."""
    study = yaml.safe_load((studied.folder / "workflow/studies/rivals.yaml").read_text())["studies"]["rivals"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"studies": {name: study}}))
    ran = studied.snakemake("--dry-run", "--cores", "1", "--configfile", PRESET[1], str(tmp_path / "mine.yaml"))
    assert ran.returncode
    assert (
        f"configuration: studies.{name}: a target, a table, a figure or a study of the workflow has this name"
        in ran.stdout
    )


def test_a_setting_reruns_what_reads_it(studied, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("studies: {rivals: {finetuning: {frozen: {updates: 5}}}}\n")
    jobs = studied.plan("rivals", "--configfile", PRESET[1], str(settings))
    assert jobs["label_curve"] == 4 and "pretrain" not in jobs
    settings.write_text("studies: {rivals: {objectives: {moco: {pretraining: {temperature: 0.2}}}}}\n")
    jobs = studied.plan("rivals", "--configfile", PRESET[1], str(settings))
    assert (jobs["pretrain"], jobs["label_curve"]) == (1, 2)
