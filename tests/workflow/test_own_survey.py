"""Surveys with other bands, pixels and stamps than SDSS's, from their galaxies to the table, with no edit elsewhere."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from preset import PRESET
from project import ROOT

pytestmark = pytest.mark.workflow

PLUGIN = ROOT / "tests/plugins/survey_of_four_bands.py"
BANDS, SCALE, SIZE, GALAXIES = "griz", 0.2, 48, 240

#: A few updates, and one model with every branch.
SMALL = {phase: {"updates": 2, "schedule": {"warmup": 1}} for phase in ("pretraining", "finetuning")}
MODELS = ["plain-astromae"]


def write_cube(path):
    """Write a cube of 240 galaxies that says of its bands and pixels, as a person's own survey may have it."""
    random = np.random.default_rng(5)
    z = random.uniform(0.02, 0.3, GALAXIES)
    labels = {
        "objid": np.arange(GALAXIES) + 1,
        "ra": np.linspace(0, 359, GALAXIES),
        "dec": random.uniform(0, 50, GALAXIES),
    }
    labels["z"] = z
    for index, band in enumerate(BANDS):
        labels[f"mag_{band}"] = 17 + 2 * z + (3 - index) * z + random.normal(0, 0.05, GALAXIES)
    radius = np.hypot(*np.mgrid[-23.5:24, -23.5:24])[:, :, None]
    flux = 10 ** (0.4 * (22.5 - np.array([labels[f"mag_{band}"] for band in BANDS]).T))
    stamps = flux[:, None, None] * np.exp(-radius / 4) / np.exp(-radius / 4).sum()
    stamps += random.normal(0, 0.02, stamps.shape)
    table = np.rec.fromarrays(list(labels.values()), names=list(labels))
    said = {"bands": np.array(list(BANDS)), "pixel_scale_arcsec": SCALE}
    np.savez(path, cube=stamps.astype(np.float32), labels=table, **said)


@pytest.fixture(params=["plugin", "cube"])
def run(request, fresh_project):
    """A clone in which a survey's galaxies went to the predictions and the table."""
    experiment = {"models": MODELS, **SMALL}
    settings = {"experiments": {"experiment1": experiment, "experiment2": {**SMALL, "models": ["henghes"]}}}
    if request.param == "plugin":
        settings |= {"plugins": [str(PLUGIN)], "survey": "four_bands", "four_bands": {"galaxies": GALAXIES}}
    else:
        write_cube(fresh_project.folder / "cube.npz")
        settings |= {"survey": "cube", "cube": {"path": "cube.npz", "chunks": 2}}
    (fresh_project.folder / "own.yaml").write_text(yaml.safe_dump(settings))
    targets = ["results/tables/table4.csv", "results/values/survey.json"]
    ran = fresh_project.snakemake(*targets, "--cores", "2", *PRESET, "own.yaml")
    assert ran.returncode == 0, ran.stdout[-5000:]
    return fresh_project.folder / "results"


def test_from_galaxies_to_the_table(run):
    shards = sorted((run / "stamps").glob("*.h5"))
    assert len(shards) > 1
    for path in shards:
        with h5py.File(path) as file:
            assert file["images"].shape[1:] == (len(BANDS), SIZE, SIZE)
            assert (file.attrs["bands"], file.attrs["pixel_scale_arcsec"]) == (BANDS, SCALE)
    catalog = pd.read_parquet(run / "catalog/galaxies.parquet")
    assert [name for name in catalog if name.startswith("mag_")] == [f"mag_{band}" for band in BANDS]
    assert len(catalog) == GALAXIES
    for path in run.glob("models/experiment1/*/seed42/predictions.parquet"):
        predictions = pd.read_parquet(path)
        assert np.isfinite(predictions.select_dtypes(float).to_numpy()).all()
        assert predictions["objid"].isin(catalog["objid"]).all()
    table = pd.read_csv(run / "tables/table4.csv")
    assert set(MODELS) <= set(table["model"])
    values = json.loads((run / "values/survey.json").read_text())
    assert (values["size"], values["pixel_scale_arcsec"]) == (str(SIZE), f"{SCALE:g}")
