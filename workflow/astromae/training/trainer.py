"""The training loop of both phases."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from astromae.errors import InputError
from astromae.models.vit import choose_attention
from astromae.progress import Ticker
from astromae.training.checkpoint import Checkpoint
from astromae.training.schedule import learning_rate

#: Shortest time between two checkpoints, seconds: what a killed run loses at most, besides one epoch.
CHECKPOINT_INTERVAL_S = 30.0


def fit(
    fabric: Fabric,
    model: nn.Module,
    losses: Callable[[nn.Module, int], Iterator[tuple[Tensor, Tensor]]],
    validate: Callable[[nn.Module], float],
    settings: dict[str, Any],
    checkpoint: Checkpoint,
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
        Given the model and an epoch, yields the positions and the loss of every batch.
    validate
        Given the model in eval mode, returns the validation loss.
    settings
        `epochs`, `optimiser` and `schedule` of the phase.
    checkpoint
        Where the state is kept, and taken up from.
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
        If a loss is not finite: names the epoch, the batch's galaxies and the last good checkpoint.
    """
    optimiser_settings = settings["optimiser"]
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        trainable,
        lr=optimiser_settings["learning_rate"],
        betas=tuple(optimiser_settings["betas"]),
        weight_decay=optimiser_settings["weight_decay"],
        fused=True,
    )
    bare = model
    model, optimiser = fabric.setup(model, optimiser)
    rows: list[list[float]] = []
    if state := checkpoint.load():
        bare.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        rows = state["rows"]

    ticker = Ticker(label, settings["epochs"] * batches, "batches")
    ticker.count = len(rows) * batches
    saved = time.monotonic()
    for epoch in range(len(rows), settings["epochs"]):
        rate = learning_rate(optimiser_settings["learning_rate"], settings["schedule"], epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        bare.train()
        choose_attention(bare, fabric.device)
        total = torch.zeros((), device=fabric.device, dtype=torch.float64)
        for positions, loss in losses(model, epoch):
            fabric.backward(loss)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            total += loss.detach() * len(positions)
            if not math.isfinite(value := loss.item()):
                raise InputError(
                    f"{label}: the loss is {value} in epoch {epoch}; the batch's galaxies (objid) are "
                    f"{objid[positions.numpy()].tolist()}. The last good state is that after epoch "
                    f"{len(rows) - 1}; lower the learning rate or look at these stamps."
                )
            ticker.advance(note=f"epoch {epoch + 1}/{settings['epochs']}, loss {value:.3g}")
        bare.eval()
        choose_attention(bare, fabric.device)
        with torch.no_grad():
            rows.append([epoch, rate, total.item() / len(objid), validate(model)])
        if time.monotonic() - saved > CHECKPOINT_INTERVAL_S:
            saved = time.monotonic()
            checkpoint.save(
                {
                    "epoch": epoch,
                    "model": bare.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "rows": rows,
                }
            )
    ticker.close()
    return rows
