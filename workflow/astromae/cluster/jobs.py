"""What jobs ask of Snakemake and Slurm: resources that grow with the attempts, GPUs, nodes, and how processes start."""

from collections.abc import Mapping
from typing import Any

from astromae.settings.training import Training

#: Time limit of the longest training; shorter limits of a cluster stand in slurm/site.yaml.
TRAINING_MINUTES = 1440


def grown(memory_mb: int, attempt: int) -> int:
    """Return a job's memory at an attempt, counted from 1: half as much again at the second, twice at the third."""
    return memory_mb * min(1 + attempt, 4) // 2


def training_resources(
    gpus: int, nodes: int, gpu_resources: Mapping[str, Any], resources: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a job asks for that runs on GPUs, or on the CPU where there are none.

    Parameters
    ----------
    gpus, nodes
        GPUs on each node, and nodes.
    gpu_resources
        What the user's cluster wants of jobs with GPUs besides (`astromae.cluster.site_file.Site`).
    resources
        What the job asks for apart from that.
    """
    asked = {**resources, **(gpu_resources if gpus else {})}
    if nodes == 1:
        return {"gpu": gpus, **asked}
    # Slurm counts `gpu` over all nodes, and refuses it to the step on one of them that Snakemake starts first.
    kind = [asked.pop("gpu_model")] if "gpu_model" in asked else []
    return {"nodes": nodes, "gres": ":".join(["gpu", *kind, str(gpus)]), **asked}


def launcher(training: Training) -> str:
    """Return what starts a training step once for each GPU, before its command; nothing for a single process."""
    gpus, nodes = training.gpus, training.nodes
    if gpus * nodes <= 1:
        return ""
    torchrun = f"python -m astromae.training.launch --nproc-per-node {gpus}"
    if nodes == 1:
        return f"{torchrun} --standalone --no-python "
    # One launcher on each node; they meet on the node that runs this.
    tasks = f"--ntasks={nodes} --ntasks-per-node=1 --cpus-per-task={training.threads}"
    steps = f"srun --overlap --nodes={nodes} {tasks} --gpus-per-node={gpus}"
    meeting = "--rdzv-backend c10d --rdzv-id $SLURM_JOB_ID --rdzv-endpoint $(hostname)"
    return f"{steps} {torchrun} --nnodes {nodes} {meeting} --no-python "
