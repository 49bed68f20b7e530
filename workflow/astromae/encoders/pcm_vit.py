"""The vision transformer with parallel convolution modules as an encoder (table III)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from astromae.encoders import Network, layer_of_blocks
from astromae.encoders.vit import (
    TransformerSettings,
    drop_transformers_paths,
    load_transformer,
    transformer_problems,
)
from astromae.settings.base import HERE
from astromae.typed import Typed

if TYPE_CHECKING:
    from astromae.encoders.transformer import Transformer


class ConvolutionSettings(Typed):
    """Settings of the parallel convolution module of each block."""

    pretrain_kernel: Literal[1, 3, 5] = Field(
        description="Side of the convolution kernel in pretraining.", json_schema_extra={"unit": "px"}
    )
    finetune_kernel: Literal[1, 3, 5] = Field(
        description="Side of the convolution kernel in fine-tuning; the smaller is zero-padded to it.",
        json_schema_extra={"unit": "px"},
    )
    groups: int = Field(ge=1, description="Groups of the convolutions.")


class PCMViTSettings(TransformerSettings):
    """Settings of a transformer whose blocks have parallel convolution modules."""

    pcm: ConvolutionSettings = Field(
        description="The parallel convolution module of each block, or null for a plain block."
    )


def _problems(settings: PCMViTSettings, side: int) -> Iterator[tuple[str, str]]:
    yield from transformer_problems(settings, side)
    pcm = settings.pcm
    if settings.width % pcm.groups:
        yield "pcm.groups", f"a divisor of {HERE}width ({settings.width})"
    if pcm.pretrain_kernel > pcm.finetune_kernel:
        yield "pcm.pretrain_kernel", f"at most finetune_kernel ({pcm.finetune_kernel}), to which it is zero-padded"


def _build(settings: PCMViTSettings, bands: int, side: int, phase: str) -> "Transformer":
    from astromae.encoders.transformer import Transformer

    pcm = settings.pcm
    kernel = pcm.pretrain_kernel if phase == "pretrain" else pcm.finetune_kernel
    return Transformer(settings, bands, side, norm=phase == "pretrain", pcm=(kernel, pcm.groups))


ENCODER = Network(
    title="vision transformer with parallel convolutions",
    settings=PCMViTSettings,
    build=_build,
    problems=_problems,
    masked=True,
    load_pretrained=load_transformer,
    layer_of=layer_of_blocks,
    add_drop_path=drop_transformers_paths,
)
