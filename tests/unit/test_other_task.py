"""An experiment of another task than redshifts: its table, its values, and documents with what there is of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.predictions import read_predictions, write_predictions
from astromae.documents.paper import write_paper
from astromae.documents.results_page import write_results_page
from astromae.documents.values_experiment import write_experiment_values
from astromae.errors import InputError
from astromae.tables.costs import write_cost_table
from astromae.tables.metrics import columns_of, read_table, write_table
from astromae.tasks import TASKS, Metric, Task
from evaluation_inputs import (
    EXPERIMENT,
    FIRST_OBJID,
    SETTINGS,
    json_file,
    models_file,
    networks_file,
    predictions_file,
    split_file,
    training_record,
)

WORKFLOW = Path(__file__).parents[2] / "workflow"
METRICS = {"hits": Metric("Hits", better="more"), "score": Metric("Score")}


def measure(columns, outlier_threshold):
    """Return the share of galaxies whose likelier class is theirs, and the Brier score."""
    is_spiral, probability = columns["is_spiral"], columns["probability"]
    hit = np.argmax(probability, axis=-1) == is_spiral
    return {"hits": hit.mean(axis=-1), "score": ((probability[..., 1] - is_spiral) ** 2).mean(axis=-1)}


@pytest.fixture
def task():
    """A task with two numbers a prediction, known to this test alone."""
    entry = Task(
        title="arms",
        targets={"spiral": "is_spiral"},
        outputs=2,
        loss=None,
        bias=lambda targets: np.zeros(2),
        columns=("probability",),
        predict=lambda outputs: {"probability": outputs},
        metrics=METRICS,
        measure=measure,
    )
    TASKS.register("armed", entry)
    yield entry
    TASKS.unregister("armed")


def morphologies(folder, model, sharpness, seed=42, n=300):
    rng = np.random.default_rng([seed, *model.encode()])
    is_spiral = np.random.default_rng(0).integers(0, 2, n).astype(float)
    spiral = 1 / (1 + np.exp(-sharpness * (2 * is_spiral - 1) - rng.standard_normal(n)))
    rows = {"objid": np.arange(n) + FIRST_OBJID, "is_spiral": is_spiral, "subset": ["test"] * (n - 50) + ["val"] * 50}
    table = pd.DataFrame(rows | {"probability": list(np.stack([1 - spiral, spiral], axis=1))})
    path = folder / model / f"seed{seed}/predictions.parquet"
    recipe = {"experiment": "shapes", "model": model, "group": "scratch", "task": "armed"}
    write_predictions(path, table, recipe, seed, 1000)
    return path


def test_a_table_has_the_metrics_of_its_task(task, tmp_path):
    paths = [
        morphologies(tmp_path, model, sharp, seed)
        for model, sharp in (("dull", 0.5), ("sharp", 3))
        for seed in (1, 2, 3)
    ]
    write_table("shapes", paths, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    table = read_table(tmp_path / "t.csv", METRICS).set_index("model")
    assert list(table.reset_index().columns[[1, 0]]) == ["group", "model"]
    assert set(table.columns) | {"model"} == set(columns_of(METRICS))
    test = read_predictions(paths)
    truth, probability = test.targets["is_spiral"], test.models[1].predicted["probability"]
    assert probability.shape == (3, 250, 2)
    assert table.loc["sharp", "hits"] == pytest.approx((probability.argmax(axis=-1) == truth).mean(), rel=1e-6)
    assert (table["hits_low"] < table["hits"]).all() and (table["hits"] < table["hits_high"]).all()
    assert table["hits_best"].to_dict() == table["score_best"].to_dict() == {"dull": 0, "sharp": 1}
    assert "Hits & Score" in (tmp_path / "t.tex").read_text()


def test_predictions_of_two_tasks_are_not_compared(task, tmp_path):
    other = predictions_file(tmp_path, "shapes", "a", "scratch", 0.01, n=250, n_val=50)
    with pytest.raises(InputError, match=r"predicts redshift, but .* armed"):
        read_predictions([morphologies(tmp_path, "sharp", 3), other])


def test_documents_hold_what_there_is(task, results, tmp_path):
    """The last experiment has another task, no encoder and no figure."""
    paths = [morphologies(tmp_path, model, sharp) for model, sharp in (("dull", 0.5), ("sharp", 3))]
    write_table("shapes", paths, SETTINGS, tmp_path / "shapes.csv", tmp_path / "shapes.tex")
    records = [training_record(tmp_path / "records", "shapes", "henghes")]
    networks = networks_file(tmp_path / "networks.json")
    write_cost_table(records, networks, {"shapes": "Shapes"}, tmp_path / "cost.csv", tmp_path / "cost.tex")
    values = tmp_path / "values/shapes.json"
    write_experiment_values(
        "shapes",
        EXPERIMENT | {"title": "Shapes", "table": "shapes", "task": "armed"},
        SETTINGS,
        split_file(tmp_path / "split.parquet", {"train": 700, "val": 50, "test": 250}),
        tmp_path / "shapes.csv",
        models_file(tmp_path / "models.json"),
        tmp_path / "cost.csv",
        paths,
        records,
        values,
    )
    said = json.loads(values.read_text())
    assert said["headline"] == {"key": "hits", "name": "Hits"} and said["best_network"] == "sharp"
    assert [metric["key"] for metric in said["metrics"]] == ["hits", "score"]
    assert (said["comparisons"], said["encoders"]) == ([], [])
    for every in ([*results["values"], values], [results["values"][0], values]):
        stamps = [path for path in results["figures"] if path.stem == "stamps"]
        write_paper(WORKFLOW / "paper", every, stamps, results["tables"], tmp_path / "paper.pdf")
        page = tmp_path / "index.html"
        write_results_page(
            WORKFLOW / "report", every, [], {}, [json_file(tmp_path / "a.csv", 1)], tmp_path / "p.pdf", page
        )
        assert "with Hits of <b>" in page.read_text()
