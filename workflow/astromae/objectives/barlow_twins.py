"""Barlow Twins (Zbontar et al. 2021) as an objective."""

from typing import TYPE_CHECKING

from astromae.objectives import Objective
from astromae.settings.base import Count, setting
from astromae.settings.galaxy_views import GalaxyViews
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import nn

    from astromae.objectives.redundancy_reduction import RedundancyReduction


class BarlowTwinsSettings(Typed):
    """Settings of Barlow Twins; the defaults are for some thousands of galaxies."""

    redundancy: float = setting("Weight of the off-diagonal correlations (lambda).", 0.0051, ge=0)
    projection: Count = setting("Width of the three layers behind the encoder.", 512)
    views: GalaxyViews = setting("How a galaxy is changed from view to view.", GalaxyViews())


def _build(encoder: "nn.Module", settings: BarlowTwinsSettings, bands: int) -> "RedundancyReduction":
    from astromae.objectives.redundancy_reduction import RedundancyReduction

    return RedundancyReduction(encoder, settings)


OBJECTIVE = Objective(
    title="Barlow Twins",
    settings=BarlowTwinsSettings,
    views=2,
    build=_build,
    galaxy_views=lambda settings: settings.views,
    phase="finetune",
)
