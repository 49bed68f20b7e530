"""The training loop of both phases."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from astromae.contracts.history import COLUMNS
from astromae.errors import InputError, Interrupted
from astromae.progress import Ticker
from astromae.settings.training import Phase
from astromae.training.attention import choose_attention
from astromae.training.checkpoint import Checkpoint
from astromae.training.deadline import Deadline
from astromae.training.optimiser import make_optimiser
from astromae.training.parallel import require_share, share_of, synchronise_batchnorm
from astromae.training.provenance import Cost
from astromae.training.schedule import rate_of_update
from astromae.training.tensorboard import TensorBoard
from astromae.training.transfer import Reports, to_device

#: Time between two checkpoints, seconds: what a killed run loses at most.
CHECKPOINT_INTERVAL_S = 30.0

#: Losses of single batches that TensorBoard shows between two validations.
LOSSES_PER_VALIDATION = 20

#: Columns of the history that TensorBoard shows, under these names.
SCALARS = {"learning_rate": "learning_rate", "train_loss": "loss/train", "val_loss": "loss/validation"}


@dataclass(frozen=True)
class Training:
    """A model and how it is trained.

    Attributes
    ----------
    label
        Name of the training in the log.
    model
        The model; trained in place, on the training device afterwards.
    phase
        Budget, optimiser and schedule.
    objid
        Galaxies of the training subset, for the message when a batch goes wrong.
    losses
        Given the model, an epoch and its first batch, yields the positions and the loss of every batch
        from there on.
    validate
        Given the model in eval mode, returns the validation loss, and numbers by name, the same names each time, that
        become columns of the history; raises InputError if the model is useless.
    after_step
        Called after an update with its number, from 0, and the number of all updates.
    rate_factors
        Factors of the learning rates of some parameters, by name.
    """

    label: str
    model: nn.Module
    phase: Phase
    objid: np.ndarray
    losses: Callable[[nn.Module, int, int], Iterator[tuple[Tensor, Tensor]]]
    validate: Callable[[nn.Module], tuple[float, dict[str, float]]]
    after_step: Callable[[int, int], None] | None = None
    rate_factors: Mapping[str, float] | None = None

    @property
    def batches(self) -> int:
        """Return the number of updates of an epoch."""
        return self.phase.batches(len(self.objid))

    def between(self, model: nn.Module, done: int, until: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield number, positions and loss of the updates from `done` to `until`, over the ends of epochs."""
        while done < until:
            epoch, first = divmod(done, self.batches)
            for positions, loss in islice(self.losses(model, epoch, first), until - done):
                yield done, positions, loss
                done += 1


def fit(
    fabric: Fabric, training: Training, checkpoint: Checkpoint, deadline: Deadline, board: TensorBoard, cost: Cost
) -> list[dict[str, float]]:
    """Train a model and return its history.

    Parameters
    ----------
    fabric
        Device and precision.
    training
        What is trained, and how.
    checkpoint
        Where its state is kept, and taken up from.
    deadline
        When to save the state and stop.
    board
        Where it can be watched.
    cost
        What it takes, with the attempts before it.

    Returns
    -------
    list of dict
        One row a validation: `astromae.contracts.history.COLUMNS`, and what `training.validate` reports.

    Raises
    ------
    InputError
        If a loss or a weight is not finite, or the validation fails: names the epoch, the batch's galaxies
        and the last good state.
    Interrupted
        If the deadline has passed; the state is saved.
    """
    label, phase, objid, batches = training.label, training.phase, training.objid, training.batches
    updates, validated = phase.all_updates(len(objid)), phase.validated_after(len(objid))
    shown_every = max(1, updates // (LOSSES_PER_VALIDATION * len(validated)))
    bare, share = training.model, share_of(fabric)
    if share.world_size > 1:
        require_share(share, len(objid) // batches)
        synchronise_batchnorm(bare)
    model, optimiser = fabric.setup(bare, make_optimiser(bare, phase.optimiser, training.rate_factors))
    precision = fabric.strategy.precision  # with 16-mixed it scales the loss, by a factor that it learns
    state = fabric.broadcast(checkpoint.load() if fabric.is_global_zero else None)
    if state is None:
        state = {"epoch": 0, "batch": 0, "total": 0.0, "seen": 0, "rows": []}
        last_good = "No state had been saved."
    else:
        bare.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        precision.load_state_dict(state["precision"])
        cost.resume(state["cost"])
        last_good = _last_good(checkpoint, state)
    rows, total, seen = state["rows"], state["total"], state["seen"]
    done = state["epoch"] * batches + state["batch"]
    board.start(done, cost.attempt)

    ticker = Ticker(label, updates, "updates", done)
    saved = time.monotonic()
    reports = Reports(lag=1 if fabric.device.type == "cuda" else 0)

    def read(lag: int | None = None) -> tuple[bool, bool]:
        """Count what updates have reported, all but the last `lag`; return whether to stop, and whether to save."""
        nonlocal total, seen
        stop = save = False
        for update, positions, (value, stops, saves) in reports.read(lag):
            epoch, batch = divmod(update, batches)
            if not math.isfinite(value):
                raise InputError(
                    f"{label}: the loss is {value} in epoch {epoch + 1}, batch {batch + 1}; its galaxies (objid) are "
                    f"{objid[positions.numpy()].tolist()}. {last_good} "
                    "Lower the learning rate or look at these stamps."
                )
            stop, save = stop or stops > 0, save or saves > 0
            total += value * len(positions)
            seen += len(positions)
            ticker.advance(note=f"epoch {epoch + 1}, loss {value:.3g}")
            if update % shown_every == 0:
                board.add(update, {"loss/batch": value})
        return stop, save

    for until in validated[len(rows) :]:
        bare.train()
        choose_attention(bare, fabric.device)
        began, first = time.monotonic(), seen
        for update, positions, loss in training.between(model, done, until):
            epoch, batch = divmod(update, batches)
            # All processes have to know the loss of the whole batch, and whether one of them has to stop or save.
            due = torch.tensor([deadline.passed(), time.monotonic() - saved > CHECKPOINT_INTERVAL_S]).to(loss.dtype)
            loss = loss * share.weight(len(positions))
            reports.add(
                update, positions, fabric.all_reduce(torch.cat([loss.detach()[None], to_device(due, loss.device)]))
            )
            stop, save = read()
            rate = rate_of_update(phase, update, batches)
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("lr_scale", 1.0)
            fabric.backward(loss)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if training.after_step is not None:
                training.after_step(update, updates)
            done = update + 1
            if stop or save:
                read(lag=0)
                if not all(weight.isfinite().all() for weight in bare.parameters()):
                    raise InputError(
                        f"{label}: weights are not finite after epoch {epoch + 1}, batch {batch + 1}; its galaxies "
                        f"(objid) are {objid[positions.numpy()].tolist()}. {last_good} Lower the learning rate."
                    )
                state = {"epoch": epoch, "batch": batch + 1, "total": total, "seen": seen, "rows": rows}
                state["cost"] = cost.spent()
                if fabric.is_global_zero:
                    of_training = {"model": bare, "optimiser": optimiser, "precision": precision}
                    checkpoint.save(state | {name: part.state_dict() for name, part in of_training.items()})
                fabric.barrier()
                saved, last_good = time.monotonic(), _last_good(checkpoint, state)
            if stop:
                board.close()
                raise Interrupted(
                    f"{label}: stopped in epoch {epoch + 1} after batch {batch + 1}; the state is saved in "
                    f"{checkpoint.path}, and the same command continues from there"
                )
        read(lag=0)
        here = seen - first
        speed = here / (time.monotonic() - began)
        bare.eval()
        choose_attention(bare, fabric.device)
        try:
            with torch.no_grad():
                validation, reported = training.validate(model)
            if not math.isfinite(validation):
                raise InputError(f"the validation loss is {validation}; lower the learning rate")
        except InputError as error:
            raise InputError(f"{label}, after update {done}: {error}. {last_good}") from None
        rate = rate_of_update(phase, done - 1, batches)
        row = dict(zip(COLUMNS, (done, done / batches, rate, total / seen, validation), strict=True)) | reported
        rows.append(row)
        values = {tag: row[column] for column, tag in SCALARS.items()} | {"seconds": cost.wall_s()}
        values |= {f"validation/{name}": value for name, value in reported.items()}
        if here:
            values["stamps_per_s"] = speed
        board.add(done, values)
        total, seen = 0.0, 0
    ticker.close()
    board.close()
    return rows


def _last_good(checkpoint: Checkpoint, state: dict[str, Any]) -> str:
    """Return a sentence that names a saved state."""
    return f"The last good state, of epoch {state['epoch'] + 1} after batch {state['batch']}, is in {checkpoint.path}."
