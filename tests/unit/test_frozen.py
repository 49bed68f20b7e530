"""Features of frozen encoders, and the pooling of the Inception branch."""

import pytest
import torch
import torch.nn.functional as F
from astromae.encoders.frozen import FrozenEncoder
from astromae.encoders.pooling import max_pool3
from astromae.encoders.transformer import load_pretrained
from training_inputs import encoder_of

BACKBONE = {"patch": 8, "width": 48, "depth": 4, "heads": 3}
PCM = {"pretrain_kernel": 1, "finetune_kernel": 3, "groups": 3}


def encoder(kind):
    """Build an encoder whose BatchNorm has seen data."""
    torch.manual_seed(1)
    backbone = BACKBONE | {"pcm": None if kind == "plain" else PCM}
    built = encoder_of(backbone, "finetune")
    if kind == "padded":
        load_pretrained(built, encoder_of(backbone, "pretrain").state_dict())
    with torch.no_grad():
        for _ in range(3):
            built.features(2 * torch.randn(64, 5, 32, 32) + 1)
    return built.eval()


@pytest.fixture
def images():
    """Draw stamps."""
    return torch.randn(40, 5, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", ["plain", "padded", "3x3"])
def test_features_are_as_exact_as_autocast(kind, images):
    model = encoder(kind)
    frozen = FrozenEncoder(model)
    with torch.no_grad():
        exact = model.features(images)
        with torch.autocast("cpu", torch.bfloat16):
            autocast, features = model.features(images), frozen.features(images)
    assert features.dtype == torch.float16
    error = (features - exact).std()
    assert 0 < error < 1.2 * (autocast - exact).std()
    assert error < 0.01 * exact.std()


@pytest.mark.parametrize("kind", ["plain", "padded", "3x3"])
def test_float16_rounds_less_than_bfloat16_multiplies(kind, images):
    model = encoder(kind)
    with torch.no_grad():
        exact = model.features(images)
        with torch.autocast("cpu", torch.bfloat16):
            autocast = model.features(images)
    assert (exact.half() - exact).std() < 0.2 * (autocast - exact).std()


def test_a_padded_kernel_shrinks_to_its_centre(images):
    padded, trained = FrozenEncoder(encoder("padded")), FrozenEncoder(encoder("3x3"))
    padded.features(images), trained.features(images)
    assert [frozen.lean.blocks[0].pcm.conv1.weight.shape[-1] for frozen in (padded, trained)] == [1, 3]
    with torch.no_grad():
        whole = padded.encoder.features(images)
    torch.testing.assert_close(padded.features(images), whole.half(), atol=2e-3, rtol=2e-3)


def test_features_do_not_depend_on_the_batch(images):
    frozen = FrozenEncoder(encoder("padded"))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frozen.features(images)[7:20], frozen.features(images[7:20]))


def test_in_float32_a_frozen_encoder_is_the_encoder_itself(images):
    model = encoder("plain")
    with torch.no_grad():
        assert torch.equal(FrozenEncoder(model).features(images), model.features(images).half())


def test_new_weights_are_noticed(images):
    model = encoder("plain")
    frozen = FrozenEncoder(model)
    with torch.autocast("cpu", torch.bfloat16):
        before = frozen.features(images)
        model.load_state_dict({name: 0.5 * weight for name, weight in model.state_dict().items()})
        after = frozen.features(images)
    assert not torch.equal(before, after)
    with torch.no_grad():
        torch.testing.assert_close(after.float(), model.features(images), rtol=0, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (2, 3, 5, 1), (1, 1, 1, 4)])
def test_max_pooling_is_torchs(dtype, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(5)).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(max_pool3(x), F.max_pool2d(x, 3, stride=1, padding=1))


def test_max_pooling_has_a_gradient():
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(5), requires_grad=True)
    max_pool3(x).sum().backward()
    assert x.grad.sum() == x.numel()
