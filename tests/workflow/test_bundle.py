"""Tables, figures and paper from a bundle, where there are neither pixels nor torch."""

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from preset import PRESET

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
LATE = {"all"}.union(
    *(
        re.findall(r"^rule (\w+):", (ROOT / f"workflow/rules/{name}.smk").read_text(), flags=re.M)
        for name in ("evaluate", "paper")
    )
)


def pins(*environments: str) -> set[str]:
    """Return the names of the packages that some environments of envs/ pin."""
    lines = []
    for name in environments:
        content = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())["dependencies"]
        lines += next(entry["pip"] for entry in content if isinstance(entry, dict))
    return {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}


@pytest.fixture(scope="module")
def bundle(finished, tmp_path_factory):
    """The bundle of the finished run, outside its clone."""
    ran = finished.snakemake("bundle", "--cores", "1", *PRESET)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return shutil.copy(finished.folder / "results/bundle.tar", tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def elsewhere(finished, tmp_path_factory):
    """A fresh clone, in which nothing but the packages for figures and the paper can be imported."""
    folder = tmp_path_factory.mktemp("elsewhere") / "clone"
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("results", ".snakemake", "__pycache__"))
    absent = pins("training", "survey") - pins("evaluation", "paper", "preflight")
    assert {"torch", "timm", "galsim"} <= absent
    names = [name for name, owners in packages_distributions().items() if owners[0].lower().replace("_", "-") in absent]
    assert "torch" in names
    blocker = folder.parent / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(
        f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
"""
    )
    environment = os.environ | {"PYTHONPATH": str(blocker)}
    blocked = subprocess.run([sys.executable, "-c", "import torch"], env=environment, capture_output=True, text=True)
    assert "torch is not installed here" in blocked.stderr

    def snakemake(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    snakemake.folder = folder
    return snakemake


@pytest.fixture(scope="module")
def rebuilt(bundle, elsewhere):
    """The folder of what the bundle was rebuilt to."""
    started = time.monotonic()
    ran = elsewhere("--cores", "2", "--config", f"bundle={bundle}")
    assert ran.returncode == 0, ran.stdout[-5000:]
    print(f"rebuilt in {time.monotonic() - started:.0f} s")
    (folder,) = (elsewhere.folder / "results/rebuilt").iterdir()
    assert "rebuilt by astromae" in ran.stdout and f"in {folder}/results" in ran.stdout
    return folder


@pytest.mark.parametrize("pattern", ["tables/*", "figures/*", "values/*", "paper/*.pdf"])
def test_all_is_rebuilt_to_the_same_bytes(finished, rebuilt, pattern):
    made = {path.name: path.read_bytes() for path in (rebuilt / "results").glob(pattern)}
    assert made == {path.name: path.read_bytes() for path in (finished.folder / "results").glob(pattern)}


def test_nothing_of_a_run_is_written_beside_it(rebuilt, elsewhere):
    assert {path.name for path in (elsewhere.folder / "results").iterdir()} <= {".gitkeep", "rebuilt"}


def rules_of(printed: str) -> set[str]:
    return set(re.findall(r"^(?:local)?rule (\w+):", printed, flags=re.M))


def test_no_date_brings_a_training_into_the_plan(bundle, rebuilt, elsewhere):
    ran = elsewhere("--dry-run", "--config", f"bundle={bundle}")
    assert "Nothing to be done" in ran.stdout
    for path in sorted(elsewhere.folder.rglob("*"), reverse=True):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    ran = elsewhere("--dry-run", "--config", f"bundle={bundle}")
    assert ran.returncode == 0 and "Nothing to be done" in ran.stdout
    forced = elsewhere("--dry-run", "--forceall", "--config", f"bundle={bundle}")
    assert all(
        rule in LATE or rule.startswith("figure_") or rule.endswith("_table") for rule in rules_of(forced.stdout)
    )
    for target in ("redshifts", "encoders", "stamps", "bundle"):
        refused = elsewhere(target, "--dry-run", "--config", f"bundle={bundle}")
        assert refused.returncode != 0 and "MissingRuleException" in refused.stdout


def test_an_edited_figure_is_drawn_again_and_nothing_else(bundle, rebuilt, elsewhere):
    source = elsewhere.folder / "workflow/astromae/evaluation/density.py"
    before = source.read_bytes()
    source.write_bytes(before + b"\n")
    try:
        ran = elsewhere("--dry-run", "--config", f"bundle={bundle}")
    finally:
        source.write_bytes(before)
    assert rules_of(ran.stdout) == {"figure_density", "paper", "results_page", "all"}


def test_a_run_keeps_what_it_has(finished, bundle):
    """Rebuilding in the clone of a finished run touches none of its files and leaves it up to date."""
    made = finished.folder / "results"
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert finished.snakemake("--dry-run", "--config", f"bundle={bundle}").returncode == 0
    shutil.rmtree(made / "rebuilt")
    after = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {made}
    assert finished.plan(*PRESET) == {}


def test_a_damaged_bundle_is_named(bundle, elsewhere, tmp_path):
    content = bytearray(Path(bundle).read_bytes())
    place = content.index(b"epoch,learning_rate")
    content[place] ^= 1
    (tmp_path / "damaged.tar").write_bytes(content)
    ran = elsewhere("--cores", "1", "--config", f"bundle={tmp_path}/damaged.tar")
    assert ran.returncode != 0
    assert re.search(r"damaged\.tar: results/\S+/history\.csv is damaged", ran.stdout)
    assert "Traceback" not in ran.stdout


def test_another_configuration_is_refused(bundle, elsewhere):
    ran = elsewhere("--cores", "1", "--config", f"bundle={bundle}", "seeds=[1]")
    assert ran.returncode != 0
    assert re.search(r"configuration: seeds is \[1\], but .*bundle\.tar was made with \[42\]", ran.stdout)
