"""A trained model, loaded from its folder, predicts as its training did."""

import numpy as np
import pandas as pd
import pytest
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.predict import load_model, predict_boosted
from astromae.training.boosting import boost
from training_inputs import redshift_recipe, run_redshift

MAGNITUDES = [f"mag_{band}" for band in BANDS]


def evaluated(galaxies, objid):
    """Return stamps and magnitudes of galaxies."""
    stamps = StampSet([galaxies / "0000.h5"]).read(objid).astype(np.float32)
    return stamps, pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").loc[objid, MAGNITUDES].to_numpy()


@pytest.fixture(scope="module")
def trained(galaxies, encoder, features, tmp_path_factory):
    """Folder of a model with a frozen encoder, Inception and magnitudes."""
    folder = tmp_path_factory.mktemp("trained")
    run_redshift(galaxies, folder, redshift_recipe(), encoder, features)
    return folder


@pytest.mark.parametrize("subset", ["val", "test"])
def test_predictions_are_those_of_the_training_to_the_last_bit(galaxies, encoder, trained, subset):
    model = load_model(trained, galaxies / "scaling.json", encoder)
    known = pd.read_parquet(trained / "predictions.parquet").query("subset == @subset")
    np.testing.assert_array_equal(model.predict(*evaluated(galaxies, known.objid.to_numpy())), known.z_pred)


def test_a_model_from_scratch_needs_no_encoder_and_no_magnitudes(galaxies, tmp_path):
    run_redshift(galaxies, tmp_path, redshift_recipe(pretrained=False, frozen=False, magnitude=False))
    known = pd.read_parquet(tmp_path / "predictions.parquet").query("subset == 'test'")
    stamps, _ = evaluated(galaxies, known.objid.to_numpy())
    np.testing.assert_array_equal(load_model(tmp_path, galaxies / "scaling.json").predict(stamps), known.z_pred)


def test_boosting_is_fitted_anew_to_the_same_trees(galaxies, tmp_path):
    recipe = {"experiment": "experiment1", "model": "hgb-magnitudes", "group": "classical"}
    catalog, split = galaxies / "galaxies.parquet", galaxies / "split.parquet"
    boost(catalog, split, recipe, 42, tmp_path)
    known = pd.read_parquet(tmp_path / "predictions.parquet")
    _, magnitudes = evaluated(galaxies, known.objid.to_numpy())
    np.testing.assert_array_equal(predict_boosted(catalog, split, magnitudes), known.z_pred)
    with pytest.raises(InputError, match="is no network; see `predict_boosted`"):
        load_model(tmp_path)


def test_what_does_not_fit_is_named(galaxies, encoder, trained, tmp_path):
    model = load_model(trained, galaxies / "scaling.json", encoder)
    stamps, magnitudes = evaluated(galaxies, pd.read_parquet(trained / "predictions.parquet").objid.to_numpy())
    with pytest.raises(InputError, match=r"stamps of shape \(24, 64, 64, 5\): expected \(n, 5, size, size\)"):
        model.predict(np.moveaxis(stamps, 1, -1), magnitudes)
    with pytest.raises(InputError, match="pcm-astromae reads magnitudes, and none are given"):
        model.predict(stamps)
    lost = magnitudes.copy()
    lost[3, 0] = np.nan
    with pytest.raises(InputError, match="not finite, the first of galaxy number 3"):
        model.predict(stamps, lost)
    stamps[5, 2, 0, 0] = np.inf
    with pytest.raises(InputError, match="not finite float16, the first is number 5"):
        model.predict(stamps, magnitudes)
    with pytest.raises(InputError, match=r"recipe\.json: cannot be read"):
        load_model(tmp_path)
    (tmp_path / "recipe.json").write_bytes((trained / "recipe.json").read_bytes())
    with pytest.raises(InputError, match=r"weights\.safetensors: not the weights of pcm-astromae"):
        load_model(tmp_path, galaxies / "scaling.json", encoder)
    with pytest.raises(InputError, match=r"nowhere/weights\.safetensors: not the weights of pcm-astromae"):
        load_model(trained, galaxies / "scaling.json", tmp_path / "nowhere")
