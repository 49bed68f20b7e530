"""The objectives besides mae, from stamps to an encoder's folder: they learn, are continued, refuse what is wrong."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from astromae.errors import InputError, Interrupted
from astromae.objectives import OBJECTIVES
from astromae.training.pretrain import pretrain
from astromae.training.pretrained import pretrained_encoder
from astromae.training.recipes import EncoderRecipe
from pydantic import ValidationError
from safetensors.torch import load_file
from test_configuration import changed, check_configuration
from training_inputs import (
    BACKBONE,
    FINETUNING,
    PCM,
    backbone_of,
    features_recipe,
    model_recipe,
    objective_recipe,
    read_scalars,
    run_features,
    run_pretrain,
    run_train,
)

INCEPTION = {"network": "inception"}
OWN = {"moco": {"queue": 24, "bn_groups": 4}, "barlow_twins": {"projection": 32}, "supervised": {"hidden": 16}}
#: Long enough to learn something.
EPOCHS = 12
LONGER = {
    "epochs": EPOCHS,
    "schedule": {"kind": "cosine", "warmup": 1},
    "optimiser": {"learning_rate": 2e-3, "betas": [0.9, 0.95], "weight_decay": 0.005},
}


def recipe_of(objective, backbone=BACKBONE, phase=()):
    return objective_recipe(objective, backbone, phase, **OWN[objective])


@pytest.mark.parametrize("objective", OWN)
def test_it_learns(galaxies, tmp_path, objective):
    run_pretrain(galaxies, tmp_path, recipe_of(objective, phase=LONGER), events=tmp_path / "events")
    scalars = read_scalars(tmp_path / "events")

    def curve(name):
        return list(scalars[name].values())

    if objective == "moco":
        # The loss rises while the queue fills with keys that are alike; equal logits would cost log(1 + queue).
        assert curve("loss/train")[-1] < math.log(25) - 0.3
        assert curve("validation/own_cosine")[-1] > curve("validation/other_cosine")[-1] + 0.05
    elif objective == "barlow_twins":
        assert curve("loss/train")[-1] < 0.8 * curve("loss/train")[0]
        assert curve("validation/own_correlation")[-1] > curve("validation/own_correlation")[0]
    else:
        z = pd.read_parquet(galaxies / "galaxies.parquet").z
        assert curve("loss/validation")[-1] < 0.5 * z.var()
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"]["pretraining"]["objective"] == objective


@pytest.mark.parametrize(
    ("objective", "backbone"), [("moco", PCM), ("barlow_twins", INCEPTION), ("supervised", BACKBONE)]
)
def test_a_stop_leaves_the_same_bytes_and_models_take_the_encoder(galaxies, tmp_path, one_thread, objective, backbone):
    # Nine batches of sixteen do not end where a queue of 20 begins.
    own = OWN[objective] | ({"queue": 20} if objective == "moco" else {})
    whole, run, recipe = tmp_path / "whole", tmp_path / "run", objective_recipe(objective, backbone, **own)
    run_pretrain(galaxies, whole, recipe)
    for _ in range(3):
        with pytest.raises(Interrupted):
            run_pretrain(galaxies, run, recipe, minutes=0.0)
    run_pretrain(galaxies, run, recipe)
    for name in ("weights.safetensors", "history.csv", "recipe.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    weights = load_file(run / "weights.safetensors")
    if objective == "moco":
        assert weights["place"] == 9 * 16 % 20
        torch.testing.assert_close(weights["queue"].norm(dim=1), torch.ones(20))
    encoder = pretrained_encoder(run, backbone_of(backbone), 5, 32)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, weights[f"encoder.{name}"]), name
    run_features(galaxies, run, tmp_path / "features.h5", features_recipe(backbone))
    told = model_recipe({**FINETUNING, "epochs": 1}, backbone=backbone, inception=False)
    run_train(galaxies, tmp_path / "model", told, run)
    assert np.isfinite(pd.read_parquet(tmp_path / "model/predictions.parquet").z_pred).all()


def test_lars_trains_and_continues(galaxies, tmp_path, one_thread):
    lars = {"kind": "lars", "learning_rate": 0.2, "weight_decay": 1e-6, "trust": 0.02}
    recipe = recipe_of("barlow_twins", phase={"optimiser": lars})
    run_pretrain(galaxies, tmp_path / "whole", recipe)
    with pytest.raises(Interrupted):
        run_pretrain(galaxies, tmp_path / "run", recipe, minutes=0.0)
    run_pretrain(galaxies, tmp_path / "run", recipe)
    for name in ("weights.safetensors", "history.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    losses = pd.read_csv(tmp_path / "whole/history.csv").train_loss
    assert losses.iloc[-1] < losses.iloc[0]


def test_labels_and_extinctions_are_part_of_the_data(galaxies, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("0000.h5", "split.parquet", "scaling.json"):
        (other / name).symlink_to(galaxies / name)
    catalog = pd.read_parquet(galaxies / "galaxies.parquet")
    catalog.assign(z=catalog.z + 0.01, extinction_g=catalog.extinction_g + 0.01).to_parquet(other / "galaxies.parquet")
    for objective in ("moco", "supervised"):
        with pytest.raises(Interrupted):
            run_pretrain(galaxies, tmp_path / objective, recipe_of(objective), minutes=0.0)
        with pytest.raises(Interrupted):
            run_pretrain(other, tmp_path / objective, recipe_of(objective), minutes=0.0)
        assert "it was made with another data\n" in capsys.readouterr().err


@pytest.mark.parametrize(("objective", "column"), [("moco", "extinction_r"), ("supervised", "z")])
def test_a_galaxy_without_what_is_read_is_named(galaxies, tmp_path, objective, column):
    for name in ("0000.h5", "split.parquet", "scaling.json"):
        (tmp_path / name).symlink_to(galaxies / name)
    catalog = pd.read_parquet(galaxies / "galaxies.parquet")
    catalog[column] = np.nan
    catalog.to_parquet(tmp_path / "galaxies.parquet")
    with pytest.raises(InputError, match=f"have no {column}; the first is objid"):
        run_pretrain(tmp_path, tmp_path / "run", recipe_of(objective))
    if objective == "moco":
        recipe = objective_recipe("moco", **OWN["moco"], views={"deredden": False})
        assert not recipe.reads_catalog
        run_pretrain(tmp_path, tmp_path / "run", recipe)


def test_the_catalogue_is_wanted(galaxies, tmp_path):
    files = ([galaxies / "0000.h5"], galaxies / "split.parquet", galaxies / "scaling.json")
    with pytest.raises(InputError, match="pretrain own: supervised reads z; give the catalogue"):
        pretrain(*files, recipe_of("supervised"), 42, tmp_path)


def test_a_queue_of_all_galaxies_is_refused(galaxies, tmp_path):
    recipe = objective_recipe("moco", queue=64)
    with pytest.raises(InputError, match="queue is 64, and there are 48 stamps to learn from"):
        run_pretrain(galaxies, tmp_path, recipe)


def test_a_recipe_names_the_sources_of_what_it_uses():
    assert recipe_of("supervised").sources()[-1] == "astromae.tasks.redshift"
    assert recipe_of("moco").sources()[-1] == "astromae.objectives.moco"
    told = recipe_of("supervised").as_json()
    assert EncoderRecipe.model_validate(told).as_json() == told
    with pytest.raises(ValidationError, match="supervised learns a task"):
        EncoderRecipe.model_validate({**told, "task": None})


def test_views_decide_the_size_of_stamps():
    assert recipe_of("moco").source_size == 54
    assert recipe_of("supervised").source_size == 48


# Settings


def settings(objective, **own):
    config = changed("experiments.experiment1.pretraining.objective", objective)
    config["experiments"]["experiment1"]["pretraining"].update(own)
    return config


@pytest.mark.parametrize("objective", ["moco", "barlow_twins"])
def test_a_preset_can_change_the_objective(objective):
    """Keys of other objectives, as config.yaml has them for mae, are ignored."""
    checked = check_configuration(settings(objective)).experiments["experiment1"].pretraining
    assert checked.objective == objective and not hasattr(checked, "mask_ratio")
    assert OBJECTIVES[objective].galaxy_views(checked).noise == (1.0, 3.0)


@pytest.mark.parametrize(
    ("objective", "own", "words"),
    [
        ("moco", {"queues": 3}, ["pretraining.queues is an unknown key", "did you mean queue?"]),
        ("moco", {"temperature": 0}, ["pretraining.temperature is 0", "above 0"]),
        ("moco", {"views": {"noise": [3.0, 1.0]}}, ["pretraining.views.noise", "the smaller value first"]),
        ("barlow_twins", {"views": {"jitter_px": 12}}, ["views.empty_corners is false", "stamps.size at least 72"]),
        ("barlow_twins", {"views": {"reden": 1}}, ["pretraining.views.reden is an unknown key"]),
        ("supervised", {}, ["experiment1.pretrain_on", "[train] while", "learns from labels"]),
    ],
)
def test_a_wrong_setting_is_named(objective, own, words):
    with pytest.raises(InputError) as caught:
        check_configuration(settings(objective, **own))
    assert all(word in str(caught.value) for word in words), caught.value


def test_labels_are_learnt_from_the_train_subset():
    config = settings("supervised")
    config["experiments"]["experiment1"] |= {"pretrain_on": ["train"], "validate_on": ["val"]}
    assert check_configuration(config).experiments["experiment1"].pretraining.hidden == 256


def test_corners_may_stay_empty():
    config = settings("moco", views={"jitter_px": 12, "empty_corners": True})
    assert check_configuration(config).experiments["experiment1"].pretraining.views.empty_corners
