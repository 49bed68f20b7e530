"""A copy of the repository to run the workflow in."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Project:
    """A clone of the repository; nothing outside its folder is written."""

    folder: Path

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start Snakemake in the clone; what it prints, errors included, is its standard output."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def snakemake(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the clone and return what it printed, errors included."""
        process = self.start(*arguments, env=env)
        try:
            output, _ = process.communicate()
        except BaseException:  # A test whose time is over leaves no run behind that slows down the others.
            process.terminate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def astromae(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a subcommand in the clone and return what it printed, errors included."""
        return subprocess.run(
            [sys.executable, "-m", "astromae", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder / "workflow")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def plan(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a run would have."""
        ran = self.snakemake(*arguments, "--dry-run", "--quiet", "reason")
        assert ran.returncode == 0, ran.stdout
        stats = ran.stdout.rpartition("Job stats:")[2]
        counts = re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M)
        return {rule: int(count) for rule, count in counts if rule != "total"}

    def plan_by_product(self, *arguments: str) -> set[str]:
        """Return the rules that a run would have jobs of; of figures, tables and samples each, as ``rule: name``."""
        ran = self.snakemake(*arguments, "--dry-run")
        assert ran.returncode == 0, ran.stdout
        planned = set()
        for job in re.split(r"^(?:local)?rule ", ran.stdout, flags=re.M)[1:]:
            rule = job.partition(":")[0]
            product = re.search(rf"^    wildcards: {rule}=(.+)$", job, flags=re.M)
            planned.add(f"{rule}: {product[1]}" if product else rule)
        return planned


def clone(folder: Path) -> Project:
    """Copy what git tracks or would track, as it stands in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return Project(folder)
