"""The benchmark of training runs, and its shortcuts compute what plain eager torch computes."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from astromae.settings.configuration import check_configuration
from astromae.training.bench import MODEL, bench_training
from astromae.training.bench_eager import EagerInception
from astromae.training.bench_peer import PeerAutoencoder, PeerStamps
from astromae.training.bench_process import Elsewhere
from astromae.training.scaling import Scaling
from training_inputs import AUGMENTATION, BACKBONE, STAMPS, model_of, pretraining_recipe

CONFIGURATION = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def test_eager_model_is_the_same_model():
    branches = CONFIGURATION["models"][MODEL]
    backbone = CONFIGURATION["backbones"][branches["encoder"]]
    torch.manual_seed(0)
    model = model_of(branches, backbone).eval()
    eager = model_of(branches, backbone).eval()
    eager.inception = EagerInception(5, 32).eval()
    eager.load_state_dict(model.state_dict())
    images, magnitudes = torch.randn(8, 5, 32, 32), torch.randn(8, 5)
    with torch.no_grad():
        expected = eager(images, magnitudes)
        torch.testing.assert_close(model(images, magnitudes), expected, atol=1e-5, rtol=1e-4)
        # bfloat16 has eight bits of mantissa: outputs of order 0.1 differ by parts in a hundred of that.
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(model(images, magnitudes), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize("normalise_targets", [False, True])
def test_peer_is_the_same_autoencoder(normalise_targets):
    recipe = pretraining_recipe(BACKBONE, normalise_targets=normalise_targets)
    torch.manual_seed(0)
    ours, peer = recipe.build(5), PeerAutoencoder(recipe, 5)
    for weight in ours.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    weights = {name.removeprefix("encoder."): weight for name, weight in ours.state_dict().items()}
    # Ours flattens a patch with its bands last and multiplies; the peer convolves.
    kernel = weights.pop("embed.weight").view(BACKBONE["width"], 8, 8, 5).permute(0, 3, 1, 2)
    peer.load_state_dict({"embed.proj.weight": kernel, "embed.proj.bias": weights.pop("embed.bias"), **weights})
    ours, peer = ours.double(), peer.double()
    images = torch.randn(6, 5, 32, 32, dtype=torch.float64)
    order = torch.rand(6, 16).argsort(dim=1)
    losses = ours(images, order[:, :4], order[:, 4:]), peer(images, order)
    # Ours gives its predictions in float32.
    torch.testing.assert_close(losses[0], losses[1], atol=0, rtol=1e-6)
    for loss in losses:
        loss.backward()
    theirs = dict(peer.named_parameters())
    assert len(theirs) == len(list(ours.parameters()))
    for name, weight in ours.named_parameters():
        name = name.removeprefix("encoder.")
        if name == "embed.weight":
            expected = theirs["embed.proj.weight"].grad.permute(0, 2, 3, 1).flatten(1)
        else:
            expected = theirs["embed.proj.bias" if name == "embed.bias" else name].grad
        torch.testing.assert_close(weight.grad, expected, atol=1e-7, rtol=1e-5)


def test_peer_s_views_are_scaled_crops():
    stamps = torch.rand(3, 5, 48, 48).half()
    scaling = Scaling([0.1] * 5, [0.5] * 5, [0.7] * 5, [18.0] * 5, torch.eye(5).tolist(), STAMPS)
    still = pretraining_recipe(BACKBONE).model_copy(
        update={"augmentation": AUGMENTATION.model_copy(update={"rotation_deg": 0.0})}
    )
    views = PeerStamps(stamps, still, scaling)
    crop = scaling.pixels(stamps[1:2, :, 8:40, 8:40])[0]
    view, flipped = views[1], [crop, crop.flip(1), crop.flip(2), crop.flip(1, 2)]
    assert min((view - image).abs().max() for image in flipped) < 1e-4


def _fails():
    raise ValueError("no work here")


def test_a_process_that_fails_ends_the_wait(capfd):
    with pytest.raises(RuntimeError, match="any: the process of this work has ended"), Elsewhere(_fails) as other:
        other.work("any")()
    assert "no work here" in capfd.readouterr().err


def test_benchmark_reports_rates_and_ratios(capsys):
    small = {name: {**backbone, "width": 48, "depth": 1} for name, backbone in CONFIGURATION["backbones"].items()}
    small["pcm"]["pcm"] = {**small["pcm"]["pcm"], "groups": 12}
    decoder = {**CONFIGURATION["decoder"], "width": 48, "depth": 1}
    configuration = check_configuration({**CONFIGURATION, "backbones": small, "decoder": decoder})
    result = bench_training(configuration, 16, 0.05)
    with capsys.disabled():
        print(json.dumps({key: value for key, value in result.items() if "over" in key or "pipeline" in key}))
    assert {
        "pipeline_stamps_per_s",
        "loop_over_step",
        "pretrain_over_peer",
        "finetune_over_eager",
        "inference_over_eager",
        "pdf_over_regression",
    } < set(result)
    # Of the small encoder's products alone: tokens x (12 width^2 + attention), forward and twice that backward.
    tokens, decoded = 1 + 4, 1 + 16
    least = 6 * 12 * 48**2 * (tokens + decoded) / 1e6
    assert least < result["pretrain_plain_mflop"] < 3 * least
