"""What the benchmark of training compares with: plain eager torch, in a process of its own.

Published layer order, default memory layout, float32, and the memory management that torch has by itself.
"""

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from astromae.models.inception import Inception
from astromae.models.redshift import RedshiftModel


class EagerInception(Inception):
    """The Inception branch as published: convolution before pooling, torch's default memory layout."""

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, 5, 32, 32) to features (n, 192)."""
        x = F.avg_pool2d(self.stem(images), 2)
        x = F.avg_pool2d(self.blocks[1](self.blocks[0](x)), 2)
        x = F.avg_pool2d(self.blocks[3](self.blocks[2](x)), 2)
        return self.blocks[4](x).flatten(1)


def _serve(
    connection: Connection, branches: dict[str, Any], backbone: dict[str, Any], device: str, threads: int
) -> None:
    """Do what the other process asks for, until it asks for nothing, and answer with the seconds that it took."""
    torch.set_num_threads(threads)
    images, magnitudes, redshifts = (tensor.to(device) for tensor in connection.recv())
    model = RedshiftModel(branches, backbone, images.shape[-1])
    model.inception = EagerInception()
    model = model.to(device)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

    def finetune() -> None:
        F.mse_loss(model.train()(images, magnitudes), redshifts).backward()
        optimiser.step()
        optimiser.zero_grad()

    @torch.no_grad()
    def infer() -> None:
        model.eval()(images, magnitudes)

    while (wanted := connection.recv()) is not None:
        started = time.perf_counter()
        {"finetune": finetune, "infer": infer}[wanted]()
        if device != "cpu":
            torch.cuda.synchronize()
        connection.send(time.perf_counter() - started)


class Eager:
    """A redshift model in plain eager torch.

    Parameters
    ----------
    branches, backbone
        The model's entry of the configuration, and its backbone.
    batch
        Images (n, 5, side, side), magnitudes (n, 5) and redshifts (n,).
    device
        Where it runs.
    """

    def __init__(
        self, branches: dict[str, Any], backbone: dict[str, Any], batch: tuple[Tensor, Tensor, Tensor], device: str
    ):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        arguments = (other, branches, backbone, device, torch.get_num_threads())
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        self.connection.send(batch)

    def seconds(self, what: str) -> float:
        """Return how long one batch takes: to `finetune` or to `infer`."""
        self.connection.send(what)
        return self.connection.recv()

    def close(self) -> None:
        """End the process."""
        self.connection.send(None)
        self.process.join()
