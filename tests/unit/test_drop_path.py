"""Drop path against timm's, and trainings with it that are interrupted."""

import math
from pathlib import Path

import pandas as pd
import pytest
import timm.layers
import torch
import yaml
from astromae.encoders.drop_path import DropPath, draw_paths, drop_paths
from astromae.errors import InputError, Interrupted
from astromae.settings.configuration import check_configuration
from astromae.tasks.model import build_model
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from training_inputs import FINETUNING, PCM, model_recipe, run_train

VIT = {"patch": 8, "width": 24, "depth": 4, "heads": 3, "pcm": None}
RESNET = {"network": "resnet", "depth": 10, "width": 16}
DROPPED = {**FINETUNING, "drop_path": 0.4}
ALONE = {"inception": False, "magnitude": False, "frozen": False}


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def model_of(backbone, finetuning=DROPPED, **branches):
    torch.manual_seed(0)
    return build_model(model_recipe(finetuning, backbone=backbone, **{**ALONE, **branches}), 5)


def test_it_is_distributed_as_timms():
    n, rate = 40_000, 0.3
    own, reference = DropPath(rate), timm.layers.DropPath(rate)
    x = torch.rand(n, 3, 2, dtype=torch.float64) + 1
    draw_paths([own], n, random())
    torch.manual_seed(0)
    for outputs in (own(x), reference(x)):
        factors = outputs / x
        torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))  # whole stamps
        kept = factors[:, 0, 0] > 0
        torch.testing.assert_close(factors[kept], torch.full_like(factors[kept], 1 / (1 - rate)), rtol=1e-6, atol=0)
        assert abs(kept.double().mean() - (1 - rate)) < 5 * math.sqrt(rate * (1 - rate) / n)
    assert torch.equal(own.eval()(x), x)


def test_layers_draw_for_themselves_and_processes_for_the_whole_batch():
    n, paths = 20_000, [DropPath(0.5), DropPath(0.5)]
    draw_paths(paths, n, random(1))
    first, second = (path.factors.double() for path in paths)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 5 / math.sqrt(n)
    draw_paths(paths, n, random(1), slice(0, 7000))
    parts = [path.factors for path in paths]
    draw_paths(paths, n, random(1), slice(7000, n))
    for whole, part, path in zip((first, second), parts, paths, strict=True):
        assert torch.equal(torch.cat([part, path.factors]).double(), whole)


def test_rates_rise_from_block_to_block_as_timms():
    reference = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=4, num_heads=3, drop_path_rate=0.4)
    expected = [getattr(block.drop_path1, "drop_prob", 0.0) for block in reference.blocks]
    blocks = model_of(VIT).encoder.blocks
    for branch in ("drop_path1", "drop_path2"):
        assert [getattr(getattr(block, branch), "rate", 0.0) for block in blocks] == pytest.approx(expected)


@pytest.mark.parametrize(("backbone", "branches"), [(VIT, 6), (PCM, 3), (RESNET, 3)], ids=["vit", "pcm-vit", "resnet"])
def test_every_branch_is_dropped_and_none_where_nothing_is(backbone, branches):
    plain, model = model_of(backbone, FINETUNING), model_of(backbone)
    paths = drop_paths(model)
    assert len(paths) == branches and drop_paths(plain) == []
    assert list(model.state_dict()) == list(plain.state_dict())
    images = torch.randn(6, 5, 32, 32, generator=random())
    with torch.no_grad():
        assert torch.equal(model.eval()(images, None), plain.eval()(images, None))
    model.train(), plain.train()
    for path in paths:
        path.factors = torch.ones(6)
    torch.testing.assert_close(model(images, None), plain(images, None), rtol=1e-5, atol=1e-6)
    for path in paths:
        before = model(images, None)
        path.factors = torch.tensor([0.0, 1, 1, 1, 1, 1])
        assert not torch.equal(model(images, None)[0], before[0]), "a branch that nothing leaves out"


def test_a_block_without_its_branches_is_the_identity():
    model = model_of({**VIT, "depth": 1}, FINETUNING).train()
    block = model.encoder.blocks[0]
    block.drop_path1, block.drop_path2 = DropPath(0.5), DropPath(0.5)
    for path in drop_paths(model):
        path.factors = torch.tensor([0.0, 2.0])
    x = torch.randn(2, 17, 24, generator=random())
    assert torch.equal(block(x)[0], x[0]) and not torch.equal(block(x)[1], x[1])


def test_a_frozen_encoder_keeps_all_branches():
    assert drop_paths(model_of(VIT, frozen=True)) == []


@pytest.mark.parametrize("backbone", [PCM, RESNET], ids=["pcm-vit", "resnet"])
def test_an_interrupted_training_ends_with_the_same_bytes(galaxies, tmp_path, backbone):
    recipe = model_recipe(DROPPED, backbone=backbone, pretrained=False, **ALONE)
    run_train(galaxies, tmp_path / "whole", recipe)
    for _ in range(2):
        with pytest.raises(Interrupted):
            run_train(galaxies, tmp_path / "parts", recipe, minutes=0.0)
    run_train(galaxies, tmp_path / "parts", recipe)
    for name in ("weights.safetensors", "history.csv", "predictions.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    run_train(galaxies, tmp_path / "plain", recipe.model_copy(update={"finetuning": model_recipe().finetuning}))
    losses = [pd.read_csv(tmp_path / name / "history.csv").train_loss for name in ("whole", "plain")]
    assert (losses[0] != losses[1]).all()


def test_a_pretrained_encoder_is_tuned_at_rates_that_decay(galaxies, encoder, tmp_path):
    """Of the first layer hardly anything changes."""
    moved = {}
    for decay in (None, 0.05):
        told = model_recipe({**DROPPED, "layer_decay": decay}, **ALONE)
        run_train(galaxies, tmp_path / str(decay), told, encoder)
        trained, start = (load_file(folder / "weights.safetensors") for folder in (tmp_path / str(decay), encoder))
        moved[decay] = (trained["encoder.embed.weight"] - start["encoder.embed.weight"]).abs().mean()
    assert moved[0.05] < 0.01 * moved[None]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"drop_path": 0.1}, "finetuning.drop_path is 0.1; allowed: 0 while plain is trained: network of Pasquet"),
        ({"drop_path": 1.0}, "finetuning.drop_path is 1.0; allowed: "),
        ({"layer_decay": 0.0}, "finetuning.layer_decay is 0.0; allowed: "),
    ],
)
def test_what_a_network_cannot_do_is_named(setting, message):
    configuration = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
    configuration["backbones"] = {"plain": {"network": "pasquet"}}
    configuration["models"] = {"own": {"group": "scratch", "encoder": "plain", "pretrained": False, **ALONE}}
    experiment = configuration["experiments"]["experiment1"]
    experiment["models"] = ["own"]
    experiment["finetuning"] |= setting
    configuration["experiments"] = {"experiment1": experiment}
    with pytest.raises(InputError, match=message):
        check_configuration(configuration)
