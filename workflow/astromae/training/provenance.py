"""Where a training's results come from: recipe, data, code, machine, and what it took."""

import os
import platform
import resource
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astromae.code_state import code_state

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

#: Packages that decide a network's numbers.
TORCH_PACKAGES = ("torch", "timm", "lightning-fabric", "numpy")


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def device_name(device: "torch.device") -> str:
    """Return the name of a GPU, or of the processor for any other device."""
    if device.type != "cuda":
        return processor()
    from torch.cuda import get_device_name

    return get_device_name(device)


def own_threads() -> int:
    """Return the threads of a step without a network: those that its job grants, or all."""
    # OpenMP allows a list, a number for each level of nesting.
    return int(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or os.cpu_count() or 1)


class Cost:
    """What a step takes, over all its attempts.

    An attempt that was killed counts up to its last saved state.

    Parameters
    ----------
    fabric
        Its device and its processes; None for a step without a network.
    """

    def __init__(self, fabric: "Fabric | None" = None):
        self.fabric = fabric
        self.wall, self.cpu = time.monotonic(), time.process_time()
        self.before: dict[str, float] = {"attempts": 0, "wall_s": 0.0, "cpu_s": 0.0, "peak_memory_mb": 0}

    def resume(self, before: dict[str, float]) -> None:
        """Add what earlier attempts took, as `spent` gave it."""
        self.before = before

    @property
    def attempt(self) -> int:
        """Number of this attempt, counted from 1; one that was killed before it saved a state is not counted."""
        return int(self.before["attempts"]) + 1

    def wall_s(self) -> float:
        """Return the wall time so far, seconds."""
        return self.before["wall_s"] + time.monotonic() - self.wall

    def spent(self) -> dict[str, float]:
        """Return attempts, wall time and processor time of all processes (s) and peak memory (MB) so far.

        Every process of the step has to call this at the same time.
        """
        cpu_s = time.process_time() - self.cpu
        if self.fabric is not None and self.fabric.world_size > 1:
            import torch

            here = torch.tensor(cpu_s, device=self.fabric.device)
            cpu_s = self.fabric.all_reduce(here, reduce_op="sum").item()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return {
            "attempts": self.attempt,
            "wall_s": self.wall_s(),
            "cpu_s": self.before["cpu_s"] + cpu_s,
            "peak_memory_mb": max(self.before["peak_memory_mb"], peak),
        }

    def record(self) -> dict[str, Any]:
        """Return the device, and what all attempts took on it, in hours of processors and of GPUs too."""
        spent, fabric = self.spent(), self.fabric
        device, devices, threads, on_gpu = processor(), 1, own_threads(), False
        if fabric is not None:
            from torch import get_num_threads

            device, devices, threads = device_name(fabric.device), fabric.world_size, get_num_threads()
            on_gpu = fabric.device.type == "cuda"
        return {
            "device": device,
            "devices": devices,
            "threads": threads,
            **spent,
            "wall_s": round(spent["wall_s"], 2),
            "cpu_s": round(spent["cpu_s"], 2),
            "cpu_hours": round(spent["cpu_s"] / 3600, 5),
            "gpu_hours": round(devices * spent["wall_s"] / 3600, 5) if on_gpu else 0.0,
        }


def provenance(
    recipe: Mapping[str, Any],
    seed: int,
    fingerprint: dict[str, str],
    stamps: int,
    cost: Cost,
    packages: Sequence[str] = TORCH_PACKAGES,
) -> dict[str, Any]:
    """Return where a step's results come from. It holds times: no two runs return the same.

    Every process of the step has to call this at the same time.

    Parameters
    ----------
    recipe, seed
        Recipe of the step.
    fingerprint
        Hashes of what it read, from `astromae.training.fingerprint.fingerprint`.
    stamps
        Number of stamps, or of galaxies without them, that it saw, each as often as it was seen.
    cost
        What it took.
    packages
        Packages whose versions decide its numbers.
    """
    return {
        "recipe": recipe,
        "seed": seed,
        "data_sha256": fingerprint["data"],
        "code_sha256": fingerprint["code"],
        "code": code_state(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "stamps": stamps,
        **cost.record(),
    }
