"""ResNets against torchvision's, and the sizes that are published."""

from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from astromae.encoders import ENCODERS, load_pretrained
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.settings.configuration import check_configuration
from astromae.tasks.networks import count_parameters
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from training_inputs import backbone_of, encoder_of

TORCHVISION = {18: torchvision.models.resnet18, 50: torchvision.models.resnet50}


def hayats(depth, classes=180):
    """Return torchvision's network with the stem of Hayat et al."""
    network = TORCHVISION[depth](num_classes=classes)
    network.conv1 = nn.Conv2d(5, 64, 7, padding=3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    return network


def backbone(depth, **changes):
    return {"network": "resnet", "depth": depth, **changes}


def images(n=3, side=12):
    return torch.randn(n, 5, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("depth", TORCHVISION)
def test_published_weights_fit_and_give_the_same_features_and_gradients(depth):
    torch.manual_seed(0)
    published, own = hayats(depth).double(), encoder_of(backbone(depth), "finetune").double()
    load_pretrained(backbone_of(backbone(depth)), own, published.state_dict())
    assert own.width == published.fc.in_features
    published.fc = nn.Identity()
    x = images()
    outputs = [network(x) for network in (published.train(), own.train().features)]
    torch.testing.assert_close(*outputs, atol=1e-10, rtol=1e-10)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(own.conv1.weight.grad, published.conv1.weight.grad, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(own.bn1.running_var, published.bn1.running_var, atol=1e-12, rtol=1e-12)
    with torch.no_grad():
        outputs = [network(x) for network in (published.eval(), own.eval().features)]
    torch.testing.assert_close(*outputs, atol=1e-10, rtol=1e-10)


def test_weights_of_another_network_are_refused():
    weights = hayats(18).state_dict()
    own, settings = encoder_of(backbone(18), "finetune"), backbone_of(backbone(18))
    with pytest.raises(RuntimeError, match=r"Unexpected key.*layer5"):
        load_pretrained(settings, own, weights | {"layer5.0.conv1.weight": torch.zeros(1)})
    del weights["bn1.running_mean"]
    with pytest.raises(RuntimeError, match=r"Missing key.*bn1\.running_mean"):
        load_pretrained(settings, own, weights)
    with pytest.raises(RuntimeError, match=r"size mismatch for conv1"):
        load_pretrained(settings, own, torchvision.models.resnet18().state_dict())


@pytest.mark.parametrize(
    ("given", "side", "parameters", "gmac"),
    [
        (backbone(50), 64, 23_514_304, 5.25),
        (backbone(50), 32, 23_514_304, 1.31),
        (backbone(18), 64, 11_182_784, 2.28),
        (backbone(18), 32, 11_182_784, 0.57),
        (backbone(10, width=16), 32, 311_024, 0.0197),
    ],
)
def test_parameters_and_work_are_the_published_ones(given, side, parameters, gmac):
    with torch.device("meta"):
        encoder = encoder_of(given, "finetune", side)
        with FlopCounterMode(display=False) as counter:
            assert encoder.features(torch.empty(1, 5, side, side)).shape == (1, encoder.width)
    assert count_parameters(encoder) == (parameters, parameters)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, rel=5e-3)


def test_weights_start_as_torchvisions():
    torch.manual_seed(0)
    own = encoder_of(backbone(18), "pretrain")
    expected = hayats(18)
    for name, weight in own.state_dict().items():
        other = expected.state_dict()[name]
        if weight.numel() > 5000:
            assert weight.std().item() == pytest.approx(other.std().item(), rel=0.05), name
        elif weight.ndim < 2:
            assert torch.equal(weight, other), name
    deviation = (2 / (64 * 49)) ** 0.5  # He et al. 2015, by fan-out
    assert own.conv1.weight.std().item() == pytest.approx(deviation, rel=0.05)


def test_blocks_may_start_as_the_identity():
    own = encoder_of(backbone(18, zero_init_residual=True), "pretrain").double().eval()
    assert not any(block.bn2.weight.any() for block in own.layer1)
    x = torch.rand(2, 64, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(own.layer1(x.clone()), x)
    assert encoder_of(backbone(18), "pretrain").layer1[0].bn2.weight.all()


@pytest.mark.parametrize("side", [8, 20, 64])
def test_thin_networks_take_stamps_of_any_side(side):
    own = encoder_of(backbone(10, width=16), "finetune", side)
    own.features(torch.randn(3, 5, side, side)).sum().backward()
    assert all(parameter.grad is not None for parameter in own.parameters())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (backbone(50), 'backbones.plain.network is "resnet"; allowed: an encoder for stamps of 6 px'),
        ({"network": "pasquet"}, 'backbones.plain.network is "pasquet"; allowed: an encoder for stamps of 6 px'),
        (backbone(19), "backbones.plain.depth is 19; allowed: "),
        (backbone(18, width=24), "backbones.plain.width is 24; allowed: an integer at least 16 and a multiple of 16"),
    ],
)
def test_what_does_not_fit_is_named(given, message):

    configuration = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
    configuration["backbones"]["plain"] = given
    configuration["scaling"]["crop"] = 6
    with pytest.raises(InputError, match=message):
        check_configuration(configuration)


@pytest.mark.parametrize(
    "given",
    [backbone(10, width=16), backbone(34), backbone(50, width=32), {"network": "pasquet"}, {"network": "inception"}],
)
@pytest.mark.parametrize("side", [32, 48])
def test_widths_are_known_without_building(given, side):
    settings = backbone_of(given)
    with torch.device("meta"):
        assert ENCODERS[settings.network].width(settings, side) == encoder_of(given, "finetune", side).width


@pytest.mark.parametrize("given", [backbone(10, width=16), {"network": "pasquet"}], ids=["resnet", "pasquet"])
def test_frozen_convolutions_give_the_features_that_are_stored(given):
    torch.manual_seed(0)
    own = encoder_of(given, "finetune", 16).eval()
    x = images(5, 16).float()
    with torch.no_grad():
        assert torch.equal(FrozenEncoder(own).features(x), own.features(x).half())
