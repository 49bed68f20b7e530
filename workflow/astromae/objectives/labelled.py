"""An encoder that learns a task from labels, with a small head that is thrown away."""

import torch
from torch import Tensor, nn

from astromae.objectives.learner import Learner
from astromae.objectives.supervised import SupervisedSettings
from astromae.tasks import Task


class Labelled(Learner):
    """The reference for encoders that learnt without labels.

    Parameters
    ----------
    encoder
        The encoder.
    settings
        Width of the head.
    task
        The experiment's task.
    """

    def __init__(self, encoder: nn.Module, settings: SupervisedSettings, task: Task):
        super().__init__(encoder)
        self.loss_of = task.loss
        self.start = task.bias
        # The norm is that of models (`astromae.tasks.model`).
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.width, eps=1e-6), nn.Linear(encoder.width, settings.hidden), nn.ReLU()
        )
        self.output = nn.Linear(settings.hidden, task.outputs)

    @torch.no_grad()
    def prepare(self, stamps: int, targets: Tensor | None = None) -> None:
        """Let the outputs start where the task wants them."""
        bias = torch.from_numpy(self.start(targets.double().cpu().numpy()))
        self.output.bias.copy_(bias)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the task's mean loss for images (n, bands, side, side) and targets (n, targets)."""
        hidden = self.head(self.encoder.features(images)).to(self.output.weight.dtype)
        # Eight bits of mantissa would round a redshift to steps near 0.0005, so the last layer has 24.
        with torch.autocast(hidden.device.type, enabled=False):
            return self.loss_of(self.output(hidden), targets)
