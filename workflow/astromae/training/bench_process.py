"""Work of a benchmark that runs in a process of its own, with the memory management that torch has by itself."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

import torch

#: Does some work and returns how long it took, seconds.
Timed = Callable[[], float]


def wait_for(device: torch.device) -> None:
    """Return when a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(call: Callable[[], object], device: torch.device) -> Timed:
    """Return a call that measures itself, and waits for its device."""

    def measure() -> float:
        started = time.perf_counter()
        call()
        wait_for(device)
        return time.perf_counter() - started

    return measure


def _serve(connection: Connection, threads: int, works: Callable[..., dict[str, Timed]], *arguments: Any) -> None:
    """Do the works that the other process asks for by name, until it is gone."""
    torch.set_num_threads(threads)
    by_name = works(*arguments)
    try:
        while True:
            connection.send(by_name[connection.recv()]())
    except EOFError:
        return


class Elsewhere:
    """Works in a process of their own, which ends with the context.

    Parameters
    ----------
    works
        A function of a module. Called there with `arguments`, it returns the works by name.
    *arguments
        Whatever can be sent there.
    """

    def __init__(self, works: Callable[..., dict[str, Timed]], *arguments: Any):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        # Not a daemon, whose loaders could have no processes.
        self.process = context.Process(target=_serve, args=(other, torch.get_num_threads(), works, *arguments))
        self.process.start()
        other.close()

    def work(self, name: str) -> Timed:
        """Return one of the works, done there; it raises RuntimeError if the process has ended, having said why."""

        def measure() -> float:
            try:
                self.connection.send(name)
                return self.connection.recv()
            except (EOFError, ConnectionError) as error:
                raise RuntimeError(f"{name}: the process of this work has ended") from error

        return measure

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it waits for."""
        self.connection.close()
        self.process.join()
