"""Settings of which a table's entry has a part: encoders, and what they learn by."""

import functools
from typing import Literal

from pydantic import create_model

from astromae.encoders import ENCODERS, network_of
from astromae.objectives import OBJECTIVES
from astromae.settings.base import PositiveFraction, entry_of, setting
from astromae.settings.training import Phase
from astromae.typed import Typed


@functools.cache
def backbone_model(network: str) -> type[Typed]:
    """Return the model of a backbone: the settings of its encoder, and `network`."""
    own = ENCODERS[network].settings
    return create_model(
        own.__name__,
        __base__=own,
        __doc__="A backbone.",
        network=(Literal[network], setting("Kind of the encoder.", network)),
    )


@functools.cache
def pretraining_model(objective: str) -> type[Phase]:
    """Return the model of a pretraining: what all have in common, and the keys of its objective.

    Sections that the objective reads besides stand at the top of the configuration.
    """
    entry = OBJECTIVES[objective]
    own = {
        name: (field.annotation, field)
        for name, field in entry.settings.model_fields.items()
        if name not in entry.sections
    }
    return create_model(
        f"{entry.settings.__name__}Pretraining",
        __base__=Phase,
        __doc__="Pretraining of every encoder that the models want.",
        objective=(Literal[objective], setting("What the encoder learns by.", objective)),
        part=(PositiveFraction, setting("Part of the galaxies that are seen, drawn with the training's seed.", 1.0)),
        **own,
    )


Backbone = entry_of(ENCODERS, "network", network_of, backbone_model)
Pretraining = entry_of(OBJECTIVES, "objective", lambda given: "mae", pretraining_model, ignore_others=True)
