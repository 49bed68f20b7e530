"""In which precision a network is computed, and whether there is a GPU for it."""

import torch

from astromae.errors import InputError


def require_gpu(key: str, gpus: int) -> None:
    """Stop with InputError where torch can use no GPU, and the setting `key` wants some."""
    if gpus and not torch.cuda.is_available():
        raise InputError(f"{key} is {gpus}, and torch sees no GPU here; give 0 for the processor")


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
