"""Objectives: what an encoder learns by, without labels, by the name that the configuration gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astromae import entries
from astromae.encoders import Network
from astromae.registry import Registry
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import nn

    from astromae.objectives.learner import Learner


@dataclass(frozen=True)
class Objective:
    """A way to learn without labels.

    Attributes
    ----------
    title
        What it is called in prose, for example ``masked autoencoder``.
    settings
        Keys of an experiment's `pretraining` besides those that all objectives share (`objective`, epochs, batch_size,
        optimiser, schedule), and the sections of the configuration in `sections`, each under its name.
    views
        Augmented views of each stamp that a step reads. With one, the validation loss is that of plain stamps; with
        more, that of fixed augmented ones.
    build
        Called with an encoder, settings and bands (number), returns the `astromae.objectives.learner.Learner` around
        it: its loss, what follows a step, its state (all of it in its state_dict) and what it reports.
    problems
        Called with settings, the encoder's entry and its settings, and side (px), yields a key of the settings and what
        it may hold, for each that does not fit.
    sections
        Sections of the configuration that it reads besides, for example ``("decoder",)``.
    reconstructs
        Whether its learner can `reconstruct` stamps, which a figure shows.
    """

    title: str
    settings: type[Typed]
    views: int
    build: "Callable[[nn.Module, Any, int], Learner]"
    problems: Callable[[Any, Network, Any, int], Iterator[tuple[str, str]]] = lambda *given: iter(())
    sections: tuple[str, ...] = ()
    reconstructs: bool = False


#: Objectives by name.
OBJECTIVES: Registry[Objective] = Registry("objective", entries.OBJECTIVES)
