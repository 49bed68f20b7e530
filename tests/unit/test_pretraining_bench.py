"""The benchmark of one encoder's pretraining runs the loop itself, and counts its operations."""

from pathlib import Path

import pytest
import yaml
from astromae.errors import InputError
from astromae.settings.configuration import check_configuration
from astromae.settings.files import read_defaults
from astromae.training.bench_pretraining import bench_pretraining

ROOT = Path(__file__).parents[2]


def configuration(**changes):
    return check_configuration({**read_defaults(), **changes})


def test_rates_of_a_masked_autoencoder():
    backbones = yaml.safe_load((ROOT / "config.yaml").read_text())["backbones"]
    backbones["plain"] |= {"width": 48, "depth": 1}
    given = configuration(backbones=backbones, decoder={"width": 48, "depth": 1, "heads": 3})
    result = bench_pretraining(given, "experiment1", "plain", 16, 0.05)
    assert (result["encoder"], result["objective"], result["batch_size"]) == ("plain", "mae", 16)
    assert (result["waits"], result["device_memory_gb"]) == (0, 0)
    # Forward and twice that backward: 12 width^2 a token and block, 5 tokens encoded and 17 decoded.
    least = 6 * 12 * 48**2 * (5 + 17) / 1e6
    assert least < result["mflop"] < 3 * least
    assert result["loop_over_step"] == pytest.approx(result["loop"] / result["step"])
    used = result["loop"] * result["mflop"] / 1e6
    assert result["share_of_product"] == pytest.approx(used / result["product_tflops"])


def test_two_views_of_a_study():
    result = bench_pretraining(configuration(), "rivals", "moco-thin-resnet", 16, 0.05)
    assert (result["encoder"], result["objective"]) == ("moco-thin-resnet", "moco")
    assert result["loop"] > 0


@pytest.mark.parametrize(
    ("sample", "encoder", "words"),
    [
        ("experiment9", "plain", "no experiment or study is called experiment9; there are experiment1"),
        ("rivals", "plain", "no encoder of rivals is called plain; there are mae-small-vit"),
    ],
)
def test_names_that_are_not_there(sample, encoder, words):
    with pytest.raises(InputError, match=words):
        bench_pretraining(configuration(), sample, encoder, 16, 0.05)
