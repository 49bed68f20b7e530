"""What every objective builds around an encoder."""

import torch
from torch import Tensor, nn


class Learner(nn.Module):
    """An encoder, what an objective adds to it, and the loss of both.

    Subclasses have the method `forward`. All that a killed training needs to go on, momentum encoders and queues too,
    stands in parameters and buffers.

    Parameters
    ----------
    encoder
        The encoder, with `width` and `features` (`astromae.encoders.Network`).
    """

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw the random numbers of a whole batch, one row for each of its `n` stamps.

        In training with several processes each is given its own rows.
        """
        return ()

    def prepare(self, stamps: int, targets: Tensor | None = None) -> None:
        """Set what depends on the galaxies to learn from, before the first step.

        Parameters
        ----------
        stamps
            Their number.
        targets
            Their targets (n, targets), where the objective reads labels.

        Raises
        ------
        InputError
            If nothing can be learnt from them.
        """

    def forward(self, *views_and_draws: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Parameters
        ----------
        *views_and_draws
            The views, each (n, bands, side, side), as many as `Objective.views`; then what `draw` returned; then the
            targets (n, targets), where the objective reads labels.
        """
        raise NotImplementedError

    def after_step(self, step: int, steps: int) -> None:
        """Do what follows the optimiser's step number `step`, from 0, of `steps`: move a momentum encoder, for one."""

    def report(self, *views_and_draws: Tensor) -> dict[str, float]:
        """Return numbers by name that tell how well the objective does on a validation batch.

        They become columns of the history and scalars of TensorBoard.

        Parameters
        ----------
        *views_and_draws
            As for `forward`.
        """
        return {}

    def reconstruct(self, images: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide parts of images (n, bands, side, side) and fill them in.

        Returns
        -------
        tuple of Tensor
            Images with the hidden parts filled in, and which of each image's patches (n, patches) were hidden.
        """
        raise NotImplementedError
