"""A line of a study: each number of labels is a training like any other, and a killed step goes on."""

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.splits import read_split
from astromae.errors import InputError
from astromae.training import label_curve as step
from astromae.training import trainer
from astromae.training.label_curve import label_curve
from astromae.training.recipes import CurveRecipe, FeaturesRecipe
from astromae.training.session import Execution
from astromae.training.subsets import labelled_order
from training_inputs import (
    COMMON,
    FINETUNING,
    PCM,
    features_recipe,
    model_recipe,
    pretraining_recipe,
    run_features,
    run_pretrain,
    run_train,
    write_galaxies,
)

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = (0.25, 1.0)
UPDATES = {**{name: value for name, value in FINETUNING.items() if name != "epochs"}, "updates": 5, "validations": 2}


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    return write_galaxies(tmp_path_factory.mktemp("galaxies"))


@pytest.fixture(scope="module")
def encoder(galaxies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    run_pretrain(galaxies, folder, pretraining_recipe(epochs=1))
    return folder


def recipe(frozen=False, pretrained=True, labels=LABELS, objective="mae", **changes):
    branches = {"encoder": "tiny", "pretrained": pretrained, "frozen": frozen, "inception": False, "magnitude": False}
    return CurveRecipe(
        study="rivals",
        objective=objective,
        network="tiny",
        task="redshift",
        branches=branches,
        backbone=PCM,
        labels=labels,
        finetuning={**UPDATES, **({"augmented_views": 2} if frozen else {}), **changes},
        **COMMON,
    )


def run(galaxies, folder, told, encoder=None, seed=42):
    label_curve(
        galaxies / "galaxies.parquet",
        [galaxies / "0000.h5"],
        galaxies / "split.parquet",
        galaxies / "scaling.json",
        told,
        seed,
        folder / "predictions.parquet",
        folder / "provenance.json",
        encoder and encoder / "weights.safetensors",
        Execution(checkpoints=folder / "checkpoints"),
    )
    return pd.read_parquet(folder / "predictions.parquet")


def trained(galaxies, folder, frozen, encoder, features=None):
    """Return the test predictions of the step that trains a model with all labels of a split."""
    told = model_recipe(UPDATES, frozen=frozen, pretrained=encoder is not None, inception=False, magnitude=False)
    run_train(galaxies, folder, told, encoder, features)
    table = pd.read_parquet(folder / "predictions.parquet")
    return table[table.subset == "test"].z_pred.to_numpy()


def test_with_all_labels_it_is_the_training_of_an_experiment(galaxies, encoder, tmp_path):
    (tmp_path / "curve").mkdir()
    curve = run(galaxies, tmp_path / "curve", recipe(labels=(1.0,)), encoder)
    assert set(curve.n_labels) == {40}
    assert np.array_equal(curve.z_pred, trained(galaxies, tmp_path / "model", False, encoder))


def test_frozen_with_all_labels_it_is_the_training_on_shared_features(galaxies, encoder, tmp_path):
    (tmp_path / "curve").mkdir()
    passes = {name: UPDATES[name] for name in ("updates", "batch_size", "noise_sigma")}
    told = FeaturesRecipe(**{**features_recipe().as_json(), "finetuning": passes})
    run_features(galaxies, encoder, tmp_path / "features.h5", told)
    curve = run(galaxies, tmp_path / "curve", recipe(True, labels=(1.0,)), encoder)
    model = trained(galaxies, tmp_path / "model", True, encoder, tmp_path / "features.h5")
    # Five updates are two passes, and as many views have features.
    assert np.array_equal(curve.z_pred, model)


def test_with_fewer_labels_it_is_the_training_on_these_galaxies(galaxies, tmp_path):
    """From scratch: a split without the other labels gives the same model."""
    (tmp_path / "curve").mkdir()
    curve = run(galaxies, tmp_path / "curve", recipe(pretrained=False, objective="supervised"))
    assert set(curve.n_labels) == {10, 40}
    split = read_split(galaxies / "split.parquet")
    train = np.sort(split.objid[split.subset == "train"])
    labelled = train[labelled_order(np.zeros((len(train), 1)), 42)[:10]]
    few = tmp_path / "few"
    few.mkdir()
    for file in galaxies.iterdir():
        (few / file.name).symlink_to(file)
    (few / "split.parquet").unlink()
    split[(split.subset != "train") | split.objid.isin(labelled)].to_parquet(few / "split.parquet")
    model = trained(few, tmp_path / "model", False, None)
    assert np.array_equal(curve.z_pred[curve.n_labels == 10], model)


def test_a_random_encoder_is_frozen_where_it_starts(galaxies, tmp_path):
    """As that of a model of an experiment, which is kept as it was drawn."""
    (tmp_path / "curve").mkdir()
    random = recipe(True, pretrained=False, labels=(1.0,), objective="random")
    curve = run(galaxies, tmp_path / "curve", random)
    assert np.array_equal(curve.z_pred, trained(galaxies, tmp_path / "model", True, None))


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize(("frozen", "moment"), [(False, 2), (False, 4), (True, 5), (True, 6)])
def test_a_killed_step_goes_on_to_the_same_bytes(galaxies, encoder, tmp_path, monkeypatch, frozen, moment):
    """Killed in the first training, in the second, and before its predictions: validated twice, each predicts once."""
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run(galaxies, tmp_path / "whole", recipe(frozen), encoder)
    calls, trainings = [], []
    predict, fit = step.predict, trainer.Training.between

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == moment:
            raise Killed
        return predict(*arguments)

    def counting(self, model, done, until):
        trainings.append((len(self.objid), done))
        return fit(self, model, done, until)

    monkeypatch.setattr(trainer, "CHECKPOINT_INTERVAL_S", 0.0)
    monkeypatch.setattr(step, "predict", dying)
    with pytest.raises(Killed):
        run(galaxies, tmp_path / "killed", recipe(frozen), encoder)
    assert not (tmp_path / "killed/predictions.parquet").exists()
    monkeypatch.setattr(step, "predict", predict)
    monkeypatch.setattr(trainer.Training, "between", counting)
    run(galaxies, tmp_path / "killed", recipe(frozen), encoder)
    assert next(labels for labels, _ in trainings) == (10 if moment == 2 else 40)
    whole, killed = (tmp_path / name / "predictions.parquet" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()
    assert not list((tmp_path / "killed/checkpoints").iterdir())


def test_a_seed_draws_its_own_labels(galaxies, tmp_path):
    tables = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        tables.append(run(galaxies, tmp_path / str(seed), recipe(pretrained=False, objective="supervised"), seed=seed))
    assert not np.allclose(tables[0].z_pred, tables[1].z_pred)
    assert np.array_equal(tables[0].objid, tables[1].objid)


def test_galaxies_need_labels(galaxies, tmp_path):
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    for file in galaxies.iterdir():
        (folder / file.name).symlink_to(file)
    table = pd.read_parquet(galaxies / "galaxies.parquet")
    split = read_split(galaxies / "split.parquet")
    bad = split.objid[split.subset == "test"].iloc[0]
    table.loc[table.objid == bad, "z"] = np.nan
    (folder / "galaxies.parquet").unlink()
    table.to_parquet(folder / "galaxies.parquet")
    with pytest.raises(InputError, match=f"1 of 16 galaxies have no z; the first is objid {bad}"):
        run(folder, tmp_path, recipe(pretrained=False))
