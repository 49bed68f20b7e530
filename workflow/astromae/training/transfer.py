"""Numbers on their way between host and device, on which neither waits for the other."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device; a GPU gets it while the host goes on."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


@lru_cache(maxsize=256)
def constants(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers as a tensor (n,) of a type on a device; the same tensor each time, which nobody may change."""
    return torch.tensor(values, dtype=dtype, device=device)


@dataclass(frozen=True)
class Reported:
    """What an update reports.

    Attributes
    ----------
    update
        Its number.
    positions
        Positions of its galaxies, on the host.
    values
        The numbers, on the host once `arrived` is over.
    arrived
        Event of the device that copies them; None where they have been on the host from the first.
    """

    update: int
    positions: Tensor
    values: Tensor
    arrived: torch.cuda.Event | None


class Reports:
    """What updates report, in their order.

    Parameters
    ----------
    lag
        How many updates may be under way when one is read. With one, the host prepares an update while a GPU computes
        the one before it.
    """

    def __init__(self, lag: int):
        self.lag, self.waiting = lag, deque[Reported]()

    def add(self, update: int, positions: Tensor, values: Tensor) -> None:
        """Add what an update reports, numbers (n,) on any device."""
        arrived = None
        if values.device.type == "cuda":
            values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self.waiting.append(Reported(update, positions, values, arrived))

    def read(self, lag: int | None = None) -> Iterator[tuple[int, Tensor, list[float]]]:
        """Yield number, positions and numbers of all updates but the last `lag`; None stands for the class's."""
        while len(self.waiting) > (self.lag if lag is None else lag):
            reported = self.waiting.popleft()
            if reported.arrived is not None:
                reported.arrived.synchronize()
            yield reported.update, reported.positions, reported.values.tolist()
