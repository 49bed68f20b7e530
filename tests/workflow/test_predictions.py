"""A list is predicted as a workflow, and by the command: the same answers."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from astromae import load_model
from astromae.asking.export import export_model
from astromae.constants import BANDS
from astromae.model_archive import CARD, opened

pytestmark = pytest.mark.workflow

COLUMNS = ["ra", "dec", "run", "camcol", "field", *(f"mag_{band}" for band in BANDS)]


@pytest.fixture(scope="module")
def model(finished):
    """Return a trained model that reads stamps and magnitudes."""
    return finished.folder / "results/models/experiment1/henghes/seed42"


def test_a_list_s_chunks_and_the_command_give_the_same(finished, model, small_survey, tmp_path):
    listed = pd.read_parquet(small_survey.catalog)[COLUMNS]
    listed = pd.concat([listed, listed.iloc[:1]], ignore_index=True)  # a row that comes again
    listed["my name"] = [f"galaxy {row}" for row in range(len(listed))]
    listed.to_csv(tmp_path / "my list.csv", index=False)
    settings = {"sdss": {"archive": str(small_survey.archive)}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    given = [f"predict={tmp_path / 'my list.csv'}", f"model={model}"]
    ran = finished.snakemake(
        "--cores", "2", "predictions", "--configfile", str(tmp_path / "mine.yaml"), "--config", *given
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    by_jobs = pd.read_parquet(finished.folder / "results/predictions/my_list.parquet")
    command = [sys.executable, "-m", "astromae", "predict", model, tmp_path / "my list.csv"]
    command += ["-o", tmp_path / "out.parquet", "--config", tmp_path / "mine.yaml"]
    done = subprocess.run(list(map(str, command)), cwd=finished.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    by_command = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(by_jobs, by_command)
    assert by_jobs["my name"].tolist() == listed["my name"].tolist()
    answered = by_jobs["reason"] == ""
    assert answered.mean() > 0.8
    assert np.isfinite(by_jobs.z_phot[answered]).all()
    assert by_jobs["reason"].iloc[-1] != ""
    assert f"{answered.sum()} predicted" in done.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["predict={list}"], "predict is given and model is not"),
        (["predict={list}", "model=/no/where"], "/no/where: no such file; a model is a folder of results/models"),
        (["predict=/no/list.csv", "model={model}"], "/no/list.csv"),
    ],
)
def test_what_is_missing_is_said_before_the_first_job(finished, model, tmp_path, given, words):
    (tmp_path / "list.csv").write_text("ra,dec\n10,20\n")
    values = [text.format(list=tmp_path / "list.csv", model=model) for text in given]
    ran = finished.snakemake("--cores", "1", "--dry-run", "predictions", "--config", *values)
    assert ran.returncode
    assert words in ran.stdout


@pytest.mark.parametrize(
    "folder",
    [
        "models/experiment1/pcm-astromae/seed42",
        "models/distributions/henghes/seed42",
        "models/experiment1/local-linear/seed42",
        "encoders/plain/experiment1/seed42",
    ],
)
def test_an_archive_of_a_run_s_model_answers_as_its_folder(finished, tmp_path, folder):
    source, archive = finished.folder / "results" / folder, tmp_path / "model.zip"
    export_model(source, archive)
    random = np.random.default_rng(0)
    given = random.normal(1, 1, (3, 5, 64, 64)).astype(np.float32), random.uniform(16, 18, (3, 5))
    found, expected = (load_model(path).predict(*given) for path in (archive, source))
    assert expected
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    with opened(archive) as unpacked:
        card = (unpacked / CARD).read_text()
    assert "**Pixels are simulated; fluxes and redshifts are of real galaxies.**" in card
