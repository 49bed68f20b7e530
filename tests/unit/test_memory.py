"""The memory that a job may take, from its control group and Slurm, and stamps that processes hold once."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from astromae.contracts.shards import write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.training import memory
from astromae.training.memory import free_memory

CPU = torch.device("cpu")
GB = 10**9
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")

ASK = "import torch; from astromae.training.memory import free_memory; print(free_memory(torch.device('cpu')))"


def write_group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def version_1(limit, used, file_pages):
    stat = f"cache 5\nrss 3\ntotal_inactive_file {file_pages}\ntotal_active_file 0"
    return {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": stat}


def version_2(limit, used, file_pages):
    return {
        "memory.max": limit,
        "memory.current": used,
        "memory.stat": f"anon 3\ninactive_file 0\nactive_file {file_pages}",
    }


def test_the_smallest_of_the_groups_above_decides(tmp_path):
    process, mount = tmp_path / "self", tmp_path / "cgroup"
    write_group(process, {"cgroup": "12:cpu,cpuacct:/slurm\n4:memory:/slurm/job_7/step_0\n0::/"})
    write_group(mount / "memory", version_1(2**63 - 4096, 9 * GB, 0))
    write_group(mount / "memory/slurm/job_7", version_1(8 * GB, 5 * GB, 2 * GB))
    write_group(mount / "memory/slurm/job_7/step_0", version_1(2**63 - 4096, 5 * GB, 2 * GB))
    assert min(memory._free_in_cgroups(process, mount)) == 5 * GB

    write_group(process, {"cgroup": "0::/system.slice/job_7/step_0"})
    write_group(mount / "system.slice/job_7", version_2(6 * GB, 4 * GB, 1 * GB))
    write_group(mount / "system.slice/job_7/step_0", version_2("max", 4 * GB, 1 * GB))
    assert list(memory._free_in_cgroups(process, mount)) == [3 * GB]

    # In a container the path may be the host's; its own group is what it sees at the top.
    write_group(process, {"cgroup": "0::/kubepods/pod1/container2"})
    write_group(mount, version_2(4 * GB, 1 * GB, 0))
    assert list(memory._free_in_cgroups(process, mount)) == [3 * GB]
    assert list(memory._free_in_cgroups(tmp_path / "nothing", mount)) == []


def test_slurms_limit_counts_where_no_group_enforces_it(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1000")
    assert 0 <= free_memory(CPU) < 1000 * 2**20
    monkeypatch.delenv("SLURM_MEM_PER_NODE")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "600")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert 0 <= free_memory(CPU) < 1200 * 2**20
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "0")  # all of the node's
    assert free_memory(CPU) > 0


@pytest.fixture
def group():
    """Make a real control group that may take 2 GB."""
    top, limit = (V2, "memory.max") if (V2 / "cgroup.controllers").exists() else (V1, "memory.limit_in_bytes")
    folder = top / f"astromae-test-{uuid.uuid4().hex}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(2 * GB))
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no control group with a limit of memory can be made here: {error}")
    yield folder
    folder.rmdir()


def test_a_real_control_group_is_obeyed(group):
    ran = subprocess.run(
        ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$1" -c "$2"', str(group), sys.executable, ASK],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert 1 * GB < int(ran.stdout) < 2 * GB < free_memory(CPU)


#: Opens the stamps, reads all of them once, and says how much memory of its own that took, and its part of the
#: shard's pages, each shared page divided by the number of processes that have it.
READER = """
import sys, numpy as np, psutil, torch
from pathlib import Path
from astromae.training.sources import open_stamps
cpu = torch.device("cpu")
def own():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))
before = own()
source = open_stamps([Path(sys.argv[1])], np.load(sys.argv[2]), 64, cpu)
for stamps in source.batches(torch.arange(len(source)).split(64)):
    assert stamps.isfinite().all()
print("ready", flush=True)
sys.stdin.readline()
pages = sum(area.pss for area in psutil.Process().memory_maps() if area.path == sys.argv[1])
print(own() - before, pages, flush=True)
sys.stdin.readline()
"""


def test_four_processes_of_a_node_hold_the_stamps_once(tmp_path):
    n, of_stamp = 6000, 5 * 64 * 64 * 2
    objid = np.arange(n)
    write_shard(
        tmp_path / "0000.h5",
        objid,
        np.ones((n, 5, 64, 64), np.float16),
        StampFormat(tuple("ugriz"), 0.396, 64),
        "test",
        "none",
    )
    np.save(tmp_path / "objid.npy", objid)
    command = [sys.executable, "-c", READER, str(tmp_path / "0000.h5"), str(tmp_path / "objid.npy")]
    environment = os.environ | {"LOCAL_WORLD_SIZE": "4", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    readers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(4)]
    try:
        assert [reader.stdout.readline() for reader in readers] == ["ready\n"] * 4
        taken = []
        for reader in readers:
            reader.stdin.write("\n")
            reader.stdin.flush()
            taken.append([int(word) for word in reader.stdout.readline().split()])
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    assert sum(pages for _, pages in taken) == pytest.approx(n * of_stamp, rel=0.05), taken
    # Of its own each has what the libraries take, and some batches of 3 MB; never all stamps.
    assert max(own for own, _ in taken) < n * of_stamp / 2, taken


def test_stamps_are_read_in_blocks(galaxies, monkeypatch):
    from astromae.training import sources

    objid = pd.read_parquet(galaxies / "galaxies.parquet").objid.to_numpy()[:50]
    whole = sources.open_stamps([galaxies / "0000.h5"], objid, 48, CPU)
    monkeypatch.setattr(sources, "READ_BLOCK", 7)
    blocks = sources.open_stamps([galaxies / "0000.h5"], objid, 48, CPU)
    assert isinstance(blocks, sources.ResidentStamps)
    assert torch.equal(whole.images, blocks.images)
