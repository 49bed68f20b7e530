"""ResNets as encoders: torchvision's networks with a stem that keeps every pixel (Hayat et al. 2021), and thin ones."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from astromae.encoders import Network
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import Tensor

    from astromae.encoders.resnet_network import ResNet


class ResNetSettings(Typed):
    """Sizes of a ResNet.

    That of Hayat et al. 2021 has a depth of 50. On two cores a depth of 10 and a width of 16 learn three times as many
    stamps a second as the masked autoencoder of table III.
    """

    depth: Literal[10, 18, 34, 50] = Field(
        description="Layers with weights, as He et al. 2016 count them; from 50 on blocks are bottlenecks."
    )
    # With fewer channels than a register holds, oneDNN's gradient of a 1x1 convolution with a stride writes past its
    # memory where channels come last (its issue 6035): 8 with AVX2, 16 with AVX-512.
    width: int = Field(
        64, ge=16, multiple_of=16, description="Channels of the stem and of the first stage; each later stage doubles."
    )
    zero_init_residual: bool = Field(
        False, description="Start the last norm of each block at zero, and so each block as the identity."
    )


def _problems(settings: ResNetSettings, side: int) -> Iterator[tuple[str, str]]:
    # Three stages halve the image.
    if side < 8:
        yield "network", f"an encoder for stamps of {side} px; resnet wants a scaling.crop of at least 8"


def _build(settings: ResNetSettings, bands: int, side: int, phase: str) -> "ResNet":
    from astromae.encoders.resnet_network import ResNet

    return ResNet(settings, bands)


def _load(encoder: "ResNet", weights: "dict[str, Tensor]") -> None:
    """Load weights of a pretraining, or of a published network under torchvision's names, without its classifier."""
    encoder.load_state_dict({name: weight for name, weight in weights.items() if not name.startswith("fc.")})


def _width(settings: ResNetSettings, side: int) -> int:
    # The last of four stages, each twice as wide as the one before it; bottlenecks end in four times their width.
    return settings.width * 8 * (4 if settings.depth >= 50 else 1)


def _layer_of(name: str) -> tuple[int, ...]:
    """Return the layer of a parameter: the stem, or one of the blocks of ``layer1`` to ``layer4``."""
    stage, _, rest = name.partition(".")
    return (int(stage[-1]), int(rest.partition(".")[0])) if stage.startswith("layer") else (0,)


def _add_drop_path(encoder: "ResNet", rate: float) -> None:
    from astromae.encoders.resnet_network import add_drop_path

    add_drop_path(encoder, rate)


ENCODER = Network(
    title="ResNet",
    settings=ResNetSettings,
    build=_build,
    problems=_problems,
    load_pretrained=_load,
    width=_width,
    layer_of=_layer_of,
    add_drop_path=_add_drop_path,
)
