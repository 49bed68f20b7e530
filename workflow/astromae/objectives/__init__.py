"""Objectives: what an encoder learns by, by the name that the configuration gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astromae import entries
from astromae.encoders import Network
from astromae.registry import Registry
from astromae.typed import Typed

if TYPE_CHECKING:
    from astromae.objectives.learner import Learner
    from astromae.settings.galaxy_views import GalaxyViews


@dataclass(frozen=True)
class Objective:
    """What an encoder learns by.

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
        Called with an encoder, settings and bands (number), and with the experiment's `astromae.tasks.Task` where it
        reads labels, returns the `astromae.objectives.learner.Learner` around the encoder: its loss, what follows a
        step, its state (all of it in its state_dict) and what it reports.
    problems
        Called with settings, the encoder's entry and its settings, and side (px), yields a key of the settings and what
        it may hold, for each that does not fit.
    sections
        Sections of the configuration that it reads besides, for example ``("decoder",)``.
    reconstructs
        Whether its learner can `reconstruct` stamps, which a figure shows.
    galaxy_views
        Called with settings, returns those of its views; None where they are the configuration's `augmentation`.
    labels
        Whether it learns from labels, those of the experiment's task: its learner's loss is then given the targets
        (n, targets) after all else.
    phase
        The form in which the encoder is built (`astromae.encoders.Network.build`): ``pretrain`` for a decoder behind
        it, ``finetune`` where its features are used as models use them.
    """

    title: str
    settings: type[Typed]
    views: int
    build: "Callable[..., Learner]"
    problems: Callable[[Any, Network, Any, int], Iterator[tuple[str, str]]] = lambda *given: iter(())
    sections: tuple[str, ...] = ()
    reconstructs: bool = False
    galaxy_views: "Callable[[Any], GalaxyViews] | None" = None
    labels: bool = False
    phase: str = "pretrain"


#: Objectives by name.
OBJECTIVES: Registry[Objective] = Registry("objective", entries.OBJECTIVES)
