"""An objective of one's own: an encoder finds in one view of a stamp what a slower one finds in another."""

from astromae.objectives import OBJECTIVES, Objective
from astromae.typed import Typed
from pydantic import Field


class TwoViewsSettings(Typed):
    """Settings of the objective."""

    momentum: float = Field(gt=0, lt=1, description="Part of the slower encoder that a step leaves as it is.")


def build(encoder, settings, bands):
    import copy

    import torch
    from astromae.objectives.learner import Learner
    from torch import nn
    from torch.nn.functional import layer_norm, mse_loss

    class TwoViews(Learner):
        def __init__(self):
            super().__init__(encoder)
            self.slower = copy.deepcopy(encoder).requires_grad_(False)
            self.predictor = nn.Linear(encoder.width, encoder.width)

        def forward(self, one, other):
            with torch.no_grad():
                target = layer_norm(self.slower.features(other), (encoder.width,))
            return mse_loss(self.predictor(self.encoder.features(one)), target)

        def after_step(self, step, steps):
            with torch.no_grad():
                for slow, fast in zip(self.slower.parameters(), self.encoder.parameters(), strict=True):
                    slow.lerp_(fast, 1 - settings.momentum)

    return TwoViews()


OBJECTIVES.register("two-views", Objective("two views", TwoViewsSettings, views=2, build=build))
