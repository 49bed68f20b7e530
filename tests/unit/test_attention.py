"""Attention written out head by head against timm's own, fused and not, and its gradients."""

import pytest
import timm.layers
import torch
from astromae.encoders.attention import Attention


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("tokens", [1, 5, 17])
def test_output_and_gradients_are_timm_s(tokens, fused):
    torch.manual_seed(0)
    ours, theirs = (kind(24, 3, qkv_bias=True).double() for kind in (Attention, timm.layers.Attention))
    theirs.load_state_dict(ours.state_dict())
    ours.fused_attn, theirs.fused_attn = False, fused
    x = torch.randn(4, tokens, 24, dtype=torch.float64)
    gradient, results = torch.randn_like(x), []
    for layer in (ours, theirs):
        given = x.clone().requires_grad_()
        mixed = layer(given)
        mixed.backward(gradient)
        results.append([mixed.detach(), given.grad, *(weight.grad for weight in layer.parameters())])
    torch.testing.assert_close(*results, atol=1e-12, rtol=1e-10)


def test_masks_of_tokens_are_left_to_timm():
    layer = Attention(24, 3, qkv_bias=True)
    layer.fused_attn = False
    x = torch.randn(2, 5, 24)
    torch.testing.assert_close(layer(x, is_causal=True)[:, :1], layer(x[:, :1]))


def test_bfloat16_is_near():
    layer = Attention(24, 3, qkv_bias=True)
    layer.fused_attn = False
    x = torch.randn(4, 5, 24)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x).float(), timm.layers.Attention.forward(layer, x).float(), atol=0.02, rtol=0)
