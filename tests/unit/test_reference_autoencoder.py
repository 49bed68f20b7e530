"""The masked autoencoder against an independent one: Hugging Face's ViTMAEForPreTraining, with the same weights."""

import pytest
import torch
from astromae.objectives.masked_autoencoder import random_masks
from training_inputs import autoencoder_of, encoder_of

BACKBONE = {"patch": 8, "width": 48, "depth": 3, "heads": 3, "pcm": None}
DECODER = {"width": 24, "depth": 2, "heads": 3}
SIDE, LENGTH = 32, 16


def as_reference(model):
    """Return the weights of a plain autoencoder of ours under the reference's names. Positions are its own."""
    own = model.state_dict()
    width = BACKBONE["width"]
    # Ours flattens a patch with its bands last and multiplies; the reference convolves.
    kernel = own["encoder.embed.weight"].view(width, 8, 8, 5).permute(0, 3, 1, 2)
    weights = {
        "vit.embeddings.cls_token": own["encoder.class_token"],
        "vit.embeddings.patch_embeddings.projection.weight": kernel,
        "vit.embeddings.patch_embeddings.projection.bias": own["encoder.embed.bias"],
        "decoder.mask_token": own["mask_token"],
    }
    layers = {"encoder.norm": "vit.layernorm", "decoder_norm": "decoder.decoder_norm"}
    layers |= {"decoder_embed": "decoder.decoder_embed", "decoder_head": "decoder.decoder_pred"}
    blocks = {f"encoder.blocks.{i}": f"vit.layers.{i}" for i in range(BACKBONE["depth"])}
    blocks |= {f"decoder_blocks.{i}": f"decoder.decoder_layers.{i}" for i in range(DECODER["depth"])}
    for ours, theirs in blocks.items():
        layers |= {
            f"{ours}.norm1": f"{theirs}.layernorm_before",
            f"{ours}.norm2": f"{theirs}.layernorm_after",
            f"{ours}.attn.proj": f"{theirs}.attention.o_proj",
            f"{ours}.mlp.fc1": f"{theirs}.mlp.fc1",
            f"{ours}.mlp.fc2": f"{theirs}.mlp.fc2",
        }
    for kind in ("weight", "bias"):
        weights |= {f"{theirs}.{kind}": own[f"{ours}.{kind}"] for ours, theirs in layers.items()}
        for ours, theirs in blocks.items():
            parts = own[f"{ours}.attn.qkv.{kind}"].chunk(3)
            names = [f"{theirs}.attention.{name}_proj.{kind}" for name in "qkv"]
            weights |= dict(zip(names, parts, strict=True))
    return weights


@pytest.fixture(params=[False, True], ids=["pixels", "normalised patches"])
def pair(request):
    """Our autoencoder and the reference, of the same sizes and weights, in float64."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    ours = autoencoder_of(encoder_of(BACKBONE, "pretrain", SIDE), DECODER, request.param)
    for weight in ours.parameters():
        torch.nn.init.normal_(weight, std=0.2)  # biases and norms too, so that nothing agrees by being zero or one
    reference = ViTMAEForPreTraining(
        ViTMAEConfig(
            image_size=SIDE,
            patch_size=BACKBONE["patch"],
            num_channels=5,
            hidden_size=BACKBONE["width"],
            num_hidden_layers=BACKBONE["depth"],
            num_attention_heads=BACKBONE["heads"],
            intermediate_size=4 * BACKBONE["width"],
            decoder_hidden_size=DECODER["width"],
            decoder_num_hidden_layers=DECODER["depth"],
            decoder_num_attention_heads=DECODER["heads"],
            decoder_intermediate_size=4 * DECODER["width"],
            layer_norm_eps=1e-6,
            mask_ratio=0.75,
            norm_pix_loss=request.param,
        )
    )
    # Version 5.23 leaves its positions zero when a model is made from a configuration alone.
    reference.vit.embeddings.patch_embeddings.projection._is_hf_initialized = False
    reference.vit.embeddings.initialize_weights()
    reference.decoder.initialize_weights(LENGTH)
    missing, unexpected = reference.load_state_dict(as_reference(ours), strict=False)
    assert not unexpected
    assert all("position" in name or "pos_embed" in name for name in missing)
    return ours.double().eval(), reference.double().eval()


def test_masks_loss_and_gradient_are_the_reference_s(pair):
    ours, reference = pair
    images = torch.randn(6, 5, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    visible, masked = random_masks(6, LENGTH, 0.75, torch.Generator().manual_seed(2))
    noise = torch.rand(6, LENGTH, generator=torch.Generator().manual_seed(2))

    expected = reference(images, noise=noise)
    hidden = expected.mask.bool()
    assert hidden.sum(dim=1).tolist() == [12] * 6
    assert hidden.gather(1, masked).all()
    assert not hidden.gather(1, visible).any()

    loss = ours(images, visible, masked)
    # Ours gives its predictions in float32.
    torch.testing.assert_close(loss.double(), expected.loss, atol=0, rtol=1e-6)
    predicted = expected.logits.gather(1, masked[:, :, None].expand(-1, -1, 320))
    patches = reference.patchify(images)
    torch.testing.assert_close(ours.predict(patches, visible, masked).double(), predicted, atol=1e-5, rtol=1e-6)

    loss.backward()
    expected.loss.backward()
    own = {name: weight.grad for name, weight in ours.named_parameters()}
    theirs = dict(reference.named_parameters())
    for name, gradient in (
        ("encoder.embed.bias", theirs["vit.embeddings.patch_embeddings.projection.bias"].grad),
        ("mask_token", theirs["decoder.mask_token"].grad),
        ("encoder.blocks.0.mlp.fc1.weight", theirs["vit.layers.0.mlp.fc1.weight"].grad),
        ("decoder_head.weight", theirs["decoder.decoder_pred.weight"].grad),
    ):
        torch.testing.assert_close(own[name], gradient, atol=1e-7, rtol=1e-5)
