"""An encoder, an objective and a task from a person's own files, run by the workflow with no edit elsewhere."""

import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from preset import PRESET

pytestmark = pytest.mark.workflow

PLUGINS = [
    Path(__file__).parents[1] / f"plugins/{name}.py"
    for name in ("encoder_convolutional", "objective_two_views", "task_two_outputs")
]
PHASE = {
    "epochs": 1,
    "batch_size": 64,
    "optimiser": {"learning_rate": 1.0e-3, "betas": [0.9, 0.95], "weight_decay": 0.05},
    "schedule": {"kind": "cosine", "warmup": 1},
}
CONFIGURATION = {
    "plugins": [str(path) for path in PLUGINS],
    "backbones": {"convolutional": {"network": "convolutional", "width": 8}},
    "models": {
        "own": {
            "group": "pretrained",
            "encoder": "convolutional",
            "pretrained": True,
            "frozen": True,
            "inception": False,
            "magnitude": True,
        }
    },
    "experiments": {
        "own": {
            "title": "Own",
            "table": "own",
            "seed": 1,
            "task": "two-outputs",
            "fractions": {"pretrain": 0.4, "pretrain_val": 0.1, "train": 0.3, "val": 0.1, "test": 0.1},
            "pretrain_on": ["pretrain"],
            "validate_on": ["pretrain_val"],
            "classical": ["hgb-magnitudes"],
            "models": ["own"],
            "pretraining": {**PHASE, "objective": "two-views", "momentum": 0.9},
            "finetuning": {**PHASE, "noise_sigma": 0.05},
        }
    },
}


def test_an_encoder_an_objective_and_a_task_of_ones_own(finished, tmp_path):
    copy = dataclasses.replace(finished, folder=tmp_path / "clone")
    shutil.copytree(finished.folder, copy.folder, symlinks=True)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    arguments = ("--configfile", PRESET[1], str(tmp_path / "own.yaml"))
    wanted = ("results/tables/own.csv", *arguments)
    jobs = copy.plan(*wanted)
    assert jobs == {name: 1 for name in ("split", "scaling", "pretrain", "features", "train", "classical", "table")}
    ran = copy.snakemake("--cores", "2", *wanted)
    assert ran.returncode == 0, ran.stdout[-5000:]
    folder = copy.folder / "results/models/own/own/seed42"
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert {"z_true", "mag_r_true", "z_pred", "mag_r_pred"} <= set(predictions)
    table = pd.read_csv(copy.folder / "results/tables/own.csv").set_index("model")
    assert set(table.index) == {"own", "hgb-magnitudes"}
    for metric in ("mse_z", "mse_mag_r"):
        assert (table[f"{metric}_low"] <= table[metric]).all() and (table[metric] <= table[f"{metric}_high"]).all()
    test = predictions.query("subset == 'test'")
    assert table.mse_z["own"] == pytest.approx(((test.z_pred - test.z_true) ** 2).mean(), rel=1e-6)
    assert copy.plan(*wanted) == {}
