"""Views, scaling, schedules and the two phases of training, on small networks and real code."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.contracts.features import FeatureBank
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.photometry_checks import check_finite
from astromae.settings.training import Scaling as ScalingSettings
from astromae.settings.training import Schedule
from astromae.training.attention import choose_attention
from astromae.training.fit_scaling import fit_magnitudes, fit_pixels, write_scaling
from astromae.training.pretrain import pretrain
from astromae.training.pretrained import pretrained_encoder
from astromae.training.reconstruct import reconstruct
from astromae.training.runtime import choose_precision
from astromae.training.scaling import Scaling
from astromae.training.schedule import learning_rate
from astromae.training.session import Execution, Session
from astromae.training.sources import MappedStamps, ResidentStamps, open_stamps
from astromae.training.subsets import members
from astromae.training.views import Views, batches, centre, random_maps, turn
from safetensors.torch import load_file
from training_inputs import (
    AUGMENTATION,
    COMMON,
    FINETUNING,
    PCM,
    STAMPS,
    features_recipe,
    fit_scaling,
    model_recipe,
    pretraining_recipe,
    run_pretrain,
    run_train,
    scaling_of,
)

CLASSICAL = ClassicalRecipe(experiment="experiment1", model="knn", group="classical", task="redshift")


def test_compiled_pretraining_learns_the_same(galaxies, tmp_path):
    if not any(shutil.which(name) for name in ("g++", "clang++")):
        pytest.skip("no C++ compiler, which torch compiles with on a CPU")
    # A block each: what a second one would compile is the same again.
    runs = tmp_path / "eager", tmp_path / "compiled"
    for folder, compiled in zip(runs, (False, True), strict=True):
        runtime = COMMON["runtime"] | {"compile": compiled}
        run_pretrain(galaxies, folder, pretraining_recipe(PCM | {"depth": 1}, runtime=runtime, epochs=2))
    pd.testing.assert_frame_equal(*(pd.read_csv(folder / "history.csv") for folder in runs), rtol=1e-3)
    eager, compiled = (set(load_file(folder / "weights.safetensors")) for folder in runs)
    assert eager == compiled


# Schedules


def test_published_learning_rates():
    rates = [learning_rate(1.2e-3, Schedule(kind="cosine", warmup=200), 2000, e) for e in range(2000)]
    # Figure 4: the peak is 1.17e-3 near epoch 195.
    assert max(rates) == pytest.approx(1.172e-3, abs=1e-6)
    assert abs(int(np.argmax(rates)) - 195) <= 1
    second = Schedule(kind="cosine", warmup=50)
    assert learning_rate(1e-4, second, 100, 35) == pytest.approx(7.2e-5, abs=1e-6)
    assert learning_rate(1e-4, second, 100, 0) == pytest.approx(2e-6)
    first = Schedule(kind="paper_steps", decay=0.995, restart_every=10)
    assert [learning_rate(1e-4, first, 700, e) for e in (0, 10, 690)] == [1e-4] * 3
    assert learning_rate(1e-4, first, 700, 699) == pytest.approx(1e-4 * 0.995**699)


# Scaling


def test_magnitudes_are_decorrelated_and_clipped():
    random = np.random.default_rng(0)
    magnitudes = 18 + random.normal(size=(500, 1)) + 0.1 * random.normal(size=(500, 5))
    mean, components = fit_magnitudes(magnitudes)
    scaling = Scaling([1] * 5, [0] * 5, [1] * 5, mean.tolist(), components.tolist(), STAMPS)
    scaled = (magnitudes - mean) @ components.T
    np.testing.assert_allclose(np.cov(scaled, rowvar=False), np.eye(5), atol=1e-8)
    assert np.abs(scaling.magnitudes(magnitudes + 100)).max() == 5.0


def test_pixels_are_standardised_and_restored():
    images = np.random.default_rng(0).normal(0.5, [[[[0.02]], [[0.05]], [[0.1]], [[0.2]], [[1.0]]]], (64, 5, 32, 32))
    softening, mean, std = fit_pixels(images, 3.0)
    np.testing.assert_allclose(softening, [0.06, 0.15, 0.3, 0.6, 3.0], rtol=0.05)
    scaling = Scaling(softening.tolist(), mean.tolist(), std.tolist(), [0] * 5, np.eye(5).tolist(), STAMPS)
    tensor = torch.from_numpy(images.astype(np.float32))
    scaled = scaling.pixels(tensor)
    torch.testing.assert_close(scaled.mean(dim=(0, 2, 3)), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(dim=(0, 2, 3)), torch.ones(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(scaling.unscale_pixels(scaled), tensor, atol=1e-4, rtol=1e-4)
    exact = torch.from_numpy(np.arcsinh(images / softening[:, None, None]))
    ours = scaled.double() * torch.tensor(std).view(5, 1, 1) + torch.tensor(mean).view(5, 1, 1)
    torch.testing.assert_close(ours, exact, atol=2e-6, rtol=1e-5)


def test_scaling_reads_training_galaxies_only(galaxies, tmp_path):
    catalog = pd.read_parquet(galaxies / "galaxies.parquet")
    subset = pd.read_parquet(galaxies / "split.parquet").subset
    catalog.loc[subset != "train", ["z", "mag_u", "mag_r"]] += 5
    catalog.to_parquet(tmp_path / "changed.parquet")
    write_scaling(
        [galaxies / "0000.h5"],
        tmp_path / "changed.parquet",
        galaxies / "split.parquet",
        ["pretrain"],
        ScalingSettings(**COMMON["scaling"]),
        tmp_path / "scaling.json",
    )
    assert (tmp_path / "scaling.json").read_bytes() == (galaxies / "scaling.json").read_bytes()


# Views


def augment(images, crop, augmentation):
    maps = random_maps(len(images), augmentation, torch.Generator().manual_seed(0))
    return turn(images.half(), maps, crop, augmentation.interpolation)


def test_source_size_holds_every_rotation():
    assert AUGMENTATION.source_size(32) == 48
    assert AUGMENTATION.model_copy(update={"interpolation": "bilinear"}).source_size(32) == 46
    assert AUGMENTATION.model_copy(update={"rotate_before_crop": False}).source_size(32) == 32
    ones = torch.ones(64, 5, 48, 48)
    views = augment(ones, 32, AUGMENTATION)
    torch.testing.assert_close(views, torch.ones(64, 5, 32, 32), atol=1e-5, rtol=0)


def test_augmentation_rotates_within_its_limit_and_flips():
    # A spot off the centre tells angle and flips apart.
    images = torch.zeros(400, 5, 46, 46)
    y, x = torch.meshgrid(torch.arange(46) - 22.5, torch.arange(46) - 22.5, indexing="ij")
    images[:] = torch.exp(-((x - 10) ** 2 + (y - 4) ** 2) / 8)
    views = augment(images, 32, AUGMENTATION)[:, 0]
    axis = torch.arange(32) - 15.5
    flux = views.sum(dim=(1, 2))
    cx, cy = (views.sum(dim=1) * axis).sum(dim=1) / flux, (views.sum(dim=2) * axis).sum(dim=1) / flux
    torch.testing.assert_close(torch.hypot(cx, cy), torch.full((400,), math.hypot(10, 4)), atol=0.1, rtol=0)
    torch.testing.assert_close(flux, images[:, 0].sum(dim=(1, 2)), atol=0.1, rtol=0.01)
    angles = torch.rad2deg(torch.atan2(cy, cx))
    starts = torch.tensor([math.degrees(math.atan2(sy * 4, sx * 10)) for sx in (1, -1) for sy in (1, -1)])
    turned = (angles[:, None] - starts + 180) % 360 - 180
    assert (turned.abs().min(dim=1).values <= 45.5).all()
    quadrants = torch.bincount((cx > 0).int() * 2 + (cy > 0).int(), minlength=4)
    assert (quadrants > 40).all()


def test_no_augmentation_is_the_central_crop():
    images = torch.randn(8, 5, 46, 46, generator=torch.Generator().manual_seed(0))
    still = AUGMENTATION.model_copy(update={"rotation_deg": 0.0, "flips": False})
    # Positions in float32 are good to 1e-5 of a pixel, and neighbours here differ by several units.
    torch.testing.assert_close(augment(images, 32, still), centre(images, 32).half().float(), atol=1e-4, rtol=0)


def test_views_depend_on_seed_and_epoch_alone(galaxies):
    scaling = scaling_of(galaxies)
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 5, 46, 46)).astype(np.float16))

    def epoch(seed, number):
        views = Views(ResidentStamps(images), scaling, AUGMENTATION, 32, 0.05, 8, seed)
        return [v for _, _, v in views.epoch(number)], torch.cat([p for _, p, _ in views.epoch(number)])

    first, order = epoch(1, 3)
    again, _ = epoch(1, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert order.sort().values.tolist() == list(range(20))
    for other, other_order in (epoch(1, 4), epoch(2, 3)):
        assert not torch.equal(order, other_order)
        assert not torch.equal(torch.cat(first), torch.cat(other))


def test_batches_are_nearly_equal():
    sizes = [len(b) for b in batches(3000, 128)]
    assert sum(sizes) == 3000
    assert max(sizes) <= 128
    assert max(sizes) - min(sizes) <= 1
    assert [len(b) for b in batches(5, 128)] == [5]


# Subsets


def test_empty_subset_is_named(galaxies):
    with pytest.raises(InputError, match=r"no galaxy in nothing; it has \['pretrain', 'pretrain_val', 'test'"):
        members(galaxies / "split.parquet", ["nothing"])


def test_stamp_that_is_not_finite_is_named():
    images = np.ones((3, 5, 46, 46), np.float16)
    images[1, 2, 3, 4] = np.nan
    with pytest.raises(InputError, match=r"objid \[12\]"):
        check_finite(images, np.array([11, 12, 13]))


def test_mapped_stamps_equal_resident_ones(galaxies, monkeypatch, capsys):
    objid = members(galaxies / "split.parquet", ["train"])
    cpu = torch.device("cpu")

    def opened():
        source = open_stamps([galaxies / "0000.h5"], objid, 48, cpu)
        return source, Views(source, scaling_of(galaxies), AUGMENTATION, 32, 0.05, 16, 1)

    resident, views = opened()
    assert isinstance(resident, ResidentStamps)
    monkeypatch.setattr("astromae.training.sources.free_memory", lambda device: 1000)
    mapped, other = opened()
    assert isinstance(mapped, MappedStamps)
    assert "reading from the shards" in capsys.readouterr().err
    # A training may be continued where there is less memory.
    monkeypatch.setattr("astromae.training.sources.READ_BLOCK", 7)
    assert mapped.identity().tolist() == resident.identity().tolist()
    for (_, p, a), (_, q, b) in zip(views.epoch(2, 1), other.epoch(2, 1), strict=True):
        assert torch.equal(p, q)
        assert torch.equal(a, b)
    assert torch.equal(*(torch.cat([v for _, _, v in w.plain()]) for w in (views, other)))


# Pretraining


def test_pretraining_learns_and_leaves_its_files(galaxies, encoder):
    history = pd.read_csv(encoder / "history.csv")
    assert list(history) == ["update", "epoch", "learning_rate", "train_loss", "val_loss", "deviation", "rank"]
    assert history["update"].tolist() == [3, 6, 9]
    assert history.epoch.tolist() == [1, 2, 3]
    assert (history["deviation"] > 0).all() and (history["rank"] >= 1).all()
    assert history.val_loss.iloc[-1] < history.val_loss.iloc[0]
    recorded = json.loads((encoder / "recipe.json").read_text())
    assert recorded["recipe"] == pretraining_recipe().as_json()
    assert recorded["seed"] == 42
    assert recorded["stamps"] == 48
    assert json.loads((encoder / "provenance.json").read_text())["stamps"] == 48 * 3
    assert not list((encoder / "checkpoints").glob("*"))


def test_validation_labels_judge_features_and_teach_nothing(galaxies, encoder, tmp_path):
    """The same weights with the reading as without."""
    recipe = pretraining_recipe().model_copy(update={"probe": "redshift", "validate_on": ("train",)})
    files = [galaxies / "0000.h5"], galaxies / "split.parquet", galaxies / "scaling.json"
    with pytest.raises(InputError, match="pretrain pcm: its validation reads z; give the catalogue"):
        pretrain(*files, recipe, 42, tmp_path / "unread", execution=Execution(tmp_path))
    run_pretrain(galaxies, tmp_path / "read", recipe)
    assert (tmp_path / "read/weights.safetensors").read_bytes() == (encoder / "weights.safetensors").read_bytes()
    history = pd.read_csv(tmp_path / "read/history.csv")
    assert history["knn_nmad"].between(0, 0.2).all()


def test_a_part_of_the_galaxies_teaches(galaxies, tmp_path):
    run_pretrain(galaxies, tmp_path, pretraining_recipe(part=0.5))
    assert json.loads((tmp_path / "recipe.json").read_text())["stamps"] == 24
    assert json.loads((tmp_path / "provenance.json").read_text())["stamps"] == 24 * 3


def test_same_seed_same_bytes(galaxies, encoder, tmp_path):
    run_pretrain(galaxies, tmp_path / "again", pretraining_recipe())
    for name in ("weights.safetensors", "history.csv", "recipe.json"):
        assert (tmp_path / "again" / name).read_bytes() == (encoder / name).read_bytes(), name
    run_pretrain(galaxies, tmp_path / "other", pretraining_recipe(), seed=43)
    weights = "weights.safetensors"
    assert (tmp_path / "other" / weights).read_bytes() != (encoder / weights).read_bytes()


def test_reconstructions_keep_visible_patches(galaxies, encoder, tmp_path):
    import h5py

    output = tmp_path / "reconstructions.h5"
    weights = encoder / "weights.safetensors"
    reconstruct(weights, [galaxies / "0000.h5"], galaxies / "split.parquet", ["pretrain_val"], 42, output)
    with h5py.File(output) as file:
        original, masked, reconstructed = file["original"][:], file["masked"][:], file["reconstructed"][:]
    assert original.shape == reconstructed.shape == (8, 5, 32, 32)
    assert (masked.sum(axis=1) == 12).all()
    pixels = masked.reshape(8, 4, 4).repeat(8, axis=1).repeat(8, axis=2)[:, None].repeat(5, axis=1)
    np.testing.assert_allclose(reconstructed[~pixels], original[~pixels], rtol=1e-3, atol=1e-4)
    assert np.abs(reconstructed[pixels] - original[pixels]).max() > 1e-3


# Fine-tuning


def test_shared_features_are_the_encoder_s(galaxies, encoder, features):
    recipe = features_recipe()
    passes, files = recipe.finetuning, ([galaxies / "0000.h5"], galaxies / "split.parquet")
    session = Session("features", recipe, 42, scaling_of(galaxies))
    objid, views = session.subset(*files, ["train"], passes.batch_size, passes.noise_sigma)
    model = pretrained_encoder(encoder, recipe.backbone, 5, 32).eval()
    choose_attention(model, torch.device("cpu"))
    frozen, bank = FrozenEncoder(model), FeatureBank(features)
    for epoch in range(FINETUNING["epochs"]):
        known = bank.epoch(objid, epoch)
        for _, positions, images in views.epoch(epoch):
            assert torch.equal(frozen.features(images), known[positions])
    with pytest.raises(InputError, match="are not those of the split"):
        bank.epoch(objid[::-1], 0)


def test_model_with_shared_features_equals_one_that_runs_its_encoder(galaxies, encoder, features, tmp_path):
    run_train(galaxies, tmp_path / "shared", model_recipe(), encoder, features)
    run_train(galaxies, tmp_path / "own", model_recipe(), encoder, None)
    shared, own = (pd.read_parquet(tmp_path / d / "predictions.parquet") for d in ("shared", "own"))
    assert shared.objid.tolist() == own.objid.tolist()
    np.testing.assert_array_equal(shared.z_pred, own.z_pred)


def test_galaxies_without_magnitudes_and_redshifts_have_a_scaling(galaxies, tmp_path):
    for name in ("0000.h5", "split.parquet"):
        (tmp_path / name).symlink_to(galaxies / name)
    catalog = pd.read_parquet(galaxies / "galaxies.parquet")
    catalog.loc[:, catalog.columns != "objid"] = np.nan
    catalog.to_parquet(tmp_path / "galaxies.parquet")
    fit_scaling(tmp_path)
    run_pretrain(tmp_path, tmp_path / "run", pretraining_recipe())


@pytest.mark.parametrize("subset", ["train", "val"])
@pytest.mark.parametrize("column", ["z", "mag_u"])
def test_a_galaxy_without_a_value_is_named(galaxies, tmp_path, column, subset):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for path in galaxies.iterdir():
        (inputs / path.name).symlink_to(path)
    catalog = pd.read_parquet(galaxies / "galaxies.parquet")
    split = pd.read_parquet(galaxies / "split.parquet").set_index("objid").subset
    objid, n = split.index[split == subset][3], (split == subset).sum()
    catalog.loc[catalog.objid == objid, column] = np.nan
    for name in ("galaxies.parquet", "scaling.json"):
        (inputs / name).unlink()
    catalog.to_parquet(inputs / "galaxies.parquet")
    fit_scaling(inputs)
    recipe = model_recipe(encoder=None, pretrained=False, frozen=False)
    with pytest.raises(InputError, match=rf"1 of {n} galaxies have no {column}; the first is objid {objid}\."):
        run_train(inputs, tmp_path / "run", recipe)
    with pytest.raises(InputError, match=f"have no {column}; the first is objid {objid}"):
        fit_classical(inputs / "galaxies.parquet", inputs / "split.parquet", CLASSICAL, 42, tmp_path / "classical")
    if column == "mag_u":
        run_train(inputs, tmp_path / "run", model_recipe(encoder=None, pretrained=False, frozen=False, magnitude=False))


def test_predictions_cover_validation_and_test(galaxies, encoder, features, tmp_path):
    run_train(galaxies, tmp_path, model_recipe(), encoder, features)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    split = pd.read_parquet(galaxies / "split.parquet")
    merged = predictions.merge(split, on="objid", suffixes=("", "_split"))
    assert (merged.subset == merged.subset_split).all()
    assert predictions.subset.value_counts().to_dict() == {"test": 16, "val": 8}
    truth = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").z
    np.testing.assert_allclose(predictions.z_spec, truth.loc[predictions.objid])
    # All weights, those of the frozen encoder too.
    stored, own = (
        load_file(tmp_path / "weights.safetensors"),
        pretrained_encoder(encoder, features_recipe().backbone, 5, 32),
    )
    assert all(torch.equal(stored[f"encoder.{name}"], weight) for name, weight in own.state_dict().items())


def test_scratch_model_learns_redshifts(galaxies, tmp_path):
    longer = {**FINETUNING, "epochs": 25}
    recipe = model_recipe(longer, backbone=None, encoder=None, pretrained=False, frozen=False)
    run_train(galaxies, tmp_path, recipe)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet").query("subset == 'test'")
    error = predictions.z_pred - predictions.z_spec
    assert error.std() < 0.5 * predictions.z_spec.std()


def test_same_seed_same_predictions(galaxies, tmp_path):
    recipe = model_recipe(backbone=None, encoder=None, pretrained=False, frozen=False)
    for name in ("once", "again"):
        run_train(galaxies, tmp_path / name, recipe)
    once, again = (tmp_path / name / "predictions.parquet" for name in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()


def test_precision_follows_the_processor():
    assert choose_precision("32-true", 0) == "32-true"
    has_bfloat16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text() or "amx" in Path("/proc/cpuinfo").read_text()
    assert choose_precision("auto", 0) == ("bf16-mixed" if has_bfloat16 else "32-true")
