"""Learning rates that decay from layer to layer, against timm's groups and the published formula."""

import pytest
import torch
from astromae.encoders import ENCODERS
from astromae.settings.training import Optimiser
from astromae.tasks.model import build_model
from astromae.training.layer_decay import rate_factors
from astromae.training.optimiser import make_optimiser, parameter_groups
from timm.models.vision_transformer import VisionTransformer
from timm.optim import param_groups_layer_decay
from training_inputs import FINETUNING, model_recipe

VIT = {"patch": 8, "width": 24, "depth": 5, "heads": 3, "pcm": None}
PCM = {**VIT, "pcm": {"pretrain_kernel": 1, "finetune_kernel": 3, "groups": 6}}
DECAY = {**FINETUNING, "layer_decay": 0.65}


def model_and_recipe(backbone=VIT, finetuning=DECAY, **branches):
    recipe = model_recipe(finetuning, backbone=backbone, **{"frozen": False, **branches})
    with torch.device("meta"):
        return build_model(recipe, 5), recipe


def test_rates_of_a_transformer_are_timms():
    factors = rate_factors(*model_and_recipe())
    with torch.device("meta"):
        sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 5, "num_heads": 3}
        reference = VisionTransformer(**sizes, global_pool="avg")
    names = {parameter: name for name, parameter in reference.named_parameters()}
    timms = {
        names[parameter]: group["lr_scale"]
        for group in param_groups_layer_decay(reference, layer_decay=0.65)
        for parameter in group["params"]
    }
    translated = {"embed.weight": "patch_embed.proj.weight", "embed.bias": "patch_embed.proj.bias"}
    translated |= {"class_token": "cls_token"}
    for name, factor in factors.items():
        own = name.removeprefix("encoder.")
        assert factor == pytest.approx(timms[translated.get(own, own)], rel=1e-12), name
    assert timms["fc_norm.weight"] == timms["head.weight"] == 1


@pytest.mark.parametrize(
    ("backbone", "layers"),
    [
        (PCM, 6),
        ({"network": "resnet", "depth": 18}, 9),
        ({"network": "resnet", "depth": 50}, 17),
        ({"network": "pasquet"}, 8),
        ({"network": "inception"}, 6),
    ],
)
def test_rates_fall_towards_the_images_and_spare_what_reads_the_encoder(backbone, layers):
    model, recipe = model_and_recipe(backbone)
    factors = rate_factors(model, recipe)
    encoders = [f"encoder.{name}" for name, _ in model.encoder.named_parameters()]
    assert list(factors) == encoders
    # Parameters are registered in the order of the layers, but for branches inside a block.
    falling = [factors[name] for name in encoders]
    assert falling == sorted(falling)
    assert sorted(set(falling)) == pytest.approx([0.65**number for number in range(layers, 0, -1)])


def test_a_parallel_convolution_belongs_to_its_block():
    factors = rate_factors(*model_and_recipe(PCM))
    assert factors["encoder.blocks.3.pcm.conv1.weight"] == factors["encoder.blocks.3.mlp.fc1.bias"] == 0.65**2


@pytest.mark.parametrize(
    "changes",
    [
        {"pretrained": False},
        {"frozen": True},
        {"finetuning": FINETUNING},
        {"finetuning": {**DECAY, "layer_decay": None}},
    ],
    ids=["scratch", "frozen", "default", "null"],
)
def test_all_else_has_one_rate(changes):
    model, recipe = model_and_recipe(**changes)
    assert rate_factors(model, recipe) == {}
    settings = recipe.finetuning.optimiser
    made, plain = make_optimiser(model, settings, {}), parameter_groups(model, settings.weight_decay)
    assert [group["params"] for group in made.param_groups] == [group["params"] for group in plain]
    assert not any("lr_scale" in group for group in made.param_groups)


def test_a_linear_probe_learns_faster():
    model, recipe = model_and_recipe(frozen=True, inception=False, magnitude=False, linear=True)
    assert rate_factors(model, recipe) == {"output.weight": 10.0, "output.bias": 10.0}


@pytest.mark.parametrize("kind", ["adamw", "sgd", "lars"])
def test_groups_keep_their_decay_and_share_out_all_parameters(kind):
    model, recipe = model_and_recipe(PCM)
    factors = rate_factors(model, recipe)
    settings = Optimiser(kind=kind, learning_rate=0.1, weight_decay=0.05, betas=(0.9, 0.999))
    optimiser = make_optimiser(model, settings, factors)
    seen = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    assert len(seen) == len({id(parameter) for parameter in seen}) == len(list(model.parameters()))
    names = {parameter: name for name, parameter in model.named_parameters()}
    for group in optimiser.param_groups:
        assert group["lr"] == pytest.approx(0.1 * group["lr_scale"])
        for parameter in group["params"]:
            spared = parameter.ndim < 2 or names[parameter].endswith("_token")
            assert group["weight_decay"] == (0 if spared else 0.05), names[parameter]
            vector = settings.vector_rate if kind == "lars" and spared else 1
            assert group["lr_scale"] == pytest.approx(factors.get(names[parameter], 1.0) * vector), names[parameter]


def test_every_encoder_of_the_table_names_its_layers():
    assert all(network.layer_of is not None for network in ENCODERS.values())
