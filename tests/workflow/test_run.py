"""The whole workflow on the test preset, and which steps an edit reruns."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from astromae.tasks.redshift import METRICS
from preset import PRESET
from processor_time import processor_seconds

pytestmark = pytest.mark.workflow

#: Longest run of the test preset on two cores that the project allows itself, seconds.
LIMIT_S = 240

#: Processor time of loading torch on the machine that the limit was set on, seconds.
TORCH_S = 2.1


def test_the_preset_takes_minutes(finished):
    """On two cores as fast as those that load torch in `TORCH_S` of processor time: machines differ twofold."""
    loads = []
    for _ in range(3):
        with processor_seconds() as spent:
            subprocess.run([sys.executable, "-c", "import torch"], check=True)
            loads.append(spent())
    assert finished.processor_s / sorted(loads)[1] < 2 * LIMIT_S / TORCH_S


@pytest.mark.parametrize(("table", "models", "classical"), [("table4", 16, 4), ("table5", 3, 1)])
def test_tables(finished, table, models, classical):
    rows = pd.read_csv(finished.folder / f"results/tables/{table}.csv")
    assert len(rows) == models + classical
    assert (rows.group == "classical").sum() == classical
    assert rows.n_test.nunique() == 1 and rows.n_test[0] >= 30
    for metric in METRICS:
        value, low, high = rows[metric], rows[f"{metric}_low"], rows[f"{metric}_high"]
        assert np.isfinite([value, low, high]).all(), metric
        assert ((low <= value) & (value <= high)).all(), metric
        # Of a few dozen galaxies none need be an outlier.
        assert ((low < high) | (metric == "outliers") & (value == 0)).all(), metric
    published = rows[rows.group.isin(["scratch", "pretrained"])]
    for metric in ("mse", "mae", "bias", "precision", "r2"):
        assert published[f"{metric}_published"].notna().all()
    assert r"\begin{tabular}" in (finished.folder / f"results/tables/{table}.tex").read_text()


def test_distributions_are_judged(finished):
    rows = pd.read_csv(finished.folder / "results/tables/calibration.csv")
    # Too few validation galaxies to recalibrate by.
    assert list(zip(rows.model, rows.recalibrated, strict=True)) == [("henghes", 0), ("knn", 0)]
    assert rows.coverage_95.between(0, 1).all() and rows.pit_ks_p.between(0, 1).all() and (rows.crps > 0).all()
    intervals = pd.read_csv(finished.folder / "results/tables/conformal-table4.csv")
    assert len(intervals) == 20 and intervals.width_68.gt(0).all()
    # Of 15 validation galaxies no interval covers 95 % for certain.
    assert (intervals.n_val == 15).all() and intervals.width_95.isna().all()


def test_predictions_are_of_the_same_test_galaxies(finished):
    galaxies = {
        frozenset(table[table.subset == "test"].objid)
        for table in map(
            pd.read_parquet, (finished.folder / "results/models/experiment1").glob("*/seed42/predictions.parquet")
        )
    }
    assert len(galaxies) == 1


def test_figures(finished):
    folder = finished.folder / "results/figures"
    made = {path.stem for path in folder.glob("*.pdf")}
    assert made == {path.stem for path in folder.glob("*.png")}
    assert {"stamps", "reconstructions-experiment1", "density-experiment1-pretrained", "density-experiment2"} <= made
    assert {"learning-rate-pretraining-experiment1", "learning-rate-finetuning-experiment2"} <= made
    assert all(path.stat().st_size > 2000 for path in folder.iterdir())


def test_paper(finished):
    paper = finished.folder / "results/paper/astromae.pdf"
    assert paper.read_bytes().startswith(b"%PDF-")
    if shutil.which("pdfinfo") is None:
        pytest.skip("pdfinfo (Debian package poppler-utils) is not installed")
    about = subprocess.run(["pdfinfo", paper], capture_output=True, text=True, check=True).stdout
    assert int(re.search(r"Pages: +(\d+)", about)[1]) >= 2


def test_nothing_is_left_half_written(finished):
    hidden = {path.name for path in (finished.folder / "results").rglob(".*")}
    assert hidden <= {".gitkeep", ".snakemake_timestamp"}
    assert not list((finished.folder / "results/checkpoints").glob("*"))


def test_a_second_run_does_nothing(finished):
    with processor_seconds() as spent:
        ran = finished.snakemake("--cores", "2", *PRESET)
    assert spent() < 20
    assert ran.returncode == 0
    assert "Nothing to be done" in ran.stdout


def touch(paths):
    """Give files and folders new dates, later ones to those that a run made first."""
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        os.utime(path)


def test_touching_every_source_reruns_nothing(finished):
    touch(path for path in (finished.folder / "workflow").rglob("*") if path.is_file())
    assert finished.plan(*PRESET) == {}


def test_touching_every_result_reruns_nothing(finished):
    """Shards and weights among them, which are too large for Snakemake to compare their content."""
    results = list((finished.folder / "results").rglob("*"))
    assert max(path.stat().st_size for path in results if path.suffix == ".h5") > 5e6
    touch(results)
    assert finished.plan(*PRESET) == {}


def test_a_clone_with_copied_results_reruns_nothing(finished, tmp_path):
    """All dates are new and in no order: those of a clone's sources, and of results copied without theirs."""
    copy = dataclasses.replace(finished, folder=tmp_path / "clone")
    shutil.copytree(finished.folder, copy.folder, copy_function=shutil.copyfile, symlinks=True)
    assert copy.plan(*PRESET) == {}


def test_other_content_reruns_what_reads_it(finished):
    """A checksum stands in for its file, so that another one counts as another file."""
    checksum = finished.folder / "results/stamps/0000.h5.sha256"
    before = checksum.read_bytes()
    checksum.write_text("0" * 64 + "\n")
    try:
        jobs = finished.plan(*PRESET)
    finally:
        checksum.write_bytes(before)
    assert {"split", "scaling", "pretrain", "train", "sample", "paper"} <= set(jobs)
    assert not {"catalog", "frames", "cut"} & set(jobs)


EXPERIMENTS = ("experiment1", "experiment2")
#: Experiments whose task predicts distributions, and that pretrain nothing.
DISTRIBUTIONS = ("distributions",)


def figures(*families, experiments=EXPERIMENTS):
    """Return the figures of each experiment of some families."""
    return {f"figure: {family}-{experiment}" for family in families for experiment in experiments}


METRIC_TABLES = {"table: table4", "table: table5", "table: distributions"}
OF_REDSHIFTS = [f"table: {name}-{{}}" for name in ("conformal", "rail")]
JUDGED = {"table: calibration"}
JUDGED |= {name.format(table) for name in OF_REDSHIFTS for table in ("table4", "table5", "distributions")}
JUDGED |= figures("pit", "nz", experiments=DISTRIBUTIONS)
PAGES = {"paper", "results_page", "all"}
DENSITIES = {
    f"figure: density-{part}"
    for part in ("experiment1-scratch", "experiment1-pretrained", "experiment1-baselines", "experiment2")
}
TABLES = METRIC_TABLES | PAGES
TABLES |= {"values_experiment", "figure: published-table4", "figure: published-table5", "figure: labels"}
DOWNSTREAM = TABLES | DENSITIES | figures("residuals") | {"table: cost"} | JUDGED
OF_TRAININGS = figures("finetuning", "learning-rate-finetuning", "loss-time", experiments=EXPERIMENTS + DISTRIBUTIONS)
TRAINED = DOWNSTREAM | OF_TRAININGS | figures("worst") | {"train"}
TRAINED |= {f"sample: worst-{experiment}.h5" for experiment in EXPERIMENTS}
SCHEMES = {"networks", *(f"figure: scheme-{name}" for name in ("autoencoder", "inception", "models"))}
PRETRAINED = TRAINED | {"pretrain", "reconstruct", "features"}
PRETRAINED |= figures("reconstructions", "pretraining", "learning-rate-pretraining")
PRETRAINED |= {f"sample: features-{experiment}.h5" for experiment in EXPERIMENTS}
PRETRAINED |= {"sample: look-alikes.json", "table: purity"}
CLASSICAL = DOWNSTREAM | {"classical"}
# A figure of the learning rate reads the first model of its experiment.
FIRST_WITHOUT_INCEPTION = "figure: learning-rate-finetuning-experiment1"
# Nothing of the distributions has an encoder.
WITHOUT_ENCODER = {"figure: learning-rate-finetuning-experiment2", "table: distributions", "table: calibration"}
WITHOUT_ENCODER |= {name.format(of) for name in OF_REDSHIFTS for of in DISTRIBUTIONS}
WITHOUT_ENCODER |= figures(
    "finetuning", "learning-rate-finetuning", "loss-time", "pit", "nz", experiments=DISTRIBUTIONS
)
STAMPS = {"cut", "stamps_checksum", "split", "scaling", "classical", "values_survey"}
STAMPS |= {"sample: stamps.h5", "figure: stamps"}
STAMPS |= {f"sample: magnitudes-{experiment}.parquet" for experiment in EXPERIMENTS}
STAMPS |= {"sample: realism.h5", "table: realism", "figure: realism"}


@pytest.mark.parametrize(
    ("source", "rerun"),
    [
        ("workflow/astromae/figures/density.py", DENSITIES | PAGES),
        ("workflow/astromae/figures/families.py", set()),
        ("workflow/astromae/tables/published.csv", TABLES),
        ("workflow/paper/astromae.typ", PAGES),
        ("workflow/report/figures/density.rst", {"results_page", "all"}),
        ("workflow/astromae/classical/knn.py", CLASSICAL),
        ("workflow/astromae/training/reconstruct.py", {"reconstruct"} | figures("reconstructions") | PAGES),
        ("workflow/astromae/encoders/inception_network.py", (TRAINED | SCHEMES) - {FIRST_WITHOUT_INCEPTION}),
        ("workflow/astromae/encoders/transformer.py", (PRETRAINED | SCHEMES) - WITHOUT_ENCODER),
        ("workflow/astromae/stamps/resample.py", PRETRAINED | STAMPS),
        ("workflow/astromae/cli.py", set()),
        ("README.md", set()),
    ],
)
def test_an_edit_reruns_what_depends_on_it(finished, source, rerun):
    path = finished.folder / source
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        assert finished.plan_by_product(*PRESET) == rerun
    finally:
        path.write_bytes(before)


def test_a_changed_setting_reruns_what_is_told_of_it(finished, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("experiments: {experiment2: {finetuning: {noise_sigma: 0.1}}}\n")
    jobs = finished.plan("--configfile", PRESET[1], str(settings))
    assert (jobs["train"], jobs["features"], jobs["table"]) == (3, 1, 5)  # purity reads features
    assert "pretrain" not in jobs
    settings.write_text("sdss: {tries: 3}\n")
    assert finished.plan("--configfile", PRESET[1], str(settings)) == {}


def test_a_failing_step_leaves_finished_results(finished, tmp_path):
    """Too strict a limit on missing stamps: the split fails with a reason, and the rest stays as it was.

    In a copy, since the split that there was is gone.
    """
    copy = dataclasses.replace(finished, folder=tmp_path / "project")
    shutil.copytree(finished.folder, copy.folder, symlinks=True)
    settings = tmp_path / "settings.yaml"
    settings.write_text("stamps: {max_missing_fraction: 0.0}\n")
    stamps = {path: path.read_bytes() for path in (copy.folder / "results/stamps").iterdir()}
    table = copy.folder / "results/tables/table4.csv"
    before = table.read_bytes()
    ran = copy.snakemake("--cores", "2", "--configfile", PRESET[1], str(settings))
    assert ran.returncode != 0
    assert re.search(r"^error: .*max_missing_fraction", ran.stdout, flags=re.M)
    assert {path: path.read_bytes() for path in (copy.folder / "results/stamps").iterdir()} == stamps
    assert table.read_bytes() == before
