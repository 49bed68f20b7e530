"""Where a training step runs: device, precision and threads."""

from typing import Any

import torch
from lightning_fabric import Fabric

from astromae.progress import log
from astromae.training.memory import keep_freed_memory


def choose_precision(precision: str, gpus: int) -> str:
    """Resolve ``auto`` to what is fast on this machine.

    Parameters
    ----------
    precision
        A precision of Lightning Fabric, or ``auto``: bfloat16 where the processor multiplies it in
        hardware (any GPU since 2020, CPUs with AVX512-BF16 or AMX), else float32.
    gpus
        Number of GPUs of the step.
    """
    if precision != "auto":
        return precision
    if gpus:
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if fast else "32-true"


def make_fabric(runtime: dict[str, Any]) -> Fabric:
    """Return Lightning Fabric for a step.

    Parameters
    ----------
    runtime
        Mapping with `precision` and `gpus` from the configuration's section `training`.
    """
    gpus = runtime["gpus"]
    if not gpus:
        keep_freed_memory()
    precision = choose_precision(runtime["precision"], gpus)
    fabric = Fabric(
        accelerator="cuda" if gpus else "cpu",
        devices=gpus or 1,
        precision=precision,
        loggers=[],
        callbacks=[],
    )
    log(f"training on {fabric.device}, precision {precision}, {torch.get_num_threads()} CPU thread(s)")
    return fabric
