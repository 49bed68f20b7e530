"""The file slurm/site.yaml: partitions, account and kinds of GPU of the user's own cluster.

It is not tracked, so that neither rules nor the profile are edited to run elsewhere. The profile in slurm/ hands the
partitions, the account and the resources of all jobs to Snakemake; the rules of trainings add what their GPUs need.
"""

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import PrivateAttr, ValidationError

from astromae.errors import InputError
from astromae.settings.base import setting, show
from astromae.settings.messages import in_one_line
from astromae.typed import Typed

#: Where the file is, unless the environment variable `VARIABLE` names another.
DEFAULT = "slurm/site.yaml"
VARIABLE = "ASTROMAE_SITE"

#: Images a second and A100 in the published pretraining (659,857 x 0.8 x 2000 on four in two to three days),
#: of which the loader was the limit: what is known of GPUs without trying one.
PUBLISHED_STAMPS_PER_S = 1200.0


class Site(Typed):
    """A cluster as its user describes it."""

    partitions: dict[str, dict[str, Any]] = setting(
        "Limits of each partition, as Snakemake's Slurm executor takes them; without any, jobs go to the default one.",
        {},
    )
    account: str | None = setting("Account of all jobs; null for the user's own default.", None)
    resources: dict[str, Any] = setting("Snakemake resources of all jobs.", {})
    gpu_resources: dict[str, Any] = setting("Snakemake resources of jobs with a GPU besides.", {})
    gpu_stamps_per_s: float = setting(
        "Stamps a second that one GPU pretrains the plain encoder on.", PUBLISHED_STAMPS_PER_S, gt=0
    )
    _path: Path = PrivateAttr(Path(DEFAULT))

    @property
    def path(self) -> Path:
        """The file that was read, or would be if there were one."""
        return self._path


def read_site() -> Site:
    """Return the user's cluster; an empty one where there is no file.

    Raises
    ------
    InputError
        If the file is named by the environment and missing, is no YAML, or has a key that means nothing.
    """
    path = Path(os.environ.get(VARIABLE, DEFAULT))
    content: Any = {}
    if path.exists():
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise InputError(f"{path}: not valid YAML: {error}") from error
    elif VARIABLE in os.environ:
        raise InputError(f"{VARIABLE} is {path}: no such file")
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {show(content)}; expected keys of {', '.join(Site.model_fields)}")
    try:
        site = Site.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{in_one_line(Site, error, of=str(path))}; see slurm/site.example.yaml") from None
    site._path = path
    return site
