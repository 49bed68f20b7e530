"""Files of features: continued after a kill to the same bytes, and all that a model without pixels opens."""

import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.files import sha256
from safetensors.torch import load_file, save_file
from training_inputs import model_recipe, run_features, run_train

EPOCHS = 40

#: Forks a process for every attempt, so that torch is imported once, and kills each at a random moment after it
#: has written an epoch. The last attempt runs to its end.
KILLED = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from pathlib import Path
import training_inputs
training_inputs.FINETUNING["epochs"] = {epochs}
note, moments = Path({output!r}).with_name(".features.h5.epochs.json"), random.Random({seed})
def run(output):
    training_inputs.run_features(Path({galaxies!r}), Path({encoder!r}), Path(output))
def written():
    return note.stat().st_mtime_ns if note.exists() else None
run({whole!r})
for attempt in range({kills}):
    before, child = written(), os.fork()
    if not child:
        run({output!r})
        os._exit(0)
    while written() == before and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    print("killed", os.WTERMSIG(os.waitpid(child, 0)[1]), Path({output!r}).exists(), flush=True)
run({output!r})
"""


def test_features_that_are_killed_end_with_the_same_bytes(galaxies, encoder, tmp_path):
    whole, run = tmp_path / "whole" / "features.h5", tmp_path / "run" / "features.h5"
    seed, kills = random.randrange(10**6), 3
    paths = {"galaxies": galaxies, "encoder": encoder, "whole": whole, "output": run, "tests": Path(__file__).parent}
    given = {name: str(path) for name, path in paths.items()}
    code = KILLED.format(**given, epochs=EPOCHS, seed=seed, kills=kills)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["killed", "9", "False"] * kills, f"moments of seed {seed}"
    assert "continuing after epoch" in ran.stderr
    assert run.read_bytes() == whole.read_bytes(), f"moments of seed {seed}"
    assert run.with_name("features.h5.sha256").read_text().strip() == sha256(run)
    assert sorted(path.name for path in run.parent.iterdir()) == ["features.h5", "features.h5.sha256"]


def test_features_are_float16(galaxies, features):
    with h5py.File(features) as file:
        assert {file[name].dtype for name in ("train", "val", "test")} == {np.dtype("<f2")}
        assert file["train"].chunks is None and np.isfinite(file["train"][:]).all()


def test_a_file_of_another_encoder_is_not_continued(galaxies, encoder, tmp_path, monkeypatch, capsys):
    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("astromae.contracts.features.FeatureFile.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run_features(galaxies, encoder, tmp_path / "features.h5")
    weights = load_file(encoder / "weights.safetensors")
    (tmp_path / "other").mkdir()
    save_file({name: w * 1.5 for name, w in weights.items()}, tmp_path / "other" / "weights.safetensors")
    capsys.readouterr()
    run_features(galaxies, tmp_path / "other", tmp_path / "features.h5")
    assert "starting anew, not continuing" in (said := capsys.readouterr().err) and "another data" in said
    run_features(galaxies, tmp_path / "other", tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "features.h5").read_bytes()


def test_features_beyond_float16_are_refused(galaxies, encoder, tmp_path, monkeypatch):
    features = FrozenEncoder.features
    monkeypatch.setattr(FrozenEncoder, "features", lambda self, images: features(self, images) * 1e9)
    with pytest.raises(InputError, match="features that are no finite float16"):
        run_features(galaxies, encoder, tmp_path / "features.h5")


@pytest.mark.parametrize("magnitude", [True, False])
def test_a_model_that_reads_features_opens_no_shard(galaxies, encoder, features, tmp_path, monkeypatch, magnitude):
    recipe = model_recipe(inception=False, magnitude=magnitude)
    run_train(galaxies, tmp_path / "beside", recipe, encoder, features)
    moved = tmp_path / "without"
    moved.mkdir()
    for name in ("galaxies.parquet", "split.parquet", "scaling.json"):
        (moved / name).symlink_to(galaxies / name)
    assert not (moved / "0000.h5").exists()
    run_train(moved, tmp_path / "run", recipe, encoder, features)
    beside, run = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("beside", "run"))
    pd.testing.assert_frame_equal(beside, run, check_exact=True)
    # One that has an Inception branch misses them.
    with pytest.raises(InputError, match="no shard of stamps"):
        run_train(moved, tmp_path / "pixels", model_recipe(), encoder, features)
