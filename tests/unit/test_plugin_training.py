"""An encoder, an objective with two views and a task with two outputs from a person's own files."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astromae.classical import METHODS
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.encoders import ENCODERS
from astromae.errors import Interrupted
from astromae.objectives import OBJECTIVES
from astromae.plugins import load_plugins
from astromae.predict import load_model
from astromae.sources import sources_of
from astromae.tasks import TASKS
from astromae.training import fingerprint
from safetensors.torch import load_file
from test_predict import evaluated
from training_inputs import (
    FINETUNING,
    features_recipe,
    model_recipe,
    pretraining_recipe,
    run_features,
    run_pretrain,
    run_train,
)

PLUGINS = [
    Path(__file__).parents[1] / f"plugins/{name}.py"
    for name in ("encoder_convolutional", "objective_two_views", "task_two_outputs")
]


@pytest.fixture(scope="module", autouse=True)
def loaded(forget_entries):
    load_plugins(PLUGINS)


BACKBONE = {"network": "convolutional", "width": 12}


def recipe(**changes):
    phase = {name: value for name, value in FINETUNING.items() if name != "noise_sigma"}
    return pretraining_recipe(
        BACKBONE, own_pretraining={**phase, "objective": "two-views", "momentum": 0.9, **changes}, sections={}
    )


@pytest.fixture(scope="module")
def own_encoder(loaded, galaxies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    run_pretrain(galaxies, folder, recipe())
    return folder


def test_it_learns_stops_and_continues_with_all_its_state(galaxies, own_encoder, tmp_path):
    """The slower encoder is neither lost nor learnt from gradients."""
    history = pd.read_csv(own_encoder / "history.csv")
    assert history.val_loss.iloc[-1] < history.val_loss.iloc[0]
    for _ in range(4):
        with pytest.raises(Interrupted):
            run_pretrain(galaxies, tmp_path, recipe(), minutes=0.0)
    run_pretrain(galaxies, tmp_path, recipe())
    for name in ("weights.safetensors", "history.csv"):
        assert (tmp_path / name).read_bytes() == (own_encoder / name).read_bytes(), name
    weights = load_file(own_encoder / "weights.safetensors")
    slow, fast = (weights[f"{name}.layers.0.weight"] for name in ("slower", "encoder"))
    assert 0 < (slow - fast).abs().max() < fast.abs().max()


def test_both_views_are_of_the_same_stamps_and_differ(galaxies):
    from astromae.training.scaling import read_scaling
    from astromae.training.session import Session
    from astromae.training.sources import ResidentStamps

    session = Session("pretrain", recipe(), 42, read_scaling(galaxies / "scaling.json"))
    noise = torch.rand(20, 5, 48, 48, generator=torch.Generator().manual_seed(0))
    stamps = ResidentStamps((torch.arange(1, 21)[:, None, None, None] + 0.1 * noise).half())
    views = session.views(stamps, 8)
    for (_, p, (one, other)), (_, q, alone) in zip(views.several(3, 0, 2), views.epoch(3), strict=True):
        assert torch.equal(p, q) and torch.equal(one, alone) and not torch.equal(one, other)
        # Each stamp has a level of its own, which a rotation hardly changes.
        torch.testing.assert_close(one.mean(dim=(2, 3)), other.mean(dim=(2, 3)), atol=0.01, rtol=0)


def test_two_outputs_go_from_the_catalogue_to_predictions(galaxies, own_encoder, tmp_path):
    run_features(galaxies, own_encoder, tmp_path / "features.h5", features_recipe(BACKBONE))
    with h5py.File(tmp_path / "features.h5") as file:
        assert file["train"].shape == (3, 40, 12)
    told = model_recipe(task="two-outputs", backbone=BACKBONE)
    run_train(galaxies, tmp_path / "model", told, own_encoder, tmp_path / "features.h5")
    predictions = pd.read_parquet(tmp_path / "model/predictions.parquet")
    assert list(predictions) == ["objid", "z_true", "mag_r_true", "z_pred", "mag_r_pred", "subset"]
    truth = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").loc[predictions.objid]
    np.testing.assert_array_equal(predictions.mag_r_true, truth.mag_r)
    # The outputs start at the means of their targets, and stay near them in three epochs.
    assert abs(predictions.mag_r_pred - predictions.mag_r_true).median() < 1
    test = predictions.query("subset == 'test'")
    predicted = load_model(tmp_path / "model").predict(*evaluated(galaxies, test.objid.to_numpy()))
    for name in ("z_pred", "mag_r_pred"):
        np.testing.assert_array_equal(predicted[name], test[name])
    metrics = TASKS["two-outputs"].measure({name: test[name].to_numpy() for name in test}, 0.05)
    assert set(metrics) == set(TASKS["two-outputs"].metrics)


@pytest.mark.parametrize("method", [name for name in METHODS if not METHODS[name].stamps])
def test_classical_regression_fits_each_target(galaxies, tmp_path, method):
    recipe = ClassicalRecipe(experiment="e", model=method, group="classical", task="two-outputs")
    fit_classical(galaxies / "galaxies.parquet", galaxies / "split.parquet", recipe, 42, tmp_path)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    assert abs(predictions.mag_r_pred - predictions.mag_r_true).median() < 0.5
    known = evaluated(galaxies, predictions.objid.to_numpy())
    np.testing.assert_array_equal(load_model(tmp_path).predict(*known)["mag_r_pred"], predictions.mag_r_pred)


def test_an_edit_of_the_file_is_another_training(galaxies, tmp_path, monkeypatch, capsys):
    assert {ENCODERS.source("convolutional"), OBJECTIVES.source("two-views")} == set(PLUGINS[:2])
    with pytest.raises(Interrupted):
        run_pretrain(galaxies, tmp_path, recipe(), minutes=0.0)
    edited = tmp_path / PLUGINS[0].name
    edited.write_text(PLUGINS[0].read_text() + "\n")
    swapped = {PLUGINS[0]: edited}
    monkeypatch.setattr(
        fingerprint, "sources_of", lambda *modules: sources_of(*(swapped.get(module, module) for module in modules))
    )
    run_pretrain(galaxies, tmp_path, recipe())
    assert "it was made with another code\n" in capsys.readouterr().err
