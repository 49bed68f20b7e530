"""Encoders: networks that turn stamps into features, by the name that the configuration gives as `network`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astromae import entries
from astromae.registry import Registry
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """An encoder that the configuration can name.

    Its module, which imports no torch before it is called, holds the settings; the layers may stand in another.

    Attributes
    ----------
    title
        What the network is called in prose, for example ``vision transformer``.
    settings
        Keys of an entry of `backbones` besides `network`.
    build
        Called with settings, bands (number), side (px) and phase (``pretrain`` or ``finetune``), returns a module with
        the attribute `width` and the method `features`, which maps images (n, bands, side, side) to (n, width).
    problems
        Called with settings and side (px), yields a key of the settings and what it may hold, for each that does not
        fit.
    masked
        Whether the module can encode some patches of a stamp and leave out the others, as masked autoencoders want
        (`astromae.encoders.transformer.Transformer`).
    load_pretrained
        Called with a module built to be fine-tuned and the weights of one that was pretrained, loads them; None where
        both have the same weights.
    width
        Called with settings and side (px), returns the module's `width` without building it; None where it is the
        setting of this name.
    layer_of
        Called with the name of one of the module's parameters, returns numbers that say in which layer it is, and sort
        layers from the images on: `(0,)`, `(1, 0)`, `(1, 1)`. None where the network does not say, and all of it has to
        be trained at one learning rate.
    add_drop_path
        Called with a module built to be fine-tuned and a rate, puts `astromae.encoders.drop_path.DropPath` behind its
        residual branches, the last of which gets that rate. None where there are none.
    """

    title: str
    settings: type[Typed]
    build: "Callable[[Any, int, int, str], nn.Module]"
    problems: Callable[[Any, int], Iterator[tuple[str, str]]] = lambda settings, side: iter(())
    masked: bool = False
    load_pretrained: "Callable[[nn.Module, dict[str, Tensor]], None] | None" = None
    width: Callable[[Any, int], int] | None = None
    layer_of: Callable[[str], tuple[int, ...]] | None = None
    add_drop_path: "Callable[[nn.Module, float], None] | None" = None


def layer_of_blocks(name: str) -> tuple[int, ...]:
    """Return the layer of a parameter of a network that consists of numbered `blocks`, and a stem before them."""
    first, _, rest = name.partition(".")
    return (1, int(rest.partition(".")[0])) if first == "blocks" else (0,)


#: Encoders by name.
ENCODERS: Registry[Network] = Registry("encoder", entries.ENCODERS)


def network_of(backbone: Mapping[str, Any]) -> str:
    """Return the encoder of an entry of `backbones`: its `network`, or the transformer that `pcm` asks for."""
    return backbone.get("network") or ("pcm-vit" if backbone.get("pcm") else "vit")


def build_encoder(backbone: Any, bands: int, side: int, phase: str) -> "nn.Module":
    """Build the encoder of a backbone: settings of its network, and `network`. Parameters as for `Network.build`."""
    return ENCODERS[backbone.network].build(backbone, bands, side, phase)


def load_pretrained(backbone: Any, encoder: "nn.Module", weights: "dict[str, Tensor]") -> None:
    """Load pretrained weights into the encoder of a backbone, built to be fine-tuned.

    Raises
    ------
    RuntimeError
        If a weight is missing, superfluous, or of another shape.
    """
    load = ENCODERS[backbone.network].load_pretrained
    if load is None:
        encoder.load_state_dict(weights)
    else:
        load(encoder, weights)
