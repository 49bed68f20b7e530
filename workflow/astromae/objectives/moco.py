"""Momentum contrast (MoCo v2, Chen et al. 2020) as an objective, for galaxies as Hayat et al. 2021 have it."""

from typing import TYPE_CHECKING

from astromae.objectives import Objective
from astromae.settings.base import Count, setting
from astromae.settings.galaxy_views import GalaxyViews
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import nn

    from astromae.objectives.momentum_contrast import MomentumContrast


class MoCoSettings(Typed):
    """Settings of momentum contrast; the defaults are for some thousands of galaxies."""

    queue: Count = setting(
        "Keys of earlier batches that a query is told apart from; well below the number of galaxies, "
        "which would else be their own counterexamples.",
        1024,
    )
    momentum: float = setting("What a step leaves of the encoder of keys.", 0.99, ge=0, lt=1)
    temperature: float = setting("Cosines are divided by it.", 0.1, gt=0)
    bn_groups: Count = setting(
        "Groups of a batch that batch normalisation treats apart, other ones for keys than for queries.", 8
    )
    hidden: Count = setting("Width of the hidden layer behind the encoder.", 256)
    projection: Count = setting("Width of queries and keys.", 128)
    views: GalaxyViews = setting("How a galaxy is changed from view to view.", GalaxyViews())


def _build(encoder: "nn.Module", settings: MoCoSettings, bands: int) -> "MomentumContrast":
    from astromae.objectives.momentum_contrast import MomentumContrast

    return MomentumContrast(encoder, settings)


OBJECTIVE = Objective(
    title="momentum contrast",
    settings=MoCoSettings,
    views=2,
    build=_build,
    galaxy_views=lambda settings: settings.views,
    phase="finetune",
)
