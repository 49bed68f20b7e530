"""Classical methods: neighbours against a plain loop, apertures against sums by hand, trees against scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.classical import METHODS, boosted_trees
from astromae.classical.boosted_trees import Trees, fit_trees, predict_trees
from astromae.classical.colours import magnitude_and_colours
from astromae.classical.fit import fit_classical
from astromae.classical.hgb_apertures import aperture_colours, aperture_fluxes
from astromae.classical.neighbours import BLOCK
from astromae.classical.recipe import ClassicalRecipe
from astromae.constants import BANDS
from astromae.contracts.shards import write_shard
from astromae.errors import InputError
from astromae.photometry import asinh_magnitude
from astromae.predict import load_model
from astromae.survey.embedded_catalog import read_sample
from astromae.tasks.redshift import redshift_metrics
from safetensors.numpy import load_file
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsRegressor
from training_inputs import STAMPS

REAL = Path(__file__).parents[3] / "shared/data/sdss-real/tables"


def recipe(method, crop=None):
    return ClassicalRecipe(experiment="experiment1", model=method, group="classical", task="redshift", crop=crop)


def fitted(galaxies, method, folder, stamps="0000.h5", catalog=None):
    read = [galaxies / stamps] if METHODS[method].stamps else []
    about = recipe(method, 32 if read else None)
    fit_classical(catalog or galaxies / "galaxies.parquet", galaxies / "split.parquet", about, 42, folder, read)
    return pd.read_parquet(folder / "predictions.parquet")


# --- neighbours ---


def colours_and_redshifts(n, seed):
    """Magnitudes with a redshift that is not linear in their colours, a twentieth of them far off."""
    random = np.random.default_rng(seed)
    magnitudes = 18 + random.normal(size=(n, 5)) @ np.triu(np.full((5, 5), 0.4))
    colours = -np.diff(magnitudes, axis=1)
    z = 0.1 + 0.05 * np.tanh(colours[:, 1]) + 0.02 * colours[:, 2] ** 2 + random.normal(0, 0.005, n)
    z[random.random(n) < 0.05] += 0.3
    return magnitudes, z


def local_linear(magnitudes, labels, others):
    method = METHODS["local-linear"]
    fitted = method.fit(method.measure(magnitudes, BANDS), labels[:, None], 0)
    return method.predict(fitted, method.measure(others, BANDS))[:, 0]


def loop_of_planes(magnitudes, labels, others):
    """Local linear regression, galaxy by galaxy."""
    features = [
        np.array([[m[2], m[0] - m[1], m[1] - m[2], m[2] - m[3], m[3] - m[4]] for m in part])
        for part in (magnitudes, others)
    ]
    scale = features[0].std(axis=0)
    training, wanted = features[0] / scale, features[1] / scale
    estimates = []
    for galaxy in wanted:
        distance = [sum((galaxy - neighbour) ** 2) for neighbour in training]
        chosen = sorted(range(len(training)), key=distance.__getitem__)[:100]
        for _ in range(2):
            design = np.array([[1, *training[i]] for i in chosen])
            coefficients = np.linalg.lstsq(design, labels[chosen])[0]
            residuals = labels[chosen] - design @ coefficients
            sigma = np.sqrt(np.mean(residuals**2))
            estimate = np.dot(coefficients, [1, *galaxy])
            chosen = [i for i, residual in zip(chosen, residuals, strict=True) if abs(residual) <= 3 * sigma]
        estimates.append(estimate)
    return np.array(estimates)


def test_local_planes_are_those_of_a_plain_loop():
    (magnitudes, z), (others, _) = colours_and_redshifts(400, 1), colours_and_redshifts(60, 2)
    np.testing.assert_allclose(local_linear(magnitudes, z, others), loop_of_planes(magnitudes, z, others), rtol=1e-9)


def test_a_plane_is_found_exactly():
    magnitudes, _ = colours_and_redshifts(300, 3)
    z = 0.4 - 0.02 * magnitudes[:, 2] + 0.1 * (magnitudes[:, 1] - magnitudes[:, 2])
    np.testing.assert_allclose(local_linear(magnitudes[:200], z[:200], magnitudes[200:]), z[200:], rtol=1e-10)


@pytest.mark.parametrize("n", [1, 3, 30])
def test_few_galaxies_give_a_finite_plane(n):
    magnitudes, z = colours_and_redshifts(n + 5, 4)
    assert np.isfinite(local_linear(magnitudes[:n], z[:n], magnitudes[n:])).all()
    # Several galaxies in one place have no slope, only a mean.
    same = np.repeat(magnitudes[:1], 4, axis=0)
    assert local_linear(same, np.array([0.1, 0.2, 0.3, 0.4]), same[:1]) == pytest.approx([0.25])


@pytest.mark.parametrize("method", ["knn", "local-linear"])
def test_an_estimate_does_not_depend_on_the_other_galaxies(method):
    entry = METHODS[method]
    magnitudes, z = colours_and_redshifts(BLOCK + 300, 5)
    inputs = entry.measure(magnitudes, BANDS)
    kept = entry.fit(inputs[:500], np.column_stack([z, -z])[:500], 1)
    together = entry.predict(kept, inputs)
    assert together.shape == (len(z), 2)
    np.testing.assert_array_equal(together[100:700], entry.predict(kept, inputs[100:700]))
    np.testing.assert_allclose(together[:, 1], -together[:, 0], rtol=1e-12)


def test_nearest_neighbours_are_those_of_scikit_learn():
    (magnitudes, z), (others, _) = colours_and_redshifts(400, 6), colours_and_redshifts(100, 7)
    entry = METHODS["knn"]
    inputs, wanted = entry.measure(magnitudes, BANDS), entry.measure(others, BANDS)
    scale = inputs.std(axis=0)
    expected = KNeighborsRegressor(10, algorithm="brute").fit(inputs / scale, z).predict(wanted / scale)
    found = entry.predict(entry.fit(inputs, z[:, None], 42), wanted)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_magnitude_is_r_or_that_of_the_middle_band():
    magnitudes = np.array([[20.0, 19.0, 18.5, 18.25]])
    assert magnitude_and_colours(magnitudes, "griz")[0].tolist() == [19.0, 1.0, 0.5, 0.25]
    assert magnitude_and_colours(magnitudes[:, :3], "YJH")[0].tolist() == [19.0, 1.0, 0.5]


def scores_of(method, magnitudes, z, train):
    entry = METHODS[method]
    inputs = entry.measure(magnitudes, BANDS)
    predicted = entry.predict(entry.fit(inputs[train], z[train, None], 42), inputs[~train])[:, 0]
    return redshift_metrics(z[~train], predicted, 0.05)


def test_real_fluxes_give_the_dispersion_that_the_field_knows():
    """On the embedded survey's 10,000 galaxies, half of which are predicted from the other half."""
    table = read_sample()
    fluxes, extinctions = (table[[f"{name}_{band}" for band in BANDS]] for name in ("modelflux", "extinction"))
    magnitudes = asinh_magnitude(fluxes.to_numpy()) - extinctions.to_numpy()
    train = np.random.default_rng(1).permutation(len(table)) % 2 == 0
    planes, means = (scores_of(method, magnitudes, table.z.to_numpy(), train) for method in ("local-linear", "knn"))
    assert 0.012 < planes["nmad"] < 0.014 < means["nmad"] < 0.0165
    assert planes["outliers"] < 0.025 and planes["r2"] > 0.83


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no {REAL}")
@pytest.mark.parametrize(
    ("method", "nmad", "r2"),
    [("local-linear", 0.0123, 0.879), ("knn", 0.0136, 0.861), ("hgb-magnitudes", 0.0128, 0.872)],
)
def test_the_main_galaxy_sample_gives_what_was_measured_on_it(method, nmad, r2):
    """5,000 galaxies each to learn from and to predict, dereddened, as MLZ ships them."""
    parts = [np.loadtxt(REAL / f"mlz_SDSS_MGS.{name}", usecols=range(6)) for name in ("train", "test")]
    table = np.concatenate(parts)
    found = scores_of(method, table[:, 1:], table[:, 0], np.arange(len(table)) < len(parts[0]))
    assert found["nmad"] == pytest.approx(nmad, abs=1e-4) and found["r2"] == pytest.approx(r2, abs=1e-3)


# --- apertures ---


def test_apertures_hold_the_pixels_around_the_centre():
    random = np.random.default_rng(0)
    stamps = random.normal(size=(3, 2, 8, 8)).astype(np.float32)
    expected = np.zeros((3, 3, 2))
    for number, radius in enumerate((1, 2, 4)):
        for y in range(8):
            for x in range(8):
                if (x - 3.5) ** 2 + (y - 3.5) ** 2 <= radius**2:
                    expected[:, number] += stamps[:, :, y, x]
    np.testing.assert_allclose(aperture_fluxes(stamps), expected, rtol=1e-6)


def test_apertures_measure_colours_and_survive_negative_fluxes():
    bright = np.zeros((1, 3, 32, 32))
    bright[:, :, 16, 16] = [[100.0, 200.0, 400.0]]
    found = aperture_colours(bright, "gri")[0]
    assert found.shape == (3 * 5,)
    np.testing.assert_allclose(found[:9], np.tile(-2.5 * np.log10([100, 200, 400]), 3), atol=1e-3)
    np.testing.assert_allclose(found[9:], 2.5 * np.log10(2), atol=1e-4)
    assert np.isfinite(aperture_colours(-bright, "gri")).all()


def test_a_galaxy_is_measured_alike_in_any_company():
    stamps = np.random.default_rng(1).normal(size=(50, 5, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(aperture_colours(stamps, BANDS)[7:11], aperture_colours(stamps[7:11], BANDS))


# --- trees ---


@pytest.mark.parametrize("n", [30, 3000])
def test_trees_predict_what_scikit_learn_does_to_the_last_bit(n):
    random = np.random.default_rng(n)
    inputs, others = (magnitude_and_colours(18 + random.normal(size=(m, 5)).cumsum(axis=1), BANDS) for m in (n, 500))
    target = 0.1 + 0.05 * inputs[:, 2] + 0.02 * np.abs(inputs[:, 1]) + 0.01 * random.normal(size=n)
    arrays = fit_trees(inputs, np.column_stack([target, target**2]), 1)
    for number, label in enumerate((target, target**2)):
        model = HistGradientBoostingRegressor(random_state=1).fit(inputs, label)
        for known in (inputs, others):
            np.testing.assert_array_equal(predict_trees(arrays, known)[:, number], model.predict(known))


def test_trees_that_are_kept_in_another_way_are_noticed(monkeypatch):
    kept = Trees.of
    monkeypatch.setattr(boosted_trees.Trees, "of", lambda model: Trees(0.0, kept(model).roots, kept(model).nodes))
    with pytest.raises(RuntimeError, match="keeps its trees in another way"):
        fit_trees(np.arange(60.0)[:, None], np.arange(60.0)[:, None], 1)


# --- the step ---


@pytest.mark.parametrize("method", METHODS)
def test_a_folder_predicts_as_its_step_did(galaxies, tmp_path, method):
    predictions = fitted(galaxies, method, tmp_path)
    assert predictions.subset.value_counts().to_dict() == {"test": 16, "val": 8}
    truth = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").loc[predictions.objid]
    np.testing.assert_array_equal(predictions.z_spec, truth.z)
    assert (predictions.z_pred - predictions.z_spec).std() < 0.9 * truth.z.std()
    from test_predict import evaluated

    stamps, magnitudes = evaluated(galaxies, predictions.objid.to_numpy())
    given = {"stamps": stamps} if METHODS[method].stamps else {"magnitudes": magnitudes}
    np.testing.assert_array_equal(load_model(tmp_path).predict(**given)["z_pred"], predictions.z_pred)
    lacking = "stamps" if METHODS[method].stamps else "magnitudes"
    with pytest.raises(InputError, match=f"{method} reads {lacking}, and none are given"):
        load_model(tmp_path).predict(**{"stamps": stamps, "magnitudes": magnitudes} | {lacking: None})
    again = tmp_path / "again"
    fitted(galaxies, method, again)
    for name in ("predictions.parquet", "weights.safetensors", "recipe.json"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_neighbours_keep_the_training_galaxies(galaxies, tmp_path):
    fitted(galaxies, "local-linear", tmp_path)
    kept = load_file(tmp_path / "weights.safetensors")
    assert {name: array.shape for name, array in kept.items()} == {"inputs": (40, 5), "labels": (40, 1)}


def test_a_folder_with_another_method_s_arrays_is_refused(galaxies, tmp_path):
    for method in ("knn", "hgb-magnitudes"):
        fitted(galaxies, method, tmp_path / method)
    (tmp_path / "hgb-magnitudes/weights.safetensors").replace(tmp_path / "knn/weights.safetensors")
    with pytest.raises(InputError, match=r"weights\.safetensors: not what knn has fitted \(inputs, labels\)"):
        load_model(tmp_path / "knn")


def test_pixels_that_are_not_finite_are_named(galaxies, tmp_path):
    table = pd.read_parquet(galaxies / "split.parquet")
    images = np.ones((len(table), *STAMPS.shape), np.float32)
    write_shard(tmp_path / "0000.h5", table.objid.to_numpy(), images, STAMPS, "test", "none")
    objid = table.objid[table.subset == "test"].iloc[0]
    stored = np.memmap(tmp_path / "0000.h5", np.float16, "r+")
    stored[-images.size :].reshape(images.shape)[table.objid.to_list().index(objid), 2, 32, 32] = np.nan
    stored.flush()
    (tmp_path / "split.parquet").symlink_to(galaxies / "split.parquet")
    with pytest.raises(InputError, match=rf"pixels that are not finite: objid \[{objid}\]"):
        fitted(tmp_path, "hgb-apertures", tmp_path / "run", catalog=galaxies / "galaxies.parquet")
