"""What the processes of a training compute together; with one process, what it computes alone."""

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_reduce


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def total(x: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, through which gradients go back to each of them."""
    return all_reduce(x) if world_size() > 1 else x


def part_of(n: int, rank: int, size: int) -> slice:
    """Return which of `n` items one of `size` processes has."""
    return slice(n * rank // size, n * (rank + 1) // size)


@torch.no_grad()
def gather(rows: Tensor, n: int) -> Tensor:
    """Return the `n` rows (n, ...) of which each process has its part, in the order of their ranks; no gradient.

    Nobody asks the others how many they have, for which the host would have to wait.
    """
    size = world_size()
    if size == 1:
        return rows
    parts = [part_of(n, rank, size) for rank in range(size)]
    lengths = [part.stop - part.start for part in parts]
    padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(size)]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
