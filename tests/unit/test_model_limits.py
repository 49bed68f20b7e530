"""What the recipe of somebody else's model may say: each limit, and that one's own models keep within them."""

import json
import shutil

import numpy as np
import pytest
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.errors import InputError
from astromae.predict import load_model
from safetensors.numpy import load_file, save_file
from training_inputs import model_recipe, run_train

DISTRIBUTIONS = {"task": "redshift_pdf", "bins": 20, "z_max": 0.4}
NO_PIXELS = {"encoder": None, "pretrained": False, "frozen": False, "inception": False}


@pytest.fixture(scope="module")
def models(galaxies, encoder, features, tmp_path_factory):
    """Folders of one model of each kind."""
    root = tmp_path_factory.mktemp("models")
    run_train(galaxies, root / "network", model_recipe(), encoder, features)
    run_train(galaxies, root / "density", model_recipe(task=DISTRIBUTIONS, backbone=None, **NO_PIXELS))
    for name, task in (("hgb-magnitudes", "redshift"), ("local-linear", DISTRIBUTIONS), ("hgb-apertures", "redshift")):
        crop = 32 if name == "hgb-apertures" else None
        recipe = ClassicalRecipe(experiment="experiment1", model=name, group="classical", task=task, crop=crop)
        files = galaxies / "galaxies.parquet", galaxies / "split.parquet"
        fit_classical(*files, recipe, 42, root / name, [galaxies / "0000.h5"] if crop else [])
    shutil.copytree(encoder, root / "encoder")
    return root


@pytest.mark.parametrize("kind", ["network", "density", "hgb-magnitudes", "local-linear", "hgb-apertures", "encoder"])
def test_models_of_ours_keep_within_the_limits(models, kind):
    load_model(models / kind, foreign=True)


HOSTILE = {
    "softening": ("network", "scaling.softening.0", 0.0, r"scaling\.softening\.0: .*greater than or equal to 0\.0"),
    "deviation": ("network", "scaling.pixel_std.2", -1.0, r"scaling\.pixel_std\.2: .*greater than"),
    "not finite": ("network", "scaling.pixel_mean.1", float("nan"), r"scaling\.pixel_mean\.1: .*finite"),
    "no number": ("network", "scaling.magnitude_mean.1", "17", r"scaling\.magnitude_mean\.1: .*number"),
    "few values": ("network", "scaling.pixel_std", [1.0], "pixel_std has 1 values for 5 bands"),
    "few rows": ("network", "scaling.magnitude_components.3", [1.0], r"magnitude_components\.3 has 1 values for 5"),
    "turned range": ("network", "scaling.seen.mag:g", [20.0, 10.0], "seen.mag:g is from 20 to 10"),
    "endless range": ("network", "scaling.seen.mag:g", [10.0, float("inf")], r"scaling\.seen\.mag:g\.1: .*finite"),
    "unknown range": ("network", "scaling.seen.mag:q", [1.0, 2.0], 'seen has "mag:q", which is nothing'),
    "one end": ("network", "scaling.seen.mag:g", [1.0], r"scaling\.seen\.mag:g"),
    "many bands": (
        "network",
        "scaling.stamps.bands",
        list("abcdefghijklmnopq"),
        r"stamps\.bands: .*at most 16",
    ),
    "same bands": ("network", "scaling.stamps.bands", list("ugriu"), "allowed: different names"),
    "pixel scale": ("network", "scaling.stamps.pixel_scale_arcsec", 0.0, r"stamps\.pixel_scale_arcsec: .*0\.001"),
    "large stamp": ("network", "scaling.stamps.size", 100_000, r"scaling\.stamps\.size: .*1024"),
    "large crop": ("network", "recipe.scaling.crop", 100_000, r"recipe\.scaling\.crop is 100000; allowed: at most 64"),
    "no scaling": ("network", "scaling", None, r"recipe\.json: scaling: "),
    "batch": ("network", "recipe.finetuning.batch_size", 10**9, "batch_size is 1000000000; allowed: at most 16,384 st"),
    "depth": (
        "network",
        "recipe.backbone.depth",
        4096,
        r"json: backbone\.depth is 4096; allowed: at most \d+, by",
    ),
    "width": (
        "network",
        "recipe.backbone.width",
        8160,
        r"backbone\.width is 8160; allowed: at most \d+, by",
    ),
    "other width": (
        "network",
        "recipe.backbone.width",
        48,
        "encoder.* has the shape .*24.*, and the recipe want",
    ),
    "heads": (
        "network",
        "recipe.backbone.heads",
        5,
        r"heads does not fit; allowed: a divisor of backbone\.w",
    ),
    "no backbone": ("network", "recipe.backbone", None, "recipe.json: backbone is null; allowed: the encoder"),
    "no branch": ("density", "recipe.branches.magnitude", False, "its network cannot be built"),
    "linear head of nothing": ("density", "recipe.branches.linear", True, "its network cannot be built"),
    "no task": ("network", "recipe.task", {"bins": 3}, "task is .*; allowed: the name of a task"),
    "unknown task": ("network", "recipe.task", "photography", "recipe.json: there is no task 'photography'"),
    "bins": (
        "density",
        "recipe.task.bins",
        10**12,
        r"task\.bins is 1000000000000; allowed: at most 2000",
    ),
    "other bins": ("density", "recipe.task.bins", 40, "output.weight has the shape .*20.*, and the recipe wants .*40"),
    "narrow bins": ("density", "recipe.task.z_max", 1e-6, "task.bins is .*; allowed: bins at least 0.0005 wide"),
    "far bins": ("density", "recipe.task.z_max", 1e9, r"task\.z_max is 1000000000\.0; allowed: at most 12"),
    "components": ("density", "recipe.task.components", 10**6, "task.components is 1000000; allowed: at most 20"),
    "classical bins": ("local-linear", "recipe.task.bins", 10**12, "task.bins is 1000000000000; allowed: at most 2000"),
    "classical crop": ("hgb-apertures", "recipe.crop", 100_000, "recipe.json: crop is 100000; allowed: at most 256"),
    "classical bands": ("hgb-magnitudes", "bands", ["u"], 'seen has "(mag|colour):.*", which is nothing'),
    "bands of no text": ("hgb-magnitudes", "bands", 5, r"recipe\.json: bands: "),
    "classical range": ("hgb-magnitudes", "seen", {"mag:u": [2.0, 1.0]}, "seen.mag:u is from 2 to 1"),
    "long name": ("network", "recipe.model", "x" * 1000, "allowed: at most 200 letters on one line"),
    "name of two lines": ("hgb-magnitudes", "recipe.experiment", "a\nb", "allowed: at most 200 letters on one line"),
    "seed": ("network", "seed", "42", r"recipe\.json: seed: .*integer"),
    "encoder": ("encoder", "recipe.backbone.depth", 200, r"backbone\.depth is 200; allowed: at most \d+, by"),
    "batch of an encoder": ("encoder", "recipe.pretraining.batch_size", 10**9, "batch_size is 1000000000"),
}


def changed(folder, key, value):
    """Change a value of a folder's recipe.json, named by its keys with dots between them."""
    path = folder / "recipe.json"
    about = json.loads(path.read_text())
    inner, (*keys, last) = about, key.split(".")
    for name in keys:
        inner = inner[int(name) if isinstance(inner, list) else name]
    inner[int(last) if isinstance(inner, list) else last] = value
    path.write_text(json.dumps(about))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_recipe_is_refused_in_one_line_that_names_file_and_key(models, case, tmp_path):
    kind, key, value, message = HOSTILE[case]
    folder = shutil.copytree(models / kind, tmp_path / "model")
    changed(folder, key, value)
    with pytest.raises(InputError, match=message) as raised:
        load_model(folder, foreign=True)
    text = str(raised.value)
    assert text.startswith(str(folder)) and "\n" not in text and len(text) < 500


def weights_of(models, kind, tmp_path):
    folder = shutil.copytree(models / kind, tmp_path / "model")
    return folder, load_file(folder / "weights.safetensors")


def test_weights_that_are_no_numbers_are_refused(models, tmp_path):
    folder, weights = weights_of(models, "network", tmp_path)
    save_file({**weights, "output.bias": np.full_like(weights["output.bias"], np.nan)}, folder / "weights.safetensors")
    with pytest.raises(InputError, match=r"weights\.safetensors: 'output\.bias' has values that are not finite"):
        load_model(folder, foreign=True)


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        ("local-linear", "labels", lambda labels: labels[:3], "neighbours with inputs of shape"),
        ("local-linear", "inputs", lambda inputs: inputs[:, :2].copy(), "neighbours with inputs of shape"),
        ("local-linear", "inputs", lambda inputs: inputs * np.nan, "has values that are not finite"),
        ("hgb-magnitudes", "target0.feature_idx", lambda columns: columns + 100, "read other inputs than the 5"),
        ("hgb-magnitudes", "target0.feature_idx", lambda columns: columns - 100, "read other inputs than the 5"),
        ("hgb-magnitudes", "target0.left", np.zeros_like, "branches lead nowhere"),
    ],
)
def test_arrays_that_a_method_has_not_fitted_are_refused(models, kind, name, change, message, tmp_path):
    folder, weights = weights_of(models, kind, tmp_path)
    save_file({**weights, name: change(weights[name])}, folder / "weights.safetensors")
    with pytest.raises(InputError, match=message) as raised:
        load_model(folder, foreign=True)
    assert str(raised.value).startswith(str(folder / "weights.safetensors"))


def test_a_method_of_other_bands_is_refused(models, tmp_path):
    folder = shutil.copytree(models / "hgb-magnitudes", tmp_path / "model")
    changed(folder, "seen", {})
    changed(folder, "bands", ["u", "g"])
    with pytest.raises(InputError, match=r"weights\.safetensors: not what hgb-magnitudes has fitted \(boosted"):
        load_model(folder, foreign=True)


def test_too_many_tensors_are_refused_before_any_is_read(models, tmp_path):
    folder, weights = weights_of(models, "network", tmp_path)
    save_file({**weights, **{str(n): np.zeros(1) for n in range(9000)}}, folder / "weights.safetensors")
    with pytest.raises(InputError, match=r"number of tensors is .*; allowed: at most 8,192"):
        load_model(folder, foreign=True)
