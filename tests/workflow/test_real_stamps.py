"""Models that were trained on simulated pixels, applied to their own test galaxies and to genuine stamps of SDSS."""

import json

import numpy as np
import pandas as pd
import pytest
from astromae.classical import METHODS
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from astromae.predict import load_model
from project import ROOT

pytestmark = pytest.mark.workflow

REAL = ROOT.parent / "shared/data/sdss-real/stamps"
EXPERIMENT = "experiment1"


@pytest.fixture(scope="module")
def results(finished):
    return finished.folder / "results"


@pytest.fixture(scope="module")
def networks(results):
    """Every network of the experiment, loaded from its folder, by name."""
    folders = sorted(path.parent for path in results.glob(f"models/{EXPERIMENT}/*/seed42/weights.safetensors"))
    folders = [folder for folder in folders if folder.parent.name not in METHODS]
    assert len(folders) == 16
    return {folder.parent.name: load_model(folder) for folder in folders}


@pytest.fixture(scope="module")
def real():
    """Stamps (n, 5, 64, 64), dereddened magnitudes (n, 5) and redshifts (n,), which few have, of genuine galaxies."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL}: no genuine stamps here")
    listed = json.loads((REAL / "manifest.json").read_text())
    stamps = np.stack([np.load(REAL / galaxy["npy"]).transpose(2, 0, 1) for galaxy in listed])
    magnitudes = np.array([[galaxy["tabular"][f"dered_{band}"] for band in BANDS] for galaxy in listed])
    z = pd.read_csv(REAL / "redshifts.csv").set_index("id").z.loc[[galaxy["id"] for galaxy in listed]].to_numpy()
    return stamps, magnitudes, z


def catalog_of(results, objid):
    galaxies = pd.read_parquet(results / "catalog/galaxies.parquet").set_index("objid")
    return galaxies.loc[objid, [f"mag_{band}" for band in BANDS]].to_numpy()


def test_own_test_galaxies_get_the_run_s_own_predictions(results, networks):
    """To the last bit: weights, scaling, encoder, precision and bands are those of the training."""
    for name, model in networks.items():
        folder = results / f"models/{EXPERIMENT}/{name}/seed42"
        known = pd.read_parquet(folder / "predictions.parquet").query("subset == 'test'")
        objid = known.objid.to_numpy()
        stamps = StampSet(sorted(results.glob("stamps/*.h5"))).read(objid)
        predicted = model.predict(stamps, catalog_of(results, objid))["z_pred"]
        np.testing.assert_array_equal(predicted, known.z_pred, err_msg=name)


def error(z_pred, z_spec):
    """Median abs(dz) of the galaxies whose redshift is known."""
    return np.nanmedian(np.abs(z_pred - z_spec) / (1 + z_spec))


def require_sane(predicted, magnitudes, z, results, name):
    """Require of genuine galaxies what the model does with its own: the preset hardly trains, but nothing is stranger.

    Five redshifts are known, so that their median may be twice that of the test galaxies; predictions may leave the
    range of the test galaxies' by its width, those of galaxies fainter than any of the catalogue (7 of 27, down to
    r = 20.3) by twice that.
    """
    own = pd.read_parquet(results / f"models/{EXPERIMENT}/{name}/seed42/predictions.parquet")
    own = own.query("subset == 'test'")
    faintest = pd.read_parquet(results / "catalog/galaxies.parquet").mag_r.max()
    width = np.ptp(own.z_pred) * np.where(magnitudes[:, BANDS.index("r")] <= faintest, 1, 2)
    assert np.isfinite(predicted).all() and np.isfinite(z).sum() == 5
    assert ((own.z_pred.min() - width < predicted) & (predicted < own.z_pred.max() + width)).all(), name
    assert error(predicted, z) < 2 * error(own.z_pred, own.z_spec), name


def test_networks_predict_genuine_stamps(results, networks, real):
    stamps, magnitudes, z = real
    for name, model in networks.items():
        require_sane(model.predict(stamps, magnitudes)["z_pred"], magnitudes, z, results, name)


@pytest.mark.parametrize("method", METHODS)
def test_classical_methods_predict_genuine_galaxies(results, real, method):
    stamps, magnitudes, z = real
    model = load_model(results / f"models/{EXPERIMENT}/{method}/seed42")
    require_sane(model.predict(stamps, magnitudes)["z_pred"], magnitudes, z, results, method)
