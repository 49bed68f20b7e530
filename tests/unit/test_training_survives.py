"""Trainings that are killed, stopped, continued, or go wrong: the same bytes in the end, or a reason."""

import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pandas as pd
import pytest
import torch
from astromae.errors import InputError, Interrupted
from astromae.training import checkpoint, fingerprint, trainer
from astromae.training.checkpoint import Checkpoint
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from safetensors.torch import load_file, save_file
from training_inputs import (
    FINETUNING,
    PRETRAINING,
    model_recipe,
    pretraining_recipe,
    read_scalars,
    run_features,
    run_pretrain,
    run_train,
)

#: Trainings long enough to be killed several times.
EPOCHS = 40

#: Forks a process for every attempt, so that torch is imported once, and kills each at a random moment after it
#: has saved a state. The last attempt runs to its end.
KILLED = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from pathlib import Path
import astromae.training.trainer as trainer
import test_training_survives as t
trainer.CHECKPOINT_INTERVAL_S = 0.02
def states():
    found = []
    for path in Path({output!r}, "checkpoints").glob("[!.]*.checkpoint"):
        try:
            found.append(path.stat().st_mtime_ns)
        except FileNotFoundError:  # the training has ended in between
            pass
    return found
moments = random.Random({seed})
for attempt in range({kills}):
    before = states()
    child = os.fork()
    if not child:
        {call}
        os._exit(0)
    while states() == before and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.002)
    time.sleep(moments.uniform(0, 0.3))
    os.kill(child, signal.SIGKILL)
    print("killed", os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
{call}
"""


def long_pretraining(folder, output):
    recipe = pretraining_recipe(epochs=EPOCHS)
    run_pretrain(Path(folder), Path(output), recipe, events=Path(output, "events"))


def long_finetuning(folder, output):
    longer = {**FINETUNING, "epochs": EPOCHS}
    recipe = model_recipe(longer, pretrained=False, frozen=False, inception=False, magnitude=False)
    run_train(Path(folder), Path(output), recipe, events=Path(output, "events"))


@pytest.mark.parametrize(
    ("train", "results"),
    [
        (long_pretraining, ["weights.safetensors", "history.csv", "recipe.json"]),
        (long_finetuning, ["weights.safetensors", "history.csv", "recipe.json", "predictions.parquet"]),
    ],
    ids=["pretraining", "fine-tuning"],
)
def test_training_that_is_killed_ends_with_the_same_bytes(galaxies, tmp_path, one_thread, train, results):
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(galaxies, whole)
    kills, seed = 4, random.randrange(10**6)
    call = f"t.{train.__name__}({str(galaxies)!r}, {str(run)!r})"
    code = KILLED.format(tests=str(Path(__file__).parent), output=str(run), call=call, kills=kills, seed=seed)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["killed", "9"] * kills, f"moments of seed {seed}"
    assert ran.stderr.count("continuing in epoch") == kills
    for name in results:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name}, moments of seed {seed}"

    about = json.loads((run / "provenance.json").read_text())
    assert about["attempts"] == kills + 1
    assert about["cpu_s"] > 0 and about["wall_s"] >= about["cpu_s"] / 2

    # The scalars are those of the history and do not tell that the training was killed.
    history = pd.read_csv(run / "history.csv")
    expected, scalars = read_scalars(whole / "events"), read_scalars(run / "events")
    for name, column in (
        ("loss/train", "train_loss"),
        ("loss/validation", "val_loss"),
        ("learning_rate", "learning_rate"),
    ):
        assert list(scalars[name]) == history["update"].tolist(), name
        assert list(scalars[name].values()) == pytest.approx(history[column], rel=1e-6), name
    assert scalars["loss/batch"] == expected["loss/batch"]
    assert pd.Series(scalars["seconds"]).is_monotonic_increasing
    assert min(scalars["stamps_per_s"].values()) > 0
    assert not list((run / "checkpoints").iterdir())


def test_termination_has_its_own_status_and_the_same_command_continues(galaxies, tmp_path, one_thread, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    recipe = pretraining_recipe(epochs=EPOCHS)

    run, whole = tmp_path / "run", tmp_path / "whole"
    told = {"stamps": [galaxies / "0000.h5"], "split": galaxies / "split.parquet", "seed": 42, "output": run}
    told |= {"scaling": galaxies / "scaling.json", "recipe": recipe.as_json()}
    told |= {"execution": {"checkpoints": run / "checkpoints", "events": run / "events"}}
    command = [sys.executable, "-m", "astromae", "pretrain", "--params", json.dumps(told, default=str)]

    terminated = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list((run / "events").glob("*")) and terminated.poll() is None:
        time.sleep(0.01)
    terminated.send_signal(signal.SIGTERM)
    said = terminated.communicate(timeout=120)[1]
    assert terminated.returncode == 75, said
    assert "the state is saved in" in said and "Traceback" not in said
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    run_pretrain(galaxies, whole, recipe)
    for name in ("weights.safetensors", "history.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def with_changed_pixel(folder, copy, value):
    """Return a folder of the same galaxies, with another value in one pixel of the first stamp."""
    copy.mkdir(exist_ok=True)
    for name in ("0000.h5", "split.parquet", "scaling.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    with h5py.File(copy / "0000.h5", "r+") as file:
        file["images"][0, 2, 32, 32] = value
    return copy


def test_step_stops_before_its_time_limit(galaxies, tmp_path):
    with pytest.raises(Interrupted, match="the same command continues"):
        run_pretrain(galaxies, tmp_path, pretraining_recipe(), minutes=0.0)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    assert not (tmp_path / "weights.safetensors").exists()


def test_torn_checkpoint_gives_way_to_the_one_before(tmp_path, capsys):
    checkpoint = Checkpoint(tmp_path, "step", {"recipe": "0"})
    checkpoint.save({"epoch": 0, "batch": 1})
    checkpoint.save({"epoch": 0, "batch": 2})
    assert checkpoint.load()["batch"] == 2
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-7])
    assert checkpoint.load()["batch"] == 1
    assert "is torn" in capsys.readouterr().err
    checkpoint.remove()
    assert checkpoint.load() is None


def test_a_state_whose_fingerprint_lacks_a_part_is_another_one(tmp_path, capsys):
    """States of earlier versions lack parts that were added since, or have none at all."""
    Checkpoint(tmp_path, "step", {"recipe": "0", "code": "1"}).save({"epoch": 3, "batch": 1})
    for state in (tmp_path / "step.old.checkpoint", tmp_path / "step.older.checkpoint"):
        payload = io.BytesIO()
        torch.save(
            {"epoch": 1, "batch": 2} | ({"fingerprint": {"recipe": "0"}} if "old." in state.name else {}), payload
        )
        state.write_bytes(hashlib.sha256(payload.getvalue()).digest() + payload.getvalue())
    new = Checkpoint(tmp_path, "step", {"recipe": "0", "code": "1", "torch": "2"})
    assert new.load() is None
    said = capsys.readouterr().err
    assert "step.old.checkpoint: it was made with another code and another torch\n" in said
    assert "step.older.checkpoint: it was made with another recipe and another code and another torch\n" in said
    assert said.count("starting anew, not continuing") == 3


@pytest.mark.parametrize("ending", ["whole", "stopped"])
def test_the_handler_of_sigterm_does_not_outlive_the_training(galaxies, tmp_path, ending):
    def own(number, frame):
        raise AssertionError

    former = signal.signal(signal.SIGTERM, own)
    try:
        if ending == "whole":
            run_pretrain(galaxies, tmp_path, pretraining_recipe())
        else:
            with pytest.raises(Interrupted):
                run_pretrain(galaxies, tmp_path, pretraining_recipe(), minutes=0.0)
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, former)


def test_the_scale_of_a_16_mixed_loss_is_continued(galaxies, tmp_path, monkeypatch):
    """The scale starts so high that steps are skipped until it has fallen: without it a continued training differs."""

    def fabric(_):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=2)
        return Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])

    monkeypatch.setattr("astromae.training.session.make_fabric", fabric)
    recipe = pretraining_recipe(epochs=4)
    run_pretrain(galaxies, tmp_path / "whole", recipe)
    for _ in range(5):
        with pytest.raises(Interrupted):
            run_pretrain(galaxies, tmp_path / "run", recipe, minutes=0.0)
    (path,) = (tmp_path / "run" / "checkpoints").glob("*.checkpoint")
    scaler = checkpoint._read(path)["precision"]
    assert scaler["scale"] != 2.0**24 and scaler["growth_interval"] == 2
    run_pretrain(galaxies, tmp_path / "run", recipe)
    for name in ("weights.safetensors", "history.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("changed", ["recipe", "data", "code"])
def test_state_of_another_training_is_not_continued_and_says_so(galaxies, tmp_path, capsys, monkeypatch, changed):
    recipe, folder = pretraining_recipe(), galaxies
    with pytest.raises(Interrupted):
        run_pretrain(galaxies, tmp_path, recipe, minutes=0.0)
    (left,) = (tmp_path / "checkpoints").iterdir()
    if changed == "recipe":
        recipe = pretraining_recipe(mask_ratio=0.5)
    elif changed == "data":
        folder = with_changed_pixel(galaxies, tmp_path / "other", 0.5)
    else:
        others = [path for path in fingerprint.command_sources("pretrain") if path.name != "pretrain.py"]
        monkeypatch.setattr(fingerprint, "command_sources", lambda command: others)
    capsys.readouterr()
    run_pretrain(folder, tmp_path, recipe)
    said = capsys.readouterr().err
    assert f"starting anew, not continuing {left}: it was made with another {changed}\n" in said
    assert "continuing in" not in said
    # Its own training may be taken up again.
    assert list((tmp_path / "checkpoints").iterdir()) == [left]
    run_pretrain(galaxies, tmp_path / "again", pretraining_recipe(), checkpoints=tmp_path / "checkpoints")


def test_loss_that_is_not_finite_stops_with_the_galaxies(galaxies, tmp_path):
    recipe = pretraining_recipe(optimiser={**PRETRAINING["optimiser"], "learning_rate": 1e30})
    message = r"pretrain pcm: the loss is (nan|inf) in epoch \d.*objid.*10000.*No state had been saved"
    with pytest.raises(InputError, match=message):
        run_pretrain(galaxies, tmp_path, recipe)
    assert not (tmp_path / "weights.safetensors").exists()


def test_the_last_good_state_is_named(galaxies, tmp_path, monkeypatch):
    """The learning rate leaps in the second epoch: no state is saved after it has spoiled the weights."""
    monkeypatch.setattr(trainer, "CHECKPOINT_INTERVAL_S", 0.0)
    monkeypatch.setattr(trainer, "rate_of_update", lambda phase, update, batches: 1e-3 * 1e60 ** (update // batches))
    with pytest.raises(InputError) as caught:
        run_pretrain(galaxies, tmp_path, pretraining_recipe())
    (path,) = (tmp_path / "checkpoints").glob("*.checkpoint")
    assert "weights are not finite after epoch 2, batch 1" in str(caught.value)
    assert f"The last good state, of epoch 1 after batch 3, is in {path}" in str(caught.value)
    assert "(objid) are [10000" in str(caught.value)


def test_encoder_that_collapses_in_pretraining_is_noticed(galaxies, tmp_path):
    # A decay that leaves nothing of the weights after a step but what the step itself adds.
    recipe = pretraining_recipe(optimiser={"learning_rate": 1e-6, "betas": [0.9, 0.95], "weight_decay": 1e6})
    message = r"pretrain pcm, after update 3: .*the encoder has collapsed.*No state had been saved"
    with pytest.raises(InputError, match=message):
        run_pretrain(galaxies, tmp_path, recipe)
    assert not (tmp_path / "weights.safetensors").exists()


def test_stamp_with_a_pixel_that_is_not_finite_stops_the_training(galaxies, tmp_path):
    folder = with_changed_pixel(galaxies, tmp_path, float("nan"))
    with h5py.File(folder / "0000.h5") as file:
        objid = file["objid"][0]
    with pytest.raises(InputError, match=rf"pixels that are not finite: objid \[{objid}\]"):
        run_pretrain(folder, tmp_path / "run", pretraining_recipe())


def test_training_without_galaxies_is_named(galaxies, tmp_path):
    recipe = pretraining_recipe(pretrain_on=["elsewhere"])
    with pytest.raises(InputError, match=r"split.parquet: no galaxy in elsewhere"):
        run_pretrain(galaxies, tmp_path, recipe)


def test_features_of_a_collapsed_encoder_are_not_written(galaxies, encoder, tmp_path):
    weights = load_file(encoder / "weights.safetensors")
    dead = {name: torch.zeros_like(w) if name.startswith("encoder.embed") else w for name, w in weights.items()}
    save_file(dead, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="the encoder has collapsed"):
        run_features(galaxies, tmp_path, tmp_path / "features.h5")
    assert not (tmp_path / "features.h5").exists()
