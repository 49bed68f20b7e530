"""Encoders, autoencoder and redshift models: parameters, shapes and equalities that the paper implies."""

import subprocess
import sys

import pytest
import torch
from astromae.encoders.block import Block
from astromae.encoders.inception_network import Inception
from astromae.encoders.transformer import (
    ParallelConvolution,
    load_pretrained,
    patchify,
    sincos_positions,
    unpatchify,
)
from astromae.objectives.masked_autoencoder import random_masks
from astromae.settings.configuration import check_configuration
from astromae.tasks import task_of
from astromae.tasks.networks import count_parameters, describe_models
from astromae.training.attention import choose_attention
from astromae.training.configured_recipes import networks_of
from astromae.training.optimiser import parameter_groups
from published_configuration import published_configuration
from timm.models.vision_transformer import Block as TimmsBlock
from timm.models.vision_transformer import VisionTransformer
from timm.optim import param_groups_weight_decay
from training_inputs import autoencoder_of, encoder_of, model_of

CONFIGURATION = published_configuration()
BACKBONES = CONFIGURATION["backbones"]


def images(n=4, side=32, seed=0):
    return torch.randn(n, 5, side, side, generator=torch.Generator().manual_seed(seed))


def randomise(module, seed=0):
    """Give every weight and statistic a value, so that an equality cannot hold by zeros."""
    random = torch.Generator().manual_seed(seed)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=random) * 0.2 + 0.05)
    return module


@pytest.mark.parametrize(
    ("name", "trainable"),
    [("pcm-astromae", 10_397_505), ("plain-astromae", 10_397_505), ("henghes", 7_823_921)],
)
def test_trainable_parameters_are_the_published_ones(name, trainable):
    rows = {row["name"]: row for row in describe_models(CONFIGURATION, 5)}
    assert rows[name]["trainable"] == trainable


def test_parameters_are_those_of_each_experiment_s_task():
    described = {row["name"]: row for row in describe_models(networks_of(check_configuration(CONFIGURATION)), 5)}
    of = described["henghes"]["of_experiments"]
    assert set(of) == {"experiment1", "experiment2", "distributions"}
    assert of["experiment1"]["trainable"] == described["henghes"]["trainable"] == 7_823_921
    outputs = task_of(check_configuration(CONFIGURATION).task("distributions")).outputs
    # Each output is a row of the last layer, with its bias.
    assert (of["distributions"]["trainable"] - of["experiment1"]["trainable"]) % (outputs - 1) == 0
    assert of["distributions"]["trainable"] > of["experiment1"]["trainable"]


def test_every_model_of_table_iv_is_configured():
    groups = [row["group"] for row in describe_models(CONFIGURATION, 5)]
    assert (groups.count("scratch"), groups.count("pretrained")) == (6, 8)


@pytest.mark.parametrize(
    ("pcm", "millions"),
    [
        (None, 5.34),
        ({"kernel": 1, "groups": 48}, 5.44),
        ({"kernel": 3, "groups": 48}, 6.03),
        ({"kernel": 3, "groups": 1}, 37.2),
    ],
)
def test_parameters_of_the_twelve_blocks(pcm, millions):
    kernels = pcm and {"pretrain_kernel": 1, "finetune_kernel": pcm["kernel"], "groups": pcm["groups"]}
    backbone = {**BACKBONES["plain"], "pcm": kernels}
    with torch.device("meta"):
        encoder = encoder_of(backbone, "finetune")
    assert count_parameters(encoder.blocks)[0] / 1e6 == pytest.approx(millions, abs=0.01 if millions < 10 else 0.1)


def test_inception_features_and_published_layer_order():
    torch.manual_seed(0)
    module = Inception(5, 32).eval()
    x = images()
    features = module(x)
    assert features.shape == (4, 192)
    # The published order: convolution first, average-pool second.
    published = torch.nn.functional.avg_pool2d(module.stem(x), 2)
    ours = module.stem(torch.nn.functional.avg_pool2d(x, 2))
    torch.testing.assert_close(ours, published, atol=1e-6, rtol=1e-5)


def test_patches_are_put_back():
    x = images()
    patches = patchify(x, 8)
    assert patches.shape == (4, 16, 320)
    torch.testing.assert_close(unpatchify(patches, 8), x)
    torch.testing.assert_close(patches[0, 1].view(8, 8, 5).permute(2, 0, 1), x[0, :, 0:8, 8:16])


def test_positions_are_distinct_and_bounded():
    positions = sincos_positions(192, 4)
    assert positions.shape == (16, 192)
    assert positions.abs().max() <= 1
    assert torch.cdist(positions, positions).fill_diagonal_(9).min() > 0.5


def test_plain_encoder_equals_timm():
    encoder = randomise(encoder_of(BACKBONES["plain"], "pretrain")).eval()
    reference = timms(encoder)
    x = images().double()
    encoder, reference = encoder.double(), reference.double()
    with torch.no_grad():
        torch.testing.assert_close(encoder(patchify(x, 8)), reference.forward_features(x), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("pretrained", [True, False], ids=["pretrained", "scratch"])
def test_features_behind_the_adapter_s_norm_are_timms_global_pooling(pretrained):
    """timm pools the tokens of a network without final norm and then normalises (`fc_norm`), as He et al. do."""
    branches = {"encoder": "plain", "frozen": False, "inception": False, "magnitude": False}
    model = randomise(model_of(branches, BACKBONES["plain"])).eval()
    if pretrained:
        load_pretrained(model.encoder, randomise(encoder_of(BACKBONES["plain"], "pretrain"), 1).state_dict())
    reference = timms(model.encoder, norm=model.adapter[0], global_pool="avg").double()
    x = images().double()
    model.double()
    with torch.no_grad():
        expected = reference.forward_head(reference.forward_features(x), pre_logits=True)
        torch.testing.assert_close(model.adapter[0](model.encode(x)), expected, atol=1e-9, rtol=1e-9)
    assert not any(name.startswith("encoder.norm") for name in model.state_dict())


def timms(encoder, norm=None, **options):
    """Return timm's plain network with the weights of an encoder of ours; `norm` is that after its pooling."""
    sizes = {"img_size": 32, "patch_size": 8, "in_chans": 5, "embed_dim": 192, "depth": 12, "num_heads": 3}
    reference = VisionTransformer(**sizes, num_classes=0, **options).eval()
    own = encoder.state_dict()
    weights = {k: v for k, v in own.items() if k.startswith(("blocks.", "norm."))}
    kernel = own["embed.weight"].view(192, 8, 8, 5).permute(0, 3, 1, 2)
    weights |= {"patch_embed.proj.weight": kernel, "patch_embed.proj.bias": own["embed.bias"]}
    weights |= {"cls_token": own["class_token"]}
    weights["pos_embed"] = torch.cat([torch.zeros(1, 1, 192), encoder.positions[None]], dim=1)
    if norm is not None:
        weights |= {f"fc_norm.{name}": weight for name, weight in norm.state_dict().items()}
    reference.load_state_dict(weights)
    return reference


@pytest.mark.parametrize("fused", [True, False])
def test_a_block_draws_and_computes_the_bits_of_timms(fused, monkeypatch):
    torch.manual_seed(5)
    own, drawn = Block(48, 3), torch.rand(1)
    torch.manual_seed(5)
    reference = TimmsBlock(48, 3, qkv_bias=True)
    assert torch.equal(torch.rand(1), drawn)
    assert own.state_dict().keys() == reference.state_dict().keys()
    assert all(torch.equal(weight, reference.state_dict()[name]) for name, weight in own.state_dict().items())
    own.attn.fused = reference.attn.fused_attn = fused
    x = torch.randn(3, 17, 48, requires_grad=True)
    for block in (own, reference):
        block(x).square().sum().backward()
    torch.testing.assert_close(own(x), reference(x), rtol=0, atol=0)
    for name, weight in reference.named_parameters():
        torch.testing.assert_close(own.get_parameter(name).grad, weight.grad, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("classical.fit", {"torch"}),
        ("classical.curve", {"torch"}),
        ("training.fit_scaling", {"torch"}),
        ("training.reconstruct", {"timm", "torchvision", "lightning_fabric"}),
        ("training.train", {"timm", "torchvision"}),
        ("encoders.transformer", {"timm", "torchvision"}),
        ("objectives.masked_autoencoder", {"timm", "torchvision"}),
    ],
)
def test_a_step_starts_without_what_it_does_not_use(module, absent):
    code = f"import astromae.{module}, sys; assert not {absent} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("weight_decay", [0.05, 0.0])
def test_groups_of_parameters_are_timms(weight_decay):
    model = model_of({"encoder": "pcm", "frozen": False, "inception": True, "magnitude": True}, BACKBONES["pcm"])
    model.encoder.embed.weight.requires_grad_(False)
    expected = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=["encoder.class_token"])
    own = parameter_groups(model, weight_decay)
    assert [group["weight_decay"] for group in own] == [group["weight_decay"] for group in expected]
    assert [list(map(id, group["params"])) for group in own] == [list(map(id, group["params"])) for group in expected]


def test_written_out_attention_equals_fused():
    encoder = encoder_of(BACKBONES["pcm"], "finetune").eval()
    x = images()
    with torch.no_grad():
        fused = encoder.features(x)
        for block in encoder.blocks:
            block.attn.fused = False
        torch.testing.assert_close(encoder.features(x), fused, atol=1e-5, rtol=1e-4)


def test_attention_is_written_out_for_training_on_a_cpu_only():
    encoder = encoder_of(BACKBONES["plain"], "finetune")
    choose_attention(encoder.train(), torch.device("cpu"))
    assert not encoder.blocks[0].attn.fused
    choose_attention(encoder.eval(), torch.device("cpu"))
    assert encoder.blocks[0].attn.fused
    choose_attention(encoder.train(), torch.device("cuda"))
    assert encoder.blocks[0].attn.fused


def test_padded_kernels_compute_the_same():
    pretrained = randomise(encoder_of(BACKBONES["pcm"], "pretrain")).eval()
    finetuned = encoder_of(BACKBONES["pcm"], "finetune").eval()
    load_pretrained(finetuned, pretrained.state_dict())
    kernel = finetuned.blocks[0].pcm.conv1.weight
    assert kernel.shape[-1] == 3
    assert kernel.count_nonzero() == pretrained.blocks[0].pcm.conv1.weight.count_nonzero()
    x = images()
    with torch.no_grad():
        torch.testing.assert_close(finetuned.features(x), pretrained.features(x), atol=1e-4, rtol=1e-4)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*extra"):
        load_pretrained(finetuned, pretrained.state_dict() | {"extra": torch.zeros(1)})


def test_convolution_sees_neighbours_on_the_grid():
    module = ParallelConvolution(8, 3, 2).eval()
    tokens = torch.randn(1, 16, 8, requires_grad=True)
    module(tokens)[0, 5].sum().backward()
    touched = tokens.grad[0].abs().sum(dim=1).view(4, 4) > 0
    # Two 3x3 convolutions reach two patches around row 1, column 1.
    assert touched[:4, :4].all()
    tokens.grad = None
    ParallelConvolution(8, 1, 2).eval()(tokens)[0, 5].sum().backward()
    assert (tokens.grad[0].abs().sum(dim=1) > 0).nonzero().flatten().tolist() == [5]


@pytest.mark.parametrize("name", ["plain", "pcm"])
def test_masked_patches_are_not_seen(name):
    torch.manual_seed(0)
    encoder = encoder_of(BACKBONES[name], "pretrain")
    model = autoencoder_of(encoder, CONFIGURATION["decoder"]).eval()
    patches = patchify(images(), 8)
    visible, masked = random_masks(4, 16, 0.75, torch.Generator().manual_seed(1))
    assert visible.shape == (4, 4)
    assert torch.equal(torch.cat([visible, masked], 1).sort(dim=1).values, torch.arange(16).expand(4, 16))
    with torch.no_grad():
        before = model.predict(patches, visible, masked)
        changed = patches.scatter(1, masked[:, :, None].expand(-1, -1, 320), 7.0)
        torch.testing.assert_close(model.predict(changed, visible, masked), before)


def test_loss_is_the_error_of_masked_patches():
    torch.manual_seed(0)
    model = autoencoder_of(encoder_of(BACKBONES["plain"], "pretrain"), CONFIGURATION["decoder"], False).eval()
    x = images()
    visible, masked = random_masks(4, 16, 0.75, torch.Generator().manual_seed(1))
    with torch.no_grad():
        predicted = model.predict(patchify(x, 8), visible, masked)
        by_hand = torch.stack(
            [
                (predicted[i, j] - patchify(x, 8)[i, p]).square().mean()
                for i in range(4)
                for j, p in enumerate(masked[i])
            ]
        ).mean()
        torch.testing.assert_close(model(x, visible, masked), by_hand)


def test_normalised_targets_have_unit_variance():
    model = autoencoder_of(encoder_of(BACKBONES["plain"], "pretrain"), CONFIGURATION["decoder"], True)
    _, masked = random_masks(4, 16, 0.75, torch.Generator().manual_seed(1))
    target = model.targets(patchify(images() * 5 + 2, 8), masked)
    torch.testing.assert_close(target.mean(dim=-1), torch.zeros(4, 12), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.var(dim=-1), torch.ones(4, 12), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", list(CONFIGURATION["models"]))
def test_model_predicts_one_redshift_a_galaxy(name):
    branches = CONFIGURATION["models"][name]
    model = model_of(branches, BACKBONES.get(branches["encoder"]))
    predicted = model(images(3), torch.randn(3, 5))
    assert predicted.shape == (3, 1)
    predicted.sum().backward()
    for parameter_name, parameter in model.named_parameters():
        frozen = branches["frozen"] and parameter_name.startswith("encoder.")
        assert (parameter.grad is None) == frozen or parameter_name.endswith("conv1.bias"), parameter_name


def test_frozen_encoder_does_not_change_in_training():
    branches = CONFIGURATION["models"]["pcm-vit"]
    model = model_of(branches, BACKBONES["pcm"]).train()
    before = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    model(images(), None).sum().backward()
    optimiser.step()
    assert all(torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())


def test_known_features_replace_the_encoder():
    branches = CONFIGURATION["models"]["plain-astromae"]
    model = model_of(branches, BACKBONES["plain"]).eval()
    x, magnitudes = images(), torch.randn(4, 5)
    with torch.no_grad():
        torch.testing.assert_close(model(x, magnitudes, model.encode(x)), model(x, magnitudes))


def test_a_linear_probe_is_one_layer_on_normalised_features():
    """Normalised over a batch in training, by what was seen there afterwards."""
    branches = {"encoder": "plain", "frozen": True, "inception": False, "magnitude": False, "linear": True}
    model, images = model_of(branches, BACKBONES["plain"]).eval(), torch.randn(3, 5, 32, 32)
    learnt = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learnt == {"adapter.weight", "adapter.bias", "output.weight", "output.bias"}
    features = model.encode(images).float()
    mean, variance = features.mean(dim=0), features.var(dim=0, correction=0)
    normed = (features - mean) / (variance + 1e-6).sqrt()
    torch.testing.assert_close(model.train()(images, None), normed @ model.output.weight.T + model.output.bias)
    model.adapter.running_mean.copy_(mean), model.adapter.running_var.copy_(variance)
    model.eval()
    torch.testing.assert_close(model(images, None), normed @ model.output.weight.T + model.output.bias)
    torch.testing.assert_close(model(None, None, features), model(images, None))


def test_a_model_needs_a_branch():
    with pytest.raises(ValueError, match="at least one branch"):
        model_of({"encoder": None, "frozen": False, "inception": False, "magnitude": False}, None)


def test_convolution_by_products_is_the_convolution():
    torch.manual_seed(0)
    modules = [ParallelConvolution(8, 1, 2).double() for _ in range(2)]
    modules[1].load_state_dict(modules[0].state_dict())
    tokens = torch.randn(6, 4, 8, dtype=torch.float64, requires_grad=True)
    results = modules[0](tokens), modules[1].by_products(tokens)
    torch.testing.assert_close(*results)
    gradients = [
        torch.autograd.grad(result.square().sum(), [tokens, *module.parameters()])
        for result, module in zip(results, modules, strict=True)
    ]
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(modules[0].norm.running_var, modules[1].norm.running_var)
