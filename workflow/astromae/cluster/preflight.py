"""What would fail on the cluster, named before the first job is submitted, each with its remedy.

Looked at from here: partitions and account, time limits, disk, archive, torch. Looked at from a node of each
partition, by a small job: the GPUs that torch sees there, the archive, and whether the file that the job
writes is seen from here.
"""

import json
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from astromae.cluster.site_file import Site, read_site
from astromae.errors import InputError
from astromae.files import write_json
from astromae.progress import log
from astromae.typed import Typed

#: Time that an answer over the network may take, seconds.
NETWORK_S = 20

#: Disk that is wanted over what stamps and features take: weights, logs, predictions, files half made.
DISK_MARGIN = 1.5

#: Where the small jobs write, seen from the root of the project.
FOLDER = Path("results/preflight")


class Demands(Typed):
    """What a run asks of a cluster.

    Attributes
    ----------
    gpus, minutes
        GPUs of a training on each node, and the longest time limit among rules with a GPU.
    galaxies, stamp_bytes, features_mb
        Expected galaxies, and the disk that the stamp of each and all features of frozen encoders take.
    addresses
        What jobs fetch from, folders or URLs.
    latency_s, wait_s
        Time until a file of a node must be seen, and that a small job may stay in the queue.
    status_command
        By which Snakemake asks for the state of jobs; None where it does not ask Slurm.
    """

    gpus: int
    minutes: int
    galaxies: int
    stamp_bytes: int
    features_mb: float
    addresses: list[str]
    latency_s: float
    wait_s: float
    status_command: str | None


def preflight(demands: Demands) -> None:
    """Check the cluster and say what would fail.

    Raises
    ------
    InputError
        If anything would fail; the message counts the findings, which are printed one by one.
    """
    site = read_site()
    findings = [
        *_disk(demands.galaxies * demands.stamp_bytes, demands),
        *_addresses(demands.addresses, "here"),
    ]
    if missing := [name for name in ("sbatch", "squeue", "sinfo", "scontrol") if shutil.which(name) is None]:
        findings.append(f"no {', '.join(missing)} here. Run on a login node of the cluster.")
    else:
        findings += [*_accounting(demands.status_command), *_account(site), *_partitions(site, demands)]
        known = _known_partitions()
        for name, limits in (site.partitions or {"": {}}).items():
            if not name or name in known:
                findings += _try_partition(name, limits, site, demands)
    for finding in findings:
        log(f"problem: {finding}")
    if findings:
        raise InputError(f"{len(findings)} problem(s) on this cluster, each with its remedy above")
    log("nothing stands in the way of snakemake --profile slurm")


def probe(addresses: list[str], output: Path) -> None:
    """Write what a node sees: its torch, its GPUs, and which addresses it cannot reach."""
    try:
        import torch

        gpus, built = torch.cuda.device_count(), torch.version.cuda
    except ImportError as error:
        gpus, built = 0, f"no torch: {error}"
    write_json(output, {"gpus": gpus, "cuda": built, "unreached": list(_addresses(addresses, "a node"))})


def _disk(stamps: int, demands: Demands) -> Iterator[str]:
    """Yield what is wrong with the disk, which is to hold so many bytes of stamps."""
    free, galaxies = shutil.disk_usage("results").free, demands.galaxies
    features = demands.features_mb * 2**20
    need = DISK_MARGIN * (stamps + features)
    log(
        f"disk: {free / 1e9:.0f} GB free under results, {need / 1e9:.1f} GB wanted for {galaxies:,} galaxies: "
        f"{stamps / 1e9:.1f} GB of stamps, {features / 1e9:.1f} GB of features, and half as much again"
    )
    if free < need:
        yield (
            f"results has {free / 1e9:.0f} GB free, and {galaxies:,} galaxies want {need / 1e9:.0f} GB. "
            "Make results a link to a folder on a larger file system that the nodes share, or configure fewer galaxies."
        )


def _addresses(addresses: list[str], where: str) -> Iterator[str]:
    for address in addresses:
        if "://" not in address:
            if not Path(address).exists():
                yield f"{address} is not to be seen from {where}. Put it on a file system that the nodes share."
            continue
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=NETWORK_S):
                pass
        except urllib.error.HTTPError:
            pass  # It answered, and that is all that is asked here.
        except OSError as error:
            yield (
                f"{address} is out of reach from {where}: {error}. Use partitions whose nodes have internet, set "
                "https_proxy, or configure a mirror."
            )


def _run(*command: str) -> str:
    """Return what a command of Slurm prints; raise InputError with its complaint."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if ran.returncode:
        raise InputError(" ".join((ran.stderr or ran.stdout).split()))
    return ran.stdout


def _known_partitions() -> set[str]:
    return set(_run("sinfo", "--noheader", "--format=%R").split())


def _accounting(status_command: str) -> Iterator[str]:
    kept = "accounting_storage/none" not in _run("scontrol", "show", "config")
    if status_command == "sacct" and not kept:
        yield (
            "this Slurm keeps no accounting, and Snakemake would wait for sacct for ever. "
            "Add --slurm-status-command squeue."
        )


def _account(site: Site) -> Iterator[str]:
    if site.account is None:
        return
    try:
        own = _run("sacctmgr", "--noheader", "--parsable2", "show", "associations", "format=account,user").split()
    except InputError as error:
        log(f"account: {site.account}, which cannot be checked ({error})")
        return
    accounts = {line.partition("|")[0] for line in own}
    if site.account not in accounts:
        yield f"{site.path}: account {site.account} is unknown. Put one of {', '.join(sorted(accounts))} there."


def _partitions(site: Site, demands: Demands) -> Iterator[str]:
    """Yield what is wrong with the partitions that the user names."""
    from snakemake_executor_plugin_slurm.utils import parse_time_to_minutes

    known = _known_partitions()
    for name in site.partitions:
        if name not in known:
            yield f"{site.path}: partition {name} is unknown. Put one of {', '.join(sorted(known))} there."
    gpus = demands.gpus
    if not gpus:
        return
    fitting = {name: limits for name, limits in site.partitions.items() if limits.get("max_gpu", 0) >= gpus}
    if not fitting:
        yield (
            f"no partition of {site.path} has {gpus} GPU(s), which training.gpus asks for. "
            "Name one with max_gpu, as in slurm/site.example.yaml, or set training.gpus: 0."
        )
        return
    minutes = site.gpu_resources.get("runtime", demands.minutes)
    longest = max(parse_time_to_minutes(limits.get("max_runtime", minutes)) for limits in fitting.values())
    if minutes > longest:
        yield (
            f"trainings ask for {minutes} minutes, and {', '.join(fitting)} gives at most {longest:g}. "
            f"Set gpu_resources: {{runtime: {longest:g}}} in {site.path}; a training goes on in another job."
        )


def _try_partition(name: str, limits: Mapping[str, Any], site: Site, demands: Demands) -> Iterator[str]:
    """Run a small job in a partition and yield what it finds."""
    shown = name or "the default partition"
    gpus = demands.gpus if limits.get("max_gpu", 0) else 0
    output = FOLDER / f"{name or 'default'}.json"
    output.unlink(missing_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    model = site.gpu_resources.get("gpu_model")
    options = {
        "partition": name,
        "account": site.account,
        "qos": site.resources.get("qos"),
        "constraint": (site.gpu_resources if gpus else site.resources).get("constraint"),
        "gpus": f"{model}:{gpus}" if gpus and model else gpus,
    }
    parameters = json.dumps({"addresses": demands.addresses, "output": str(output)})
    command = [sys.executable, "-m", "astromae", "preflight-probe", "--params", parameters]
    try:
        job = _run(
            "sbatch",
            "--parsable",
            "--time=5",
            "--mem=2000",
            f"--output={FOLDER}/{name or 'default'}.log",
            *(f"--{option}={value}" for option, value in options.items() if value),
            f"--wrap={shlex.join(command)}",
        ).strip()
    except InputError as error:
        yield f"{shown} takes no job: {error}. Mend {site.path}."
        return
    log(f"waiting for Slurm job {job} in {shown}")
    job = job.partition(";")[0]
    state = _wait(job, demands.wait_s)
    if state in ("PENDING", "CONFIGURING"):
        subprocess.run(["scancel", job])
        yield (
            f"the job in {shown} did not start within {demands.wait_s} s: {_reason(job)}. "
            "Try again when the queue is shorter."
        )
        return
    end = time.monotonic() + demands.latency_s
    while not output.exists() and time.monotonic() < end:
        time.sleep(0.5)
    if not output.exists() and state != "COMPLETED":
        record = FOLDER / f"{name or 'default'}.log"
        words = record.read_text().splitlines()[-3:] if record.exists() else ["nothing"]
        yield (
            f"the job in {shown} ended as {state}, and said: {' '.join(words)}. "
            f"Make sure that {sys.executable} and this folder are the same on the nodes."
        )
    elif not output.exists():
        yield (
            f"a file written by a job in {shown} is not seen here after {demands.latency_s} s. Put the clone on a "
            "file system that the nodes share, or raise --latency-wait."
        )
    else:
        yield from _judge(shown, gpus, json.loads(output.read_text()))


def _wait(job: str, seconds: float) -> str:
    """Return a job's state once it has ended, or after some seconds if it has not started by then."""
    end = time.monotonic() + seconds
    while True:
        state = _run("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}").strip() or "COMPLETED"
        over = time.monotonic() > end and state == "PENDING"
        if over or state not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
            return state
        time.sleep(1)


def _reason(job: str) -> str:
    return _run("squeue", "--noheader", "--states=all", "--format=%r", f"--jobs={job}").strip()


def _judge(shown: str, gpus: int, seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with what a node saw."""
    yield from seen["unreached"]
    log(f"{shown}: torch with CUDA {seen['cuda']}, {seen['gpus']} GPU(s)")
    if gpus and seen["gpus"] < gpus:
        if seen["cuda"] is None:
            remedy = "It is built without CUDA. Make the environment anew without TORCH_INDEX"
        elif seen["cuda"].startswith("no torch"):
            remedy = f"There is {seen['cuda']}. Make the environment on a file system that the nodes share"
        else:
            remedy = f"It wants CUDA {seen['cuda']}: the GPU or its driver is older, or absent. Name another partition"
        yield f"torch sees {seen['gpus']} of {gpus} GPU(s) in {shown}. {remedy}, or set training.gpus: 0."
