"""The Inception network of Henghes et al. 2022 as an encoder."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from astromae.encoders import Network, layer_of_blocks
from astromae.typed import Typed

if TYPE_CHECKING:
    from astromae.encoders.inception_network import Inception


class InceptionSettings(Typed):
    """Settings of the Inception network: all its sizes are those of the paper."""


def _problems(settings: InceptionSettings, side: int) -> Iterator[tuple[str, str]]:
    # Three average pools halve the image.
    if side % 8:
        yield "network", f"an encoder for stamps of {side} px; inception wants a scaling.crop that 8 divides"


def _build(settings: InceptionSettings, bands: int, side: int, phase: str) -> "Inception":
    from astromae.encoders.inception_network import Inception

    return Inception(bands, side)


ENCODER = Network(
    title="Inception",
    settings=InceptionSettings,
    build=_build,
    problems=_problems,
    # Three pools, and 12 channels at the end.
    width=lambda settings, side: 12 * (side // 8) ** 2,
    layer_of=layer_of_blocks,
)
