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


@torch.no_grad()
def gather(rows: Tensor) -> Tensor:
    """Return the rows (n, ...) of all processes, of any number each, in the order of their ranks; without gradient."""
    size = world_size()
    if size == 1:
        return rows
    counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(size)]
    distributed.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    lengths = torch.stack(counts).tolist()
    padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(size)]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
