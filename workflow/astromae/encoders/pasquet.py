"""The network of Pasquet et al. 2019 as an encoder."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from astromae.encoders import Network
from astromae.typed import Typed

if TYPE_CHECKING:
    from astromae.encoders.pasquet_network import Pasquet


#: Neurons of both fully connected layers.
HIDDEN = 1096


class PasquetSettings(Typed):
    """Settings of Pasquet et al.'s network: all its sizes are those of the paper."""


def _problems(settings: PasquetSettings, side: int) -> Iterator[tuple[str, str]]:
    # Three average pools halve the image.
    if side % 8:
        yield "network", f"an encoder for stamps of {side} px; pasquet wants a scaling.crop that 8 divides"


def _build(settings: PasquetSettings, bands: int, side: int, phase: str) -> "Pasquet":
    from astromae.encoders.pasquet_network import Pasquet

    return Pasquet(bands, side)


def _layer_of(name: str) -> tuple[int, ...]:
    """Return the layer of a parameter: the stem, one of the `blocks`, or one of the `hidden` layers after them."""
    part, number, *_ = name.split(".")
    return ("stem", "blocks", "hidden").index(part), 0 if part == "stem" else int(number)


ENCODER = Network(
    title="network of Pasquet et al.",
    settings=PasquetSettings,
    build=_build,
    problems=_problems,
    width=lambda settings, side: HIDDEN,
    layer_of=_layer_of,
)
