"""Which histories say that a training ended too early."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.history import read_history
from astromae.flatness import still_falling
from training_inputs import pretraining_recipe, run_pretrain

#: Of the default run: encoders and a model from scratch, with the budgets of the time.
GENUINE = Path(__file__).with_name("histories")


def history(loss, rows=20, updates=2000):
    """Return the history of a loss given as a function of the part of the updates that is done."""
    update = np.array([updates * (row + 1) // rows for row in range(rows)])
    return pd.DataFrame({"update": update, "val_loss": loss(update / updates)})


def noisy(loss, sigma, seed):
    random = np.random.default_rng(seed)
    return lambda part: loss(part) + sigma * random.standard_normal(len(part))


def test_a_loss_that_falls_steadily_is_still_falling():
    assert still_falling(history(lambda part: 1 - 0.9 * part))
    assert still_falling(history(lambda part: 0.1 + 0.2 * np.exp(-part / 0.5)))


def test_a_flat_loss_is_not_still_falling():
    assert still_falling(history(lambda part: np.full_like(part, 0.3))) is False
    assert still_falling(history(lambda part: 0.1 + 0.2 * np.exp(-part / 0.1))) is False
    # Overfitting.
    assert still_falling(history(lambda part: 0.1 + (part - 0.4) ** 2)) is False


@pytest.mark.parametrize("offset", [-5.0, 0.0, 100.0])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_neither_the_unit_nor_the_zero_of_a_loss_matters(offset, scale):
    """A logarithmic loss may be negative."""
    assert still_falling(history(lambda part: offset + scale * (1 - 0.5 * part)))
    assert not still_falling(history(lambda part: offset + scale * np.exp(-part / 0.1)))


def test_a_first_loss_of_any_size_changes_nothing():
    made = history(lambda part: 1 - 0.5 * part)
    made.loc[0, "val_loss"] = 1e6
    assert still_falling(made)


def test_a_cosine_does_not_hide_that_all_is_left_to_learn():
    """Losses as functions of the sum of the learning rates so far, which is all that steps without noise know."""

    def travelled(part):
        return part + np.sin(np.pi * part) / np.pi

    assert still_falling(history(lambda part: 1 - 0.1 * travelled(part)))
    assert not still_falling(history(lambda part: 0.3 + np.exp(-travelled(part) / 0.1)))


@pytest.mark.parametrize("rows", [20, 100])
def test_scatter_alone_is_seldom_taken_for_a_fall(rows):
    """At most one in a hundred, as the percentile says, of losses that scatter about a plateau."""
    flat = [
        still_falling(history(noisy(lambda part: 0.1 + 0.2 * np.exp(-part / 0.05), 0.02, seed), rows))
        for seed in range(400)
    ]
    assert np.mean(flat) < 0.03
    steep = [still_falling(history(noisy(lambda part: 1 - part, 0.005, seed), rows)) for seed in range(100)]
    assert np.mean(steep) > 0.95


def test_a_history_of_few_rows_says_nothing():
    assert still_falling(history(lambda part: 1 - part, rows=10)) is None
    assert still_falling(history(lambda part: 1 - part, rows=1)) is None
    assert still_falling(history(lambda part: 1 - part, rows=20)) is not None


@pytest.mark.parametrize(
    ("name", "falls"),
    [("pretraining-plain", True), ("pretraining-pcm", True), ("scratch-pcm-vit-magnitude", False)],
)
def test_histories_of_the_default_run(name, falls):
    """After 4,000 updates autoencoders still learn; a model with magnitudes has learnt what it can after 2,000."""
    assert still_falling(read_history(GENUINE / f"{name}.csv")) is falls


def test_a_training_that_ends_too_early_says_so(galaxies, tmp_path, capsys):
    optimiser = {"learning_rate": 1e-4, "betas": [0.9, 0.95], "weight_decay": 0.05}
    recipe = pretraining_recipe(epochs=None, updates=20, validations=20, optimiser=optimiser)
    run_pretrain(galaxies, tmp_path, recipe)
    assert still_falling(read_history(tmp_path / "history.csv"))
    said = "warning: pretrain pcm: the validation loss was still falling over the last fifth of 20 updates"
    assert said in capsys.readouterr().err
