"""Training in two processes against training in one, with the same global batch."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.settings.training import Runtime
from astromae.training.parallel import Share
from astromae.training.runtime import make_fabric
from safetensors.numpy import load_file
from training_inputs import PCM, model_recipe, objective_recipe, pretraining_recipe, run_pretrain

TWO = ["-m", "astromae.training.launch", "--standalone", "--nproc-per-node", "2", "--no-python", sys.executable]


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300)


def test_shares_are_the_whole():
    for n in (1, 7, 16):
        for size in (1, 2, 5):
            shares = [Share(rank, size) for rank in range(size)]
            assert [i for share in shares for i in range(n)[share.of(n)]] == list(range(n))
            assert sum(share.weight(n) for share in shares) == pytest.approx(size)


def test_two_processes_have_the_gradient_of_one(galaxies, tmp_path):
    # Encoders with parallel convolutions, and the Inception branch: both normalise over the batch.
    recipes = {"pretrain": pretraining_recipe(), "train": model_recipe(frozen=False, pretrained=False)}
    # With 15 stamps the groups of the batch normalisation cross the border between the processes.
    for name, own in {"moco": {"queue": 20, "bn_groups": 4}, "barlow_twins": {"projection": 24}}.items():
        recipes[name] = objective_recipe(name, PCM, **own)
    for name in ("0000.h5", "scaling.json"):
        (tmp_path / name).symlink_to(galaxies / name)
    for kind, recipe in recipes.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps(recipe.as_json()))
    np.save(tmp_path / "objid.npy", pd.read_parquet(galaxies / "galaxies.parquet").objid.to_numpy()[:31])
    script = str(Path(__file__).with_name("one_gradient.py"))
    for launcher, count in (([], "one"), (TWO, "two")):
        ran = run(*launcher, script, str(tmp_path), count, *recipes)
        assert ran.returncode == 0, ran.stderr
    for kind in recipes:
        one, two = (np.load(tmp_path / f"{kind}-{count}.npz") for count in ("one", "two"))
        assert set(one) == set(two) and any("running_var" in name for name in one)
        largest = max(abs(one[name]).max() for name in one if "weight" in name and "running" not in name)
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-6, atol=1e-6 * largest, err_msg=name)


def pretraining(folder, output, recipe=None, **execution):
    told = {"stamps": [folder / "0000.h5"], "split": folder / "split.parquet", "scaling": folder / "scaling.json"}
    recipe = recipe or pretraining_recipe()
    told |= {"recipe": recipe.as_json(), "seed": 42, "output": output}
    told |= {"catalog": folder / "galaxies.parquet"} if recipe.reads_catalog else {}
    told |= {"execution": {"checkpoints": output / "checkpoints", **execution}}
    return ["-m", "astromae", "pretrain", "--params", json.dumps(told, default=str)]


def test_two_processes_train_stop_at_a_signal_and_continue(galaxies, tmp_path):
    """The launcher gets the signal, as from Slurm; both processes save one state, and go on from it."""
    one, two, stopped = tmp_path / "one", tmp_path / "two", tmp_path / "stopped"
    recipe = pretraining_recipe(epochs=60)
    run_pretrain(galaxies, one, recipe)
    ran = run(*TWO, *pretraining(galaxies, two, recipe))
    assert ran.returncode == 0, ran.stderr
    histories = [pd.read_csv(folder / "history.csv").head(3) for folder in (one, two)]
    pd.testing.assert_frame_equal(*histories, rtol=1e-3)
    provenance = json.loads((two / "provenance.json").read_text())
    assert provenance["devices"] == 2
    assert ran.stderr.count("training on 2 processes") == 1

    command = [sys.executable, *TWO, *pretraining(galaxies, stopped, recipe, events=stopped / "events")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list((stopped / "events").glob("*")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 75, said
    assert "the state is saved in" in said
    ran = run(*command[1:])
    assert ran.returncode == 0 and "continuing in epoch" in ran.stderr, ran.stderr
    weights = [load_file(folder / "weights.safetensors") for folder in (two, stopped)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert (two / "history.csv").read_bytes() == (stopped / "history.csv").read_bytes()


@pytest.mark.parametrize("objective", ["moco", "barlow_twins"])
def test_two_processes_train_and_validate_as_one_does(galaxies, tmp_path, objective):
    """Validation has two batches, one for each process; the queue and all statistics are those of one process."""
    own = {"moco": {"queue": 20, "bn_groups": 4}, "barlow_twins": {"projection": 24}}[objective]
    # Normalised over four stamps, rounding errors grow from step to step, and Adam makes steps of them. Such small
    # steps leave them as they are, while queue and statistics move as ever; gradients are compared above.
    sgd = {"kind": "sgd", "learning_rate": 1e-6, "momentum": 0.9, "weight_decay": 0.0}
    recipe = objective_recipe(objective, PCM, {"batch_size": 4, "epochs": 1, "optimiser": sgd}, **own)
    run_pretrain(galaxies, tmp_path / "one", recipe)
    ran = run(*TWO, *pretraining(galaxies, tmp_path / "two", recipe))
    assert ran.returncode == 0, ran.stderr
    histories = [pd.read_csv(tmp_path / f"{count}/history.csv") for count in ("one", "two")]
    pd.testing.assert_frame_equal(*histories, rtol=1e-5)
    weights = [load_file(tmp_path / f"{count}/weights.safetensors") for count in ("one", "two")]
    assert set(weights[0]) == set(weights[1])
    for name in weights[0]:
        if name == "queue" or "running" in name:
            np.testing.assert_allclose(*(each[name] for each in weights), rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("objective", ["moco", "barlow_twins"])
def test_two_processes_stay_together_over_real_steps(galaxies, tmp_path, objective):
    """They end where one process ends: what parts them is below a thousandth of the way that the weights went."""
    own = {"moco": {"queue": 32, "bn_groups": 4}, "barlow_twins": {"projection": 24}}[objective]
    sgd = {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.0}
    recipes = {
        epochs: objective_recipe(objective, PCM, {"batch_size": 16, "epochs": epochs, "optimiser": sgd}, **own)
        for epochs in (1, 5)
    }
    for epochs, recipe in recipes.items():
        run_pretrain(galaxies, tmp_path / f"one-{epochs}", recipe)
    ran = run(*TWO, *pretraining(galaxies, tmp_path / "two", recipes[5]))
    assert ran.returncode == 0, ran.stderr
    histories = [pd.read_csv(tmp_path / f"{name}/history.csv") for name in ("one-5", "two")]
    pd.testing.assert_frame_equal(*histories, rtol=1e-3)
    early, one, two = (load_file(tmp_path / f"{name}/weights.safetensors") for name in ("one-1", "one-5", "two"))
    trained = [name for name in one if "weight" in name and "running" not in name]
    way = np.sqrt(sum(((one[name] - early[name]) ** 2).sum() for name in trained))
    apart = np.sqrt(sum(((one[name] - two[name]) ** 2).sum() for name in trained))
    assert apart < 1e-3 * way


def test_several_gpus_want_as_many_processes():
    from astromae.errors import InputError

    with pytest.raises(InputError, match=r"4 GPUs want 4 processes, here is 1.*--nproc-per-node 4"):
        make_fabric(Runtime(gpus=4, precision="32-true"))


def test_a_process_without_stamps_is_refused(galaxies, tmp_path):
    ran = run(*TWO, *pretraining(galaxies, tmp_path, pretraining_recipe(batch_size=1)))
    assert ran.returncode == 2
    assert "the smallest batch has 1 stamps, too few for 2 processes" in ran.stderr
