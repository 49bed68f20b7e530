"""The training loop of both phases."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from astromae.errors import InputError, Interrupted
from astromae.models.vit import choose_attention
from astromae.progress import Ticker
from astromae.training.checkpoint import Checkpoint
from astromae.training.curves import Curves
from astromae.training.optimiser import adamw
from astromae.training.parallel import require_share, share_of, synchronise_batchnorm
from astromae.training.provenance import Cost
from astromae.training.schedule import learning_rate

#: Time between two checkpoints, seconds: what a killed run loses at most.
CHECKPOINT_INTERVAL_S = 30.0

#: Losses of single batches that the curves keep of an epoch.
LOSSES_PER_EPOCH = 20

#: Longest time before its limit at which a step stops to save its state, seconds.
MARGIN_S = 120.0


class Deadline:
    """Knows when a step must stop: after SIGTERM, or shortly before its time limit.

    SIGTERM is caught inside its ``with`` block, which is around `fit`. Before and after that there is no state to
    save, and SIGTERM does what it did before.

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

    def __enter__(self) -> "Deadline":
        """Catch SIGTERM from now on."""
        self.former = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handler back."""
        # None stands for a handler that Python did not install and cannot put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if self.former is None else self.former)

    def _terminate(self, number: int, frame: object) -> None:
        self.terminated = True

    def passed(self) -> bool:
        """Return whether to stop now."""
        return self.terminated or time.monotonic() > self.end


@dataclass
class Attempt:
    """An attempt at a training: what it continues, where it leaves its traces, and when it stops.

    Attributes
    ----------
    label
        Name of the training in the log.
    checkpoint
        Where its state is kept, and taken up from.
    deadline
        When to save the state and stop.
    curves
        Where it can be watched.
    cost
        What it takes, with the attempts before it.
    """

    label: str
    checkpoint: Checkpoint
    deadline: Deadline
    curves: Curves
    cost: Cost


def fit(
    fabric: Fabric,
    model: nn.Module,
    losses: Callable[[nn.Module, int, int], Iterator[tuple[Tensor, Tensor]]],
    validate: Callable[[nn.Module], float],
    settings: dict[str, Any],
    attempt: Attempt,
    objid: np.ndarray,
    batches: int,
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
        Given the model in eval mode, returns the validation loss; raises InputError if the model is useless.
    settings
        `epochs`, `optimiser` and `schedule` of the phase.
    attempt
        Its name, its state, its deadline and its traces.
    objid
        Galaxies of the training subset, for the message when a batch goes wrong.
    batches
        Batches of an epoch.

    Returns
    -------
    list of list
        Epoch, learning rate, training loss, validation loss, one row an epoch.

    Raises
    ------
    InputError
        If a loss or a weight is not finite, or the validation fails: names the epoch, the batch's galaxies
        and the last good state.
    Interrupted
        If the deadline has passed; the state is saved.
    """
    label, checkpoint, curves, cost = attempt.label, attempt.checkpoint, attempt.curves, attempt.cost
    share = share_of(fabric)
    if share.world_size > 1:
        require_share(share, len(objid) // batches)
        synchronise_batchnorm(model)
    chosen = settings["optimiser"]
    optimiser = adamw(model, chosen)
    bare = model
    model, optimiser = fabric.setup(model, optimiser)
    precision = fabric.strategy.precision  # with 16-mixed it scales the loss, by a factor that it learns
    state = fabric.broadcast(checkpoint.load() if fabric.is_global_zero else None)
    if state is None:
        state = {"epoch": 0, "batch": 0, "total": 0.0, "rows": []}
        last_good = "No state had been saved."
    else:
        bare.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        precision.load_state_dict(state["precision"])
        cost.resume(state["cost"])
        last_good = _last_good(checkpoint, state)
    rows, first, total = state["rows"], state["batch"], state["total"]
    done = state["epoch"] * batches + first
    curves.start(done, cost.attempt)

    ticker = Ticker(label, settings["epochs"] * batches, "batches", done)
    saved = time.monotonic()
    for epoch in range(state["epoch"], settings["epochs"]):
        rate = learning_rate(chosen["learning_rate"], settings["schedule"], epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        bare.train()
        choose_attention(bare, fabric.device)
        began, seen = time.monotonic(), 0
        for batch, (positions, loss) in enumerate(losses(model, epoch, first), start=first + 1):
            # All processes have to know the loss of the whole batch, and whether one of them has to stop or save.
            due = attempt.deadline.passed(), time.monotonic() - saved > CHECKPOINT_INTERVAL_S
            loss = loss * share.weight(len(positions))
            common = fabric.all_reduce(torch.stack([loss.detach(), *loss.new_tensor(due)]))
            value, stop, save = common.tolist()
            if not math.isfinite(value):
                raise InputError(
                    f"{label}: the loss is {value} in epoch {epoch + 1}, batch {batch}; its galaxies (objid) are "
                    f"{objid[positions.numpy()].tolist()}. {last_good} "
                    "Lower the learning rate or look at these stamps."
                )
            fabric.backward(loss)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            total += value * len(positions)
            seen += len(positions)
            ticker.advance(note=f"epoch {epoch + 1}/{settings['epochs']}, loss {value:.3g}")
            if (batch - 1) % max(1, batches // LOSSES_PER_EPOCH) == 0:
                curves.add(epoch * batches + batch - 1, {"loss/batch": value})
            if stop or save:
                if not all(weight.isfinite().all() for weight in bare.parameters()):
                    raise InputError(
                        f"{label}: weights are not finite after epoch {epoch + 1}, batch {batch}; its galaxies "
                        f"(objid) are {objid[positions.numpy()].tolist()}. {last_good} Lower the learning rate."
                    )
                state = {"epoch": epoch, "batch": batch, "total": total, "rows": rows, "cost": cost.spent()}
                if fabric.is_global_zero:
                    of_training = {"model": bare, "optimiser": optimiser, "precision": precision}
                    checkpoint.save(state | {name: part.state_dict() for name, part in of_training.items()})
                fabric.barrier()
                saved, last_good = time.monotonic(), _last_good(checkpoint, state)
            if stop:
                curves.close()
                raise Interrupted(
                    f"{label}: stopped in epoch {epoch + 1} after batch {batch}; the state is saved in "
                    f"{checkpoint.path}, and the same command continues from there"
                )
        speed = seen / (time.monotonic() - began)
        bare.eval()
        choose_attention(bare, fabric.device)
        try:
            with torch.no_grad():
                validation = validate(model)
            if not math.isfinite(validation):
                raise InputError(f"the validation loss is {validation}; lower the learning rate")
        except InputError as error:
            raise InputError(f"{label}, after epoch {epoch + 1}: {error}. {last_good}") from None
        row = [epoch, rate, total / len(objid), validation]
        rows.append(row)
        values = dict(zip(("learning_rate", "loss/train", "loss/validation"), row[1:], strict=True))
        values["seconds"] = cost.wall_s()
        if seen:
            values["stamps_per_s"] = speed
        curves.add((epoch + 1) * batches, values)
        first, total = 0, 0.0
    ticker.close()
    curves.close()
    return rows


def _last_good(checkpoint: Checkpoint, state: dict[str, Any]) -> str:
    """Return a sentence that names a saved state."""
    return f"The last good state, of epoch {state['epoch'] + 1} after batch {state['batch']}, is in {checkpoint.path}."
