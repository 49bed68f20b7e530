"""A trained model, loaded from its folder alone, predicts as its training did."""

import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.predict import load_model
from safetensors.numpy import load_file
from training_inputs import FINETUNING, model_recipe, run_train

MAGNITUDES = [f"mag_{band}" for band in BANDS]
BOOSTING = ClassicalRecipe(experiment="experiment1", model="hgb-magnitudes", group="classical", task="redshift")

#: Loads a folder and predicts with it, in a process that has done nothing else.
PREDICT = """
import sys
import numpy as np, torch
torch.set_num_threads(int(sys.argv[4]))
from astromae.predict import load_model
given = np.load(sys.argv[2])
np.savez(sys.argv[3], **load_model(sys.argv[1]).predict(given["stamps"], given["magnitudes"]))
"""


def evaluated(galaxies, objid):
    """Return stamps and magnitudes of galaxies."""
    stamps = StampSet([galaxies / "0000.h5"]).read(objid).astype(np.float32)
    return stamps, pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").loc[objid, MAGNITUDES].to_numpy()


@pytest.fixture(scope="module")
def boosted(galaxies, tmp_path_factory):
    """Folder of a classical method."""
    folder = tmp_path_factory.mktemp("boosted")
    fit_classical(galaxies / "galaxies.parquet", galaxies / "split.parquet", BOOSTING, 42, folder)
    return folder


@pytest.mark.parametrize("kind", ["network", "encoder", "boosting"])
def test_a_copied_folder_predicts_the_same_bits_in_a_fresh_process(
    galaxies, encoder, features, trained, boosted, tmp_path, kind
):
    """The folder stands alone: nothing else of the run is beside it."""
    import torch

    known = pd.read_parquet(trained / "predictions.parquet").query("subset == 'test'")
    stamps, magnitudes = evaluated(galaxies, known.objid.to_numpy())
    np.savez(tmp_path / "given.npz", stamps=stamps, magnitudes=magnitudes)
    source = {"network": trained, "encoder": encoder, "boosting": boosted}[kind]
    for name in ("weights.safetensors", "recipe.json"):
        (tmp_path / "alone").mkdir(exist_ok=True)
        shutil.copyfile(source / name, tmp_path / "alone" / name)
    arguments = [tmp_path / "alone", tmp_path / "given.npz", tmp_path / "found.npz", torch.get_num_threads()]
    subprocess.run([sys.executable, "-c", PREDICT, *map(str, arguments)], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "found.npz")
    if kind == "encoder":
        with h5py.File(features) as file:
            assert file["test_objid"][:].tolist() == known.objid.tolist()
            np.testing.assert_array_equal(found["features"], file["test"][:])
    else:
        expected = pd.read_parquet(source / "predictions.parquet").set_index("objid").z_pred
        np.testing.assert_array_equal(found["z_pred"], expected.loc[known.objid])


def test_predictions_are_those_of_the_training_to_the_last_bit(galaxies, trained):
    known = pd.read_parquet(trained / "predictions.parquet").query("subset == 'val'")
    predicted = load_model(trained).predict(*evaluated(galaxies, known.objid.to_numpy()))
    np.testing.assert_array_equal(predicted["z_pred"], known.z_pred)


def test_a_model_from_scratch_needs_no_encoder_and_no_magnitudes(galaxies, tmp_path):
    run_train(galaxies, tmp_path, model_recipe(pretrained=False, frozen=False, magnitude=False))
    known = pd.read_parquet(tmp_path / "predictions.parquet").query("subset == 'test'")
    stamps, _ = evaluated(galaxies, known.objid.to_numpy())
    np.testing.assert_array_equal(load_model(tmp_path).predict(stamps)["z_pred"], known.z_pred)


def test_a_random_encoder_stays_as_it_began(galaxies, tmp_path):
    """Two trainings that end differently have the same encoder: that which the seed draws."""
    encoders = []
    for name, rate in (("slow", 1e-4), ("fast", 1e-3)):
        finetuning = {**FINETUNING, "optimiser": {**FINETUNING["optimiser"], "learning_rate": rate}}
        branches = {"pretrained": False, "frozen": True, "inception": False, "magnitude": False}
        run_train(galaxies, tmp_path / name, model_recipe(finetuning, **branches))
        weights = load_file(tmp_path / name / "weights.safetensors")
        encoders.append({key: weight for key, weight in weights.items() if key.startswith("encoder.")})
    slow, fast = encoders
    assert slow and all(np.array_equal(slow[key], fast[key]) for key in slow)
    known = pd.read_parquet(tmp_path / "fast/predictions.parquet").query("subset == 'test'")
    stamps, _ = evaluated(galaxies, known.objid.to_numpy())
    np.testing.assert_array_equal(load_model(tmp_path / "fast").predict(stamps)["z_pred"], known.z_pred)
    other = pd.read_parquet(tmp_path / "slow/predictions.parquet").query("subset == 'test'")
    assert not np.array_equal(known.z_pred, other.z_pred)


def test_what_does_not_fit_is_named(galaxies, trained, boosted, tmp_path):
    model = load_model(trained)
    stamps, magnitudes = evaluated(galaxies, pd.read_parquet(trained / "predictions.parquet").objid.to_numpy())
    with pytest.raises(InputError, match=r"stamps of shape \(24, 64, 64, 5\): expected \(n, 5, size, size\)"):
        model.predict(np.moveaxis(stamps, 1, -1), magnitudes)
    with pytest.raises(InputError, match="pcm-astromae reads magnitudes, and none are given"):
        model.predict(stamps)
    with pytest.raises(InputError, match="hgb-magnitudes reads magnitudes, and none are given"):
        load_model(boosted).predict(stamps)
    lost = magnitudes.copy()
    lost[3, 0] = np.nan
    with pytest.raises(InputError, match="not finite, the first of galaxy number 3"):
        model.predict(stamps, lost)
    stamps[5, 2, 0, 0] = np.inf
    with pytest.raises(InputError, match="not finite float16, the first is number 5"):
        model.predict(stamps, magnitudes)
    with pytest.raises(InputError, match=r"recipe\.json: cannot be read"):
        load_model(tmp_path)
    told = json.loads((trained / "recipe.json").read_text())
    (tmp_path / "recipe.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"weights\.safetensors: no readable weights"):
        load_model(tmp_path)
    shutil.copyfile(boosted / "weights.safetensors", tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r"weights\.safetensors: not the weights of pcm-astromae"):
        load_model(tmp_path)
    (tmp_path / "recipe.json").write_text(json.dumps({name: told[name] for name in ("recipe", "seed")}))
    with pytest.raises(InputError, match=r"recipe\.json: not the recipe of a model of this version \(no 'scaling'\)"):
        load_model(tmp_path)
