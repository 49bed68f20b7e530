"""The training loop of both phases."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from astromae.errors import InputError, Interrupted
from astromae.models.vit import choose_attention
from astromae.progress import Ticker
from astromae.training.checkpoint import Checkpoint
from astromae.training.schedule import learning_rate

#: Time between two checkpoints, seconds: what a killed run loses at most.
CHECKPOINT_INTERVAL_S = 30.0

#: Longest time before its limit at which a step stops to save its state, seconds.
MARGIN_S = 120.0


class Deadline:
    """Knows when a step must stop: after SIGTERM, or shortly before its time limit.

    Parameters
    ----------
    minutes
        Time limit of the step from now, or None. A twentieth of it, at most `MARGIN_S`, is kept for
        saving the state.
    """

    def __init__(self, minutes: float | None):
        self.end = math.inf
        if minutes is not None:
            self.end = time.monotonic() + 60 * minutes - min(3 * minutes, MARGIN_S)
        self.terminated = False
        signal.signal(signal.SIGTERM, self._terminate)

    def _terminate(self, number: int, frame: object) -> None:
        self.terminated = True

    def passed(self) -> bool:
        """Return whether to stop now."""
        return self.terminated or time.monotonic() > self.end


def fit(
    fabric: Fabric,
    model: nn.Module,
    losses: Callable[[nn.Module, int, int], Iterator[tuple[Tensor, Tensor]]],
    validate: Callable[[nn.Module], float],
    settings: dict[str, Any],
    checkpoint: Checkpoint,
    deadline: Deadline,
    objid: np.ndarray,
    batches: int,
    label: str,
) -> list[list[float]]:
    """Train a model and return its history.

    Parameters
    ----------
    fabric
        Device and precision.
    model
        The model; trained in place, on the fabric's device afterwards.
    losses
        Given the model, an epoch and its first batch, yields the positions and the loss of every batch
        from there on.
    validate
        Given the model in eval mode, returns the validation loss.
    settings
        `epochs`, `optimiser` and `schedule` of the phase.
    checkpoint
        Where the state is kept, and taken up from.
    deadline
        When to save the state and stop.
    objid
        Galaxies of the training subset, for the message when a batch goes wrong.
    batches
        Batches of an epoch.
    label
        Name of the step in the log.

    Returns
    -------
    list of list
        Epoch, learning rate, training loss, validation loss, one row an epoch.

    Raises
    ------
    InputError
        If a loss is not finite: names the epoch, the batch's galaxies and the last good state.
    Interrupted
        If the deadline has passed; the state is saved.
    """
    chosen = settings["optimiser"]
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=chosen["learning_rate"],
        betas=tuple(chosen["betas"]),
        weight_decay=chosen["weight_decay"],
        fused=True,
    )
    bare = model
    model, optimiser = fabric.setup(model, optimiser)
    state = checkpoint.load() or {"epoch": 0, "batch": 0, "total": 0.0, "rows": []}
    if "model" in state:
        bare.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    rows, first, total = state["rows"], state["batch"], state["total"]
    good = f"epoch {state['epoch'] + 1}, batch {first}"

    ticker = Ticker(label, settings["epochs"] * batches, "batches")
    ticker.count = state["epoch"] * batches + first
    saved = time.monotonic()
    for epoch in range(state["epoch"], settings["epochs"]):
        rate = learning_rate(chosen["learning_rate"], settings["schedule"], epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        bare.train()
        choose_attention(bare, fabric.device)
        for batch, (positions, loss) in enumerate(losses(model, epoch, first), start=first + 1):
            value = loss.item()
            if not math.isfinite(value):
                raise InputError(
                    f"{label}: the loss is {value} in epoch {epoch + 1}, batch {batch}; its galaxies (objid) are "
                    f"{objid[positions.numpy()].tolist()}. The last saved state is that of {good}; "
                    "lower the learning rate or look at these stamps."
                )
            fabric.backward(loss)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            total += value * len(positions)
            ticker.advance(note=f"epoch {epoch + 1}/{settings['epochs']}, loss {value:.3g}")
            stop = deadline.passed()
            if stop or time.monotonic() - saved > CHECKPOINT_INTERVAL_S:
                weights, moments = bare.state_dict(), optimiser.state_dict()
                checkpoint.save(
                    {"epoch": epoch, "batch": batch, "total": total, "rows": rows}
                    | {"model": weights, "optimiser": moments}
                )
                saved, good = time.monotonic(), f"epoch {epoch + 1}, batch {batch}"
            if stop:
                raise Interrupted(
                    f"{label}: stopped in epoch {epoch + 1} after batch {batch}; the state is saved in "
                    f"{checkpoint.path}, and the same command continues from there"
                )
        bare.eval()
        choose_attention(bare, fabric.device)
        with torch.no_grad():
            rows.append([epoch, rate, total / len(objid), validate(model)])
        first, total = 0, 0.0
    ticker.close()
    return rows
