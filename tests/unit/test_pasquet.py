"""The network of Pasquet et al. against a plain writing of their released code."""

import pytest
import torch
import torch.nn.functional as F
from astromae.tasks.networks import count_parameters
from training_inputs import encoder_of, model_of


def encoder(side=64):
    torch.manual_seed(0)
    return encoder_of({"network": "pasquet"}, "finetune", side)


def images(n=2, side=64):
    return torch.randn(n, 5, side, side, generator=torch.Generator().manual_seed(1))


def test_parameters_are_those_of_the_paper_s_sizes():
    def unit(inputs, outputs, kernel):
        return inputs * outputs * kernel**2 + 2 * outputs  # biases, and slopes of PReLU

    total, channels = unit(5, 64, 5), 64
    for narrow, wide, five in ((48, 64, 1), (64, 92, 1), (92, 128, 1), (92, 128, 1), (92, 128, 0)):
        total += unit(channels, wide, 1) + (2 + five) * unit(channels, narrow, 1)
        total += unit(narrow, wide, 3) + five * unit(narrow, wide, 5)
        channels = wide * (2 + five) + narrow
    assert channels == 348
    total += (channels * 8 * 8 + 1) * 1096 + (1096 + 1) * 1096
    with torch.device("meta"):
        assert count_parameters(encoder())[0] == total == 27_397_816


def same(x, kernel, stride):
    """Average as TensorFlow's padding SAME does: missing rows and columns come last and do not count."""
    pad = (0, kernel - stride, 0, kernel - stride)
    ones = F.pad(torch.ones_like(x), pad)
    return F.avg_pool2d(F.pad(x, pad), kernel, stride) / F.avg_pool2d(ones, kernel, stride)


def released(weights, x):
    """Compute what the released code does, from its order of layers and joins."""

    def unit(x, name):
        kernel = weights[f"{name}.0.weight"]
        x = F.conv2d(x, kernel, weights[f"{name}.0.bias"], padding=kernel.shape[-1] // 2)
        return x.clamp_min(0) + weights[f"{name}.1.weight"].view(-1, 1, 1) * x.clamp_max(0)

    def block(x, number):
        name = f"blocks.{number}"
        three = unit(unit(x, f"{name}.three.0"), f"{name}.three.1")
        pooled = same(unit(x, f"{name}.pool"), 2, 1)
        branches = [unit(x, f"{name}.one"), three, pooled]
        if number < 4:
            branches.insert(1, unit(unit(x, f"{name}.five.0"), f"{name}.five.1"))
        return torch.cat(branches, dim=1)

    x = same(unit(x, "stem"), 2, 2)
    x = same(block(block(x, 0), 1), 2, 2)
    x = same(block(block(x, 2), 3), 2, 2)
    x = block(x, 4).flatten(1)
    for number in (0, 1):
        x = (x @ weights[f"hidden.{number}.weight"].T + weights[f"hidden.{number}.bias"]).clamp_min(0)
    return x


@pytest.mark.parametrize("side", [16, 24])
def test_features_are_those_of_the_released_code(side):
    own = encoder(side).double()
    random = torch.Generator().manual_seed(2)
    weights = {
        name: tensor + 0.02 * torch.randn(tensor.shape, generator=random) for name, tensor in own.state_dict().items()
    }
    own.load_state_dict(weights)
    x = images(side=side).double()
    with torch.no_grad():
        expected = released(own.state_dict(), x)
        torch.testing.assert_close(own.features(x), expected, atol=1e-10, rtol=1e-10)
    assert expected.shape == (2, own.width) and expected.std() > 0


def test_weights_start_as_in_the_released_code():
    own = encoder(32)
    for name, tensor in own.named_parameters():
        if name.endswith("bias"):
            assert (tensor == 0.1).all(), name
        elif tensor.ndim == 1:
            assert not tensor.any(), name  # slopes: ReLU until they have learnt
        else:
            fan = (tensor.shape[0] + tensor.shape[1]) * tensor[0, 0].numel()
            assert tensor.abs().max() <= (6 / fan) ** 0.5 and tensor.std().item() == pytest.approx(
                (2 / fan) ** 0.5, rel=0.1
            )


def test_it_is_a_branch_of_a_model():
    branches = {"encoder": "pasquet", "frozen": False, "inception": False, "magnitude": True}
    model = model_of(branches, {"network": "pasquet"})
    model(images(3, 32), torch.randn(3, 5)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
