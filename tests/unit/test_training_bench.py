"""The benchmark of training runs, and its shortcuts compute what plain eager torch computes."""

import json
from pathlib import Path

import torch
import yaml
from astromae.settings.configuration import check_configuration
from astromae.training.bench import MODEL, bench_training
from astromae.training.bench_eager import EagerInception
from training_inputs import model_of

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


def test_benchmark_reports_rates_and_ratios(capsys):
    small = {name: {**backbone, "width": 48, "depth": 1} for name, backbone in CONFIGURATION["backbones"].items()}
    small["pcm"]["pcm"] = {**small["pcm"]["pcm"], "groups": 12}
    decoder = {**CONFIGURATION["decoder"], "width": 48, "depth": 1}
    configuration = check_configuration({**CONFIGURATION, "backbones": small, "decoder": decoder})
    result = bench_training(configuration, 16, 0.05)
    with capsys.disabled():
        print(json.dumps({key: value for key, value in result.items() if "over" in key or "pipeline" in key}))
    assert {"pipeline_stamps_per_s", "loop_over_step", "finetune_over_eager", "inference_over_eager"} < set(result)
    # Of the small encoder's products alone: tokens x (12 width^2 + attention), forward and twice that backward.
    tokens, decoded = 1 + 4, 1 + 16
    least = 6 * 12 * 48**2 * (tokens + decoded) / 1e6
    assert least < result["pretrain_plain_mflop"] < 3 * least
