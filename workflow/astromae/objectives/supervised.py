"""Labels as an objective: what an encoder can hold that was taught the experiment's task itself."""

from typing import TYPE_CHECKING

from astromae.objectives import Objective
from astromae.settings.base import Count, setting
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import nn

    from astromae.objectives.labelled import Labelled
    from astromae.tasks import Task


class SupervisedSettings(Typed):
    """Settings of learning from labels."""

    hidden: Count = setting("Width of the hidden layer behind the encoder.", 256)


def _build(encoder: "nn.Module", settings: SupervisedSettings, bands: int, task: "Task") -> "Labelled":
    from astromae.objectives.labelled import Labelled

    return Labelled(encoder, settings, task)


OBJECTIVE = Objective(title="labels", settings=SupervisedSettings, views=1, build=_build, labels=True, phase="finetune")
