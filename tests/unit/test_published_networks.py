"""The networks and the training of the paper's figures and tables, as the code builds and runs them."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from astromae.encoders.inception_network import Inception
from astromae.encoders.transformer import PCMBlock, patchify
from astromae.errors import Interrupted
from astromae.settings.files import laid_over, read_yaml
from astromae.settings.training import Optimiser, Schedule
from astromae.training.optimiser import make_optimiser
from astromae.training.schedule import learning_rate
from astromae.training.sources import ResidentStamps
from astromae.training.views import Views, random_maps, turn
from torch import nn
from training_inputs import (
    AUGMENTATION,
    PCM,
    PRETRAINING,
    autoencoder_of,
    encoder_of,
    model_of,
    pretraining_recipe,
    run_pretrain,
    scaling_of,
)

ROOT = Path(__file__).parents[2]

#: At the published scale, with the sizes of table III.
CONFIGURATION = laid_over(read_yaml(ROOT / "config.yaml"), read_yaml(ROOT / "workflow/presets/paper.yaml"))

MAGNITUDE = [(5, 1024), *[(1024, 1024)] * 4]
IMAGE = [(192, 1096), (1096, 1096)]
ADAPTER = [(192, 192)]


def built(name):
    branches = CONFIGURATION["models"][name]
    with torch.device("meta"):
        return model_of(branches, CONFIGURATION["backbones"].get(branches["encoder"]))


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("pcm-astromae", [*ADAPTER, *MAGNITUDE, *IMAGE, *IMAGE, (3216, 1024), (1024, 1)]),
        ("henghes", [*MAGNITUDE, *IMAGE, (2120, 1024), (1024, 1)]),
        ("plain-vit-magnitude", [*ADAPTER, *MAGNITUDE, *IMAGE, (2120, 1024), (1024, 1)]),
        ("plain-vit-inception", [*ADAPTER, *IMAGE, *IMAGE, (2192, 1024), (1024, 1)]),
        ("plain-vit", [*ADAPTER, *IMAGE, (1096, 1)]),
        ("inception-only", [*IMAGE, (1096, 1)]),
    ],
)
def test_heads_of_figures_6_and_7(name, layers):
    linear = {n: m for n, m in built(name).named_modules() if isinstance(m, nn.Linear) and not n.startswith("encoder.")}
    assert [(m.in_features, m.out_features) for m in linear.values()] == layers


def test_an_encoder_learns_unless_it_is_frozen():
    for name, branches in CONFIGURATION["models"].items():
        learning = {n.split(".")[0] for n, p in built(name).named_parameters() if p.requires_grad}
        assert ("encoder" in learning) == (branches["encoder"] is not None and not branches["frozen"]), name
        assert branches["encoder"] is None or "adapter" in learning, name


def test_inception_of_figure_3():
    network = Inception(5, 32).eval()
    shapes = []
    for part in (network.stem, *network.blocks):
        part.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    network(torch.zeros(2, 5, 32, 32))
    assert shapes == [(32, 16, 16), (64, 16, 16), (64, 16, 16), (32, 8, 8), (32, 8, 8), (12, 4, 4)]
    kernels = [
        [(m.kernel_size[0], m.out_channels) for m in block.modules() if isinstance(m, nn.Conv2d)]
        for block in network.blocks
    ]
    for kernel, width in zip(kernels, (16, 16, 8, 8), strict=False):
        assert kernel == [(1, width), (1, width), (3, width), (1, width), (5, width), (1, width)]
    assert kernels[4] == [(1, 4), (1, 4), (3, 4), (1, 4)]


def test_autoencoder_of_table_iii():
    for backbone in CONFIGURATION["backbones"].values():
        encoder = encoder_of(backbone, "pretrain")
        model = autoencoder_of(encoder, CONFIGURATION["decoder"])
        assert (len(encoder.blocks), len(model.decoder_blocks)) == (12, 4)
        for block in (*encoder.blocks, *model.decoder_blocks):
            assert (block.attn.heads, block.norm1.normalized_shape) == (3, (192,))
        assert (model.decoder_head.in_features, model.decoder_head.out_features) == (192, 8 * 8 * 5)


def test_features_leave_the_class_token_out():
    torch.manual_seed(0)
    encoder = encoder_of(CONFIGURATION["backbones"]["plain"], "finetune").eval()
    images = torch.randn(3, 5, 32, 32)
    with torch.no_grad():
        tokens = encoder.tokens(patchify(images, 8))
        torch.testing.assert_close(encoder.features(images), tokens[:, 1:17].mean(dim=1))


def test_parallel_convolution_reads_the_input_and_bypasses_the_class_token():
    torch.manual_seed(0)
    block = PCMBlock(24, 3, 3, 6).eval()
    for silent in (block.attn.proj, block.mlp.fc2):
        nn.init.zeros_(silent.weight)
        nn.init.zeros_(silent.bias)
    x = torch.randn(2, 17, 24)
    with torch.no_grad():
        added = block(x) - x
        assert added[:, 0].abs().max() == 0
        torch.testing.assert_close(added[:, 1:], block.pcm(x[:, 1:]), atol=1e-6, rtol=1e-5)
    assert [type(layer).__name__ for layer in block.pcm.children()] == ["Conv2d", "BatchNorm2d", "Conv2d"]
    assert block.pcm.conv1.out_channels == 4 * 24


def test_optimiser_and_learning_rate_are_the_configured_ones(galaxies, encoder, tmp_path):
    chosen = {"learning_rate": 1.2e-3, "betas": [0.9, 0.95], "weight_decay": 0.05}
    recipe = pretraining_recipe(optimiser=chosen)
    with pytest.raises(Interrupted):
        run_pretrain(galaxies, tmp_path, recipe, minutes=0.0)
    (path,) = (tmp_path / "checkpoints").iterdir()
    with open(path, "rb") as file:
        file.seek(32)  # the checksum before the state
        groups = torch.load(file, weights_only=True)["optimiser"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0, 0.05]
    for group in groups:
        assert tuple(group["betas"]) == (0.9, 0.95)
        assert group["lr"] == learning_rate(1.2e-3, recipe.pretraining.schedule, 3, 0)

    history = pd.read_csv(encoder / "history.csv")
    base, schedule = PRETRAINING["optimiser"]["learning_rate"], Schedule(**PRETRAINING["schedule"])
    assert history.learning_rate.tolist() == pytest.approx([learning_rate(base, schedule, 3, e) for e in range(3)])


@pytest.mark.parametrize("kind", ["pretraining", "fine-tuning"])
def test_only_matrices_and_kernels_decay(kind):
    if kind == "pretraining":
        model = pretraining_recipe().build(5)
    else:
        model = model_of(CONFIGURATION["models"]["scratch-pcm-vit"] | {"inception": True}, PCM)
    optimiser = Optimiser(**CONFIGURATION["experiments"]["experiment1"]["finetuning"]["optimiser"])
    spared, decaying = make_optimiser(model, optimiser).param_groups
    assert (spared["weight_decay"], decaying["weight_decay"]) == (0, 0.005)
    layers = nn.Linear | nn.Conv2d
    matrices = {id(module.weight) for module in model.modules() if isinstance(module, layers)}
    assert {id(weight) for weight in decaying["params"]} == matrices
    assert len(spared["params"]) + len(matrices) == len(list(model.parameters()))


@pytest.mark.parametrize("sigma", [0.05, 0.20])
def test_noise_is_gaussian_in_scaled_pixels(galaxies, sigma):
    images = torch.zeros(256, 5, 48, 48, dtype=torch.float16)
    scaling = scaling_of(galaxies)

    def view(sigma):
        views = Views(ResidentStamps(images), scaling, AUGMENTATION, 32, sigma, 256, 1)
        ((_, _, view),) = views.epoch(0)
        return view

    noise = view(sigma) - view(0.0)
    # 1.3 million pixels give mean and deviation to a part in a thousand.
    assert noise.mean().item() == pytest.approx(0, abs=5e-3 * sigma)
    assert noise.std().item() == pytest.approx(sigma, rel=5e-3)
    assert (noise / sigma).pow(4).mean().item() == pytest.approx(3, rel=0.02)


def test_rotation_after_the_crop_leaves_corners_empty():
    after = AUGMENTATION.model_copy(update={"rotate_before_crop": False})
    for augmentation, empty in ((AUGMENTATION, False), (after, True)):
        size = augmentation.source_size(32)
        maps = random_maps(64, augmentation, torch.Generator().manual_seed(0))
        views = turn(torch.ones(64, 5, size, size), maps, 32, augmentation.interpolation)
        assert (views[:, 0, 0, 0] < 0.5).any() == empty
