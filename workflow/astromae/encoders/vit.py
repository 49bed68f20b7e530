"""The vision transformer as an encoder (table III)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from astromae.encoders import Network, layer_of_blocks
from astromae.settings.base import HERE
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import Tensor

    from astromae.encoders.transformer import Transformer


class TransformerSettings(Typed):
    """Sizes of a vision transformer."""

    patch: int = Field(ge=1, description="Side of a patch.", json_schema_extra={"unit": "px"})
    width: int = Field(ge=4, multiple_of=4, description="Embedding width.")
    depth: int = Field(ge=1, description="Number of blocks.")
    heads: int = Field(ge=1, description="Attention heads.")


class ViTSettings(TransformerSettings):
    """Settings of a transformer of plain blocks."""

    pcm: None = Field(None, description="The parallel convolution module of each block, or null for a plain block.")


def transformer_problems(settings: TransformerSettings, side: int) -> Iterator[tuple[str, str]]:
    """Yield keys of a transformer's settings that do not fit, and what they may hold."""
    if settings.width % settings.heads:
        yield "heads", f"a divisor of {HERE}width ({settings.width})"
    if side % settings.patch:
        yield "patch", f"a divisor of scaling.crop ({side})"


def load_transformer(encoder: "Transformer", weights: "dict[str, Tensor]") -> None:
    """Load pretrained weights into a transformer."""
    from astromae.encoders.transformer import load_pretrained

    load_pretrained(encoder, weights)


def drop_transformers_paths(encoder: "Transformer", rate: float) -> None:
    """Put drop path behind the residual branches of a transformer's blocks."""
    from astromae.encoders.transformer import add_drop_path

    add_drop_path(encoder, rate)


def _build(settings: ViTSettings, bands: int, side: int, phase: str) -> "Transformer":
    from astromae.encoders.transformer import Transformer

    return Transformer(settings, bands, side, norm=phase == "pretrain")


ENCODER = Network(
    title="vision transformer",
    settings=ViTSettings,
    build=_build,
    problems=transformer_problems,
    masked=True,
    load_pretrained=load_transformer,
    layer_of=layer_of_blocks,
    add_drop_path=drop_transformers_paths,
)
