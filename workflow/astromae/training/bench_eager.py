"""What the benchmark of training compares with: plain eager torch, in a process of its own.

Published layer order, default memory layout, float32, and the memory management that torch has by itself.
"""

import multiprocessing
import time
from multiprocessing.connection import Connection

import torch
import torch.nn.functional as F
from torch import Tensor

from astromae.encoders.inception_network import Inception
from astromae.tasks.model import build_model
from astromae.training.recipes import ModelRecipe


class EagerInception(Inception):
    """The Inception branch as published: convolution before pooling, torch's default memory layout."""

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, bands, side, side) to features (n, width)."""
        x = F.avg_pool2d(self.stem(images), 2)
        x = F.avg_pool2d(self.blocks[1](self.blocks[0](x)), 2)
        x = F.avg_pool2d(self.blocks[3](self.blocks[2](x)), 2)
        return self.blocks[4](x).flatten(1)


def _serve(connection: Connection, recipe: dict[str, object], device: str, threads: int) -> None:
    """Do what the other process asks for, until it asks for nothing, and answer with the seconds that it took."""
    torch.set_num_threads(threads)
    images, magnitudes, targets = (tensor.to(device) for tensor in connection.recv())
    bands, side = images.shape[1], images.shape[-1]
    model = build_model(ModelRecipe.model_validate(recipe), bands)
    model.inception = EagerInception(bands, side)
    model = model.to(device)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

    def finetune() -> None:
        F.mse_loss(model.train()(images, magnitudes), targets).backward()
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
    """A model in plain eager torch.

    Parameters
    ----------
    recipe
        What is built.
    batch
        Images (n, bands, side, side), magnitudes (n, bands) and targets (n, 1).
    device
        Where it runs.
    """

    def __init__(self, recipe: ModelRecipe, batch: tuple[Tensor, Tensor, Tensor], device: str):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        arguments = (other, recipe.as_json(), device, torch.get_num_threads())
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
