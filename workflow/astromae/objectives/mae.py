"""The masked autoencoder (He et al. 2022) as an objective."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from astromae.encoders import Network
from astromae.encoders.vit import TransformerSettings
from astromae.masking import visible_patches
from astromae.objectives import Objective
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import nn

    from astromae.objectives.masked_autoencoder import MaskedAutoencoder


class DecoderSettings(Typed):
    """Sizes of the decoder, a transformer of plain blocks."""

    width: int = Field(ge=4, multiple_of=4, description="Embedding width.")
    depth: int = Field(ge=1, description="Number of blocks.")
    heads: int = Field(ge=1, description="Attention heads.")


class MAESettings(Typed):
    """Settings of the masked autoencoder."""

    mask_ratio: float = Field(gt=0, lt=1, description="Fraction of the patches that is hidden.")
    normalise_targets: bool = Field(description="Normalise each target patch by its own mean and variance.")
    decoder: DecoderSettings = Field(description="Decoder of the masked autoencoder.")


def _problems(
    settings: MAESettings, network: Network, encoder: TransformerSettings, side: int
) -> Iterator[tuple[str, str]]:
    if not network.masked:
        yield "objective", f"an objective that hides no patches: {network.title} sees whole stamps only"
        return
    tokens = (side // encoder.patch) ** 2
    if not 0 < visible_patches(tokens, settings.mask_ratio) < tokens:
        yield "mask_ratio", f"a ratio that hides and shows at least one of the {tokens} patches"
    if settings.decoder.width % settings.decoder.heads:
        yield "decoder.heads", f"a divisor of decoder.width ({settings.decoder.width})"


def _build(encoder: "nn.Module", settings: MAESettings, bands: int) -> "MaskedAutoencoder":
    from astromae.objectives.masked_autoencoder import MaskedAutoencoder

    return MaskedAutoencoder(encoder, settings, bands)


OBJECTIVE = Objective(
    title="masked autoencoder",
    settings=MAESettings,
    views=1,
    build=_build,
    problems=_problems,
    sections=("decoder",),
    reconstructs=True,
)
