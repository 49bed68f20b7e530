"""Shapes as a task: metrics against scikit-learn, missing answers, a training, classical methods, the tables."""

import numpy as np
import pandas as pd
import pytest
import torch
from astromae.classical import METHODS, fit_method, predict_method
from astromae.contracts.predictions import read_predictions
from astromae.contracts.votes import QUESTIONS
from astromae.documents.values_experiment import shapes_text
from astromae.errors import InputError
from astromae.evaluation.answers import answer_metrics, roc_curve
from astromae.evaluation.scores import score
from astromae.figures.roc import draw_roc
from astromae.predict import load_model
from astromae.settings.evaluation import Evaluation
from astromae.tables.metrics import write_table
from astromae.tables.questions import write_questions_table
from astromae.tasks import task_of
from sklearn import metrics
from training_inputs import FINETUNING, model_recipe, run_train, write_galaxies

NAMED = {"task": "morphology", "questions": ["features", "round"], "decided": 0.7}
SETTINGS = Evaluation(bootstrap_samples=100)


@pytest.fixture
def answered():
    random = np.random.default_rng(2)
    fraction = random.beta(0.5, 0.5, 400)
    fraction[::7] = np.nan
    # Few different predictions, so that many are tied.
    predicted = np.round(np.clip(0.6 * np.nan_to_num(fraction) + random.normal(0.2, 0.2, (2, 3, 400)), 0, 1), 1)
    return fraction, predicted


def test_metrics_are_those_of_scikit_learn(answered):
    fraction, predicted = answered
    found = answer_metrics(fraction, predicted, 0.7)
    judged = (fraction >= 0.7) | (fraction <= 0.3)
    for place in np.ndindex(2, 3):
        truth, own = fraction[judged] >= 0.7, predicted[place][judged]
        expected = {
            "accuracy": metrics.accuracy_score(truth, own >= 0.5),
            "precision": metrics.precision_score(truth, own >= 0.5),
            "recall": metrics.recall_score(truth, own >= 0.5),
            "roc_auc": metrics.roc_auc_score(truth, own),
        }
        assert {name: found[name][place] for name in expected} == pytest.approx(expected, abs=1e-12)
        false, true, _ = metrics.roc_curve(truth, own, drop_intermediate=False)
        np.testing.assert_allclose(roc_curve(fraction, predicted[place], 0.7), [false, true], atol=1e-12)


def test_metrics_without_answers():
    said = answer_metrics(np.array([1.0, 0.9, np.nan, 0.5]), np.array([0.1, 0.2, 0.9, 0.9]), 0.7)
    assert (said["accuracy"], said["precision"], said["recall"]) == (0, 0, 0) and np.isnan(said["roc_auc"])
    said = answer_metrics(np.full(4, np.nan), np.full(4, 0.5), 0.7)
    assert all(np.isnan(value) for value in said.values())


def test_seventy_per_cent_decide_however_they_are_rounded():
    found = answer_metrics(np.array([0.7, 0.3], np.float32), np.array([0.6, 0.4]), 0.7)
    assert found["accuracy"] == 1 and found["roc_auc"] == 1


def test_the_loss_is_that_of_the_answers_that_there_are():
    task, random = task_of(NAMED), np.random.default_rng(5)
    outputs, fractions = random.normal(size=(50, 2)), random.uniform(size=(50, 2))
    fractions[random.uniform(size=(50, 2)) < 0.3] = np.nan
    given = torch.tensor(outputs, requires_grad=True)
    loss = task.loss(given, torch.tensor(fractions, dtype=torch.float64))
    p, known = 1 / (1 + np.exp(-outputs)), np.isfinite(fractions)
    each = -(fractions * np.log(p) + (1 - fractions) * np.log(1 - p))
    assert loss.item() == pytest.approx(each[known].sum() / 100, rel=1e-6)
    loss.backward()
    expected = np.where(known, p - np.nan_to_num(fractions), 0) / 100
    np.testing.assert_allclose(given.grad.numpy(), expected, atol=1e-7)
    assert task.loss(given, torch.full((50, 2), torch.nan)).item() == 0
    # Two halves, each on a GPU of its own, weigh as the whole.
    halves = [task.loss(given[half], torch.tensor(fractions[half])).item() for half in (slice(10), slice(10, 50))]
    assert (10 * halves[0] + 40 * halves[1]) / 50 == pytest.approx(loss.item(), rel=1e-6)
    np.testing.assert_allclose(task.predict(outputs)["p_round"], p[:, 1])


def test_outputs_start_at_the_mean_of_the_answers():
    fractions = np.array([[0.9, np.nan], [0.7, np.nan], [np.nan, np.nan]])
    task = task_of(NAMED)
    start = task.predict(task.bias(fractions)[None].astype(np.float64))
    assert start["p_features"] == pytest.approx((1.6 + 1) / 4) and start["p_round"] == pytest.approx(0.5)


@pytest.fixture(scope="module")
def shaped(tmp_path_factory):
    """The galaxies of other tests with votes: features in the larger ones, roundness in some by no rule at all."""
    folder = write_galaxies(tmp_path_factory.mktemp("shaped"))
    catalog = pd.read_parquet(folder / "galaxies.parquet")
    random = np.random.default_rng(6)
    catalog["vote_features"] = np.where(catalog.z < 0.15, 0.95, 0.05)
    catalog["vote_round"] = np.where(
        random.uniform(size=len(catalog)) < 0.6, random.integers(0, 2, len(catalog)), np.nan
    )
    catalog.loc[::9, ["vote_features", "vote_round"]] = np.nan
    catalog.to_parquet(folder / "galaxies.parquet")
    return folder


def trained(shaped, tmp_path):
    branches = {"encoder": None, "pretrained": False, "frozen": False, "inception": False, "magnitude": True}
    run_train(shaped, tmp_path, model_recipe({**FINETUNING, "epochs": 60}, task=NAMED, backbone=None, **branches))
    return tmp_path / "predictions.parquet"


def test_a_model_is_trained_on_galaxies_that_lack_answers(shaped, tmp_path):
    path = trained(shaped, tmp_path)
    read = read_predictions([path])
    catalog = pd.read_parquet(shaped / "galaxies.parquet").set_index("objid")
    split = pd.read_parquet(shaped / "split.parquet").set_index("objid").subset
    labelled = catalog.loc[split.index[split == "train"], ["vote_features", "vote_round"]].notna().any(axis=1).sum()
    assert read.train_galaxies == labelled < (split == "train").sum()
    np.testing.assert_array_equal(read.targets["vote_round"], catalog.vote_round.loc[read.objid])
    scores = score(read, SETTINGS)
    own = answer_metrics(read.targets["vote_features"], read.models[0].predicted["p_features"][0], 0.7)
    assert own["roc_auc"] > 0.95
    both = [
        answer_metrics(read.targets[f"vote_{q}"], read.models[0].predicted[f"p_{q}"][0], 0.7)
        for q in ("features", "round")
    ]
    assert scores.value("accuracy")[0] == pytest.approx(np.mean([each["accuracy"] for each in both]))
    # Asked again, the folder answers as it did.
    from test_predict import evaluated

    stamps, magnitudes = evaluated(shaped, read.objid)
    again = load_model(tmp_path).predict(stamps, magnitudes)
    np.testing.assert_array_equal(again["p_features"], read.models[0].predicted["p_features"][0])


def test_tables_and_figure(shaped, tmp_path):
    paths = [trained(shaped, tmp_path)]
    write_table("shapes", paths, SETTINGS, tmp_path / "t.csv", tmp_path / "t.tex")
    assert {"accuracy", "precision_low", "recall_high", "roc_auc"} <= set(pd.read_csv(tmp_path / "t.csv"))
    write_questions_table(paths, SETTINGS, tmp_path / "q.csv", tmp_path / "q.tex")
    table = pd.read_csv(tmp_path / "q.csv")
    assert table.question.tolist() == ["features", "round"]
    read = read_predictions(paths)
    assert table.n_yes.tolist() == [int((read.targets[f"vote_{q}"] >= 0.7).sum()) for q in ("features", "round")]
    assert (table.accuracy_low <= table.accuracy).all() and (table.accuracy <= table.accuracy_high).all()
    assert "Features or disc" in (tmp_path / "q.tex").read_text()
    draw_roc(paths, "test", tmp_path / "roc.pdf", tmp_path / "roc.png")
    assert (tmp_path / "roc.png").stat().st_size > 10_000
    assert shapes_text(read.task) == {"questions": ["features or disc", "completely round"], "decided": "70"}
    assert shapes_text("redshift") is None


def test_a_question_without_an_answer_stops_the_training(shaped, tmp_path):
    branches = {"encoder": None, "pretrained": False, "frozen": False, "inception": False, "magnitude": True}
    catalog = pd.read_parquet(shaped / "galaxies.parquet")
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("0000.h5", "split.parquet", "scaling.json"):
        (folder / name).write_bytes((shaped / name).read_bytes())
    catalog.assign(vote_round=np.nan).to_parquet(folder / "galaxies.parquet")
    recipe = model_recipe(FINETUNING, task=NAMED, backbone=None, **branches)
    with pytest.raises(InputError, match=r"none of 40 galaxies of a subset has a vote_round, which shape is learnt"):
        run_train(folder, tmp_path, recipe)


@pytest.mark.parametrize("method", METHODS)
def test_classical_methods_learn_each_question_from_those_that_answered_it(method):
    random, task = np.random.default_rng(8), task_of(NAMED)
    inputs = random.normal(size=(300, 5)) if not METHODS[method].stamps else random.normal(size=(300, 30))
    labels = np.stack([inputs[:, 0] > 0, inputs[:, 1] > 0.5], axis=1).astype(float)
    labels[::3, 1] = np.nan
    fitted = fit_method(METHODS[method], task, inputs, labels, 1)
    found = predict_method(METHODS[method], task, fitted, inputs[:100])
    assert set(found) == {"p_features", "p_round"} and all((p >= 0).all() and (p <= 1).all() for p in found.values())
    known = np.isfinite(labels[:, 1])
    alone = METHODS[method].predict(METHODS[method].fit(inputs[known], labels[known, 1:], 1), inputs[:100])[:, 0]
    np.testing.assert_array_equal(found["p_round"], np.clip(alone, 0, 1))
    assert answer_metrics(labels[:100, 0], found["p_features"], 0.7)["roc_auc"] > 0.9
    with pytest.raises(InputError, match="none of 300 labelled galaxies has a vote_round"):
        fit_method(METHODS[method], task, inputs, np.where([True, False], labels, np.nan), 1)


@pytest.mark.parametrize(
    "own", [{"questions": []}, {"questions": ["arms"]}, {"decided": 0.5}, {"questions": ["bar", "bar"]}]
)
def test_wrong_settings_are_refused(own):
    with pytest.raises(InputError, match="task morphology"):
        task_of({**NAMED, **own})


def test_without_settings_all_questions_are_asked():
    assert task_of("morphology").columns == tuple(f"p_{question}" for question in QUESTIONS)
