"""What belongs to the user's own cluster: names of partitions, the account, kinds of GPU.

These stand in one file that is not tracked, so that neither rules nor the profile are edited to run
elsewhere. The profile in slurm/ hands the partitions, the account and the resources of all jobs to Snakemake;
the rules of trainings add what their GPUs need.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from astromae.errors import InputError

#: Where the file is, unless the environment variable `VARIABLE` names another.
DEFAULT = "slurm/site.yaml"
VARIABLE = "ASTROMAE_SITE"

_KEYS = ("partitions", "account", "resources", "gpu_resources", "gpu_stamps_per_s")

#: Images a second and A100 in the published pretraining (659,857 x 0.8 x 2000 on four in two to three days),
#: of which the loader was the limit: what is known of GPUs without trying one.
PUBLISHED_STAMPS_PER_S = 1200


@dataclass(frozen=True)
class Site:
    """A cluster as its user describes it.

    Attributes
    ----------
    path
        The file that was read, or would be if there were one.
    partitions
        Limits of each partition by name, as Snakemake's Slurm executor takes them; empty where jobs go to
        the cluster's default partition.
    account
        Account of all jobs, or None for the user's own default.
    resources, gpu_resources
        Snakemake resources of all jobs, and of jobs with a GPU besides.
    gpu_stamps_per_s
        Stamps a second that one GPU pretrains the plain encoder on.
    """

    path: Path
    partitions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    account: str | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    gpu_resources: Mapping[str, Any] = field(default_factory=dict)
    gpu_stamps_per_s: float = PUBLISHED_STAMPS_PER_S


def read_site() -> Site:
    """Return the user's cluster; an empty one where there is no file.

    Raises
    ------
    InputError
        If the file is named by the environment and missing, is no YAML, or has a key that means nothing.
    """
    path = Path(os.environ.get(VARIABLE, DEFAULT))
    if not path.exists():
        if VARIABLE in os.environ:
            raise InputError(f"{VARIABLE} is {path}: no such file")
        return Site(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: {content!r}; expected keys of {', '.join(_KEYS)}")
    for key, value in content.items():
        if key not in _KEYS:
            raise InputError(f"{path}: {key} is an unknown key; allowed: {', '.join(_KEYS)}")
        if key == "gpu_stamps_per_s":
            if not isinstance(value, int | float) or not value > 0:
                raise InputError(f"{path}: {key} is {value!r}; expected stamps a second, a number above 0")
        elif key != "account" and not isinstance(value, dict):
            raise InputError(f"{path}: {key} is {value!r}; expected a mapping, as in slurm/site.example.yaml")
    for name, limits in content.get("partitions", {}).items():
        if not isinstance(limits, dict):
            raise InputError(f"{path}: partitions.{name} is {limits!r}; expected a mapping of limits, {{}} for none")
    return Site(path, **content)
