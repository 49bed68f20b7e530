"""Budgets of training in updates: counted, ended in the middle of a pass, and continued at every update."""

import json

import pandas as pd
import pytest
from astromae.errors import Interrupted
from astromae.settings.training import Budget, Finetuning
from astromae.training.schedule import learning_rate, rate_of_update
from astromae.training.views import batches
from training_inputs import FINETUNING, features_recipe, model_recipe, run_features, run_train

#: Of the 40 galaxies that train a pass has three batches; the last one ends two updates after a pass.
UPDATES = {**FINETUNING, "epochs": None, "updates": 8, "validations": 3, "schedule": {"kind": "cosine", "warmup": 2}}


def phase(**changes):
    return Finetuning(**{**UPDATES, **changes})


@pytest.mark.parametrize(("galaxies", "batch_size"), [(93, 32), (96, 32), (5, 32), (1, 1), (3000, 128)])
def test_a_budget_counts_batches_as_views_deal_them(galaxies, batch_size):
    dealt = [len(batch) for batch in batches(galaxies, batch_size)]
    for updates in (1, 2, len(dealt), len(dealt) + 1, 10):
        budget = Budget(updates=updates, batch_size=batch_size)
        assert budget.batches(galaxies) == len(dealt)
        assert budget.passes(galaxies) == -(-updates // len(dealt))
        assert budget.stamps(galaxies) == sum((dealt * updates)[:updates])
    epochs = Budget(epochs=3, batch_size=batch_size)
    assert (epochs.all_updates(galaxies), epochs.passes(galaxies)) == (3 * len(dealt), 3)
    assert epochs.stamps(galaxies) == 3 * galaxies


def test_validations_are_evenly_spaced_and_the_last_is_the_end():
    assert phase(updates=100, validations=4).validated_after(93) == [25, 50, 75, 100]
    assert phase(updates=10, validations=4).validated_after(93) == [2, 5, 7, 10]
    # Not more of them than updates.
    assert phase(updates=3, validations=20).validated_after(93) == [1, 2, 3]
    # Of epochs one after each, three batches of 93 galaxies.
    assert phase(updates=None, epochs=4, batch_size=32).validated_after(93) == [3, 6, 9, 12]


def test_the_rate_follows_updates_or_stays_for_an_epoch():
    by_update, by_epoch = phase(), phase(updates=None, epochs=8)
    expected = [learning_rate(1e-3, by_update.schedule, 8, step) for step in range(8)]
    assert expected[0] == 0.5e-3 and expected[1] < 1e-3 and 0 < expected[-1] < 0.05e-3
    assert [rate_of_update(by_update, update, 3) for update in range(8)] == expected
    assert [rate_of_update(by_epoch, update, 3) for update in range(24)] == [
        rate for rate in expected for _ in range(3)
    ]


def test_a_training_ends_in_the_middle_of_a_pass_and_continues_at_every_update(galaxies, tmp_path):
    recipe = model_recipe(UPDATES, pretrained=False, frozen=False, inception=False, magnitude=False)
    whole, run = tmp_path / "whole", tmp_path / "run"
    run_train(galaxies, whole, recipe)
    history = pd.read_csv(whole / "history.csv")
    assert list(history) == ["update", "epoch", "learning_rate", "train_loss", "val_loss"]
    assert history["update"].tolist() == [2, 5, 8]
    assert history["epoch"].tolist() == pytest.approx([2 / 3, 5 / 3, 8 / 3])
    assert history["learning_rate"].tolist() == pytest.approx([rate_of_update(phase(), u, 3) for u in (1, 4, 7)])
    assert json.loads((whole / "provenance.json").read_text())["stamps"] == 40 * 8 // 3
    for _ in range(8):
        with pytest.raises(Interrupted):
            run_train(galaxies, run, recipe, minutes=0.0)
    run_train(galaxies, run, recipe)
    for name in ("history.csv", "weights.safetensors", "predictions.parquet"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def test_shared_features_serve_a_budget_in_updates(galaxies, encoder, tmp_path):
    passes = features_recipe().finetuning.model_copy(update={"epochs": None, "updates": 8})
    run_features(
        galaxies, encoder, tmp_path / "features.h5", features_recipe().model_copy(update={"finetuning": passes})
    )
    recipe = model_recipe(UPDATES, inception=False)
    run_train(galaxies, tmp_path / "shared", recipe, encoder, tmp_path / "features.h5")
    run_train(galaxies, tmp_path / "own", recipe, encoder, None)
    shared, own = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("shared", "own"))
    pd.testing.assert_frame_equal(shared, own)
