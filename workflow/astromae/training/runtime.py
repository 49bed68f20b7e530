"""Where a training step runs: device, precision and threads."""

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import nn

from astromae.errors import InputError
from astromae.progress import log
from astromae.settings.training import Runtime
from astromae.training.memory import keep_freed_memory
from astromae.training.parallel import processes
from astromae.training.precision import choose_precision, require_gpu


def compile_if_wanted(model: nn.Module, runtime: Runtime) -> None:
    """Compile a network in place, where the configuration's `compile` says so or leaves it to a GPU."""
    if runtime.compile is True or (runtime.compile == "auto" and runtime.gpus):
        model.compile()


def make_fabric(runtime: Runtime) -> Fabric:
    """Return Lightning Fabric for a step.

    Parameters
    ----------
    runtime
        Precision, and the GPUs of a node.

    Raises
    ------
    InputError
        If there are several GPUs and not as many processes, or none is there that torch can use.
    """
    gpus = runtime.gpus
    here, nodes = processes()
    if gpus and here != gpus:
        raise InputError(
            f"{gpus} GPUs want {gpus} processes, here is {here}: start the step as its rule does, with "
            f"python -m astromae.training.launch --standalone --nproc-per-node {gpus} --no-python python -m astromae"
        )
    if not gpus:
        keep_freed_memory()
    else:
        require_gpu("training.gpus", gpus)
    precision = choose_precision(runtime.precision, gpus)
    fabric = Fabric(
        accelerator="cuda" if gpus else "cpu",
        devices=here,
        num_nodes=nodes,
        strategy=DDPStrategy(broadcast_buffers=False) if here * nodes > 1 else "auto",
        precision=precision,
        # Of one process: a Slurm job around it is none of Fabric's business.
        plugins=[LightningEnvironment()] if here * nodes == 1 else None,
        loggers=[],
        callbacks=[],
    )
    fabric.launch()
    where = f"{here * nodes} processes, the first on {fabric.device}" if here * nodes > 1 else str(fabric.device)
    log(f"training on {where}, precision {precision}, {torch.get_num_threads()} CPU thread(s)")
    return fabric
