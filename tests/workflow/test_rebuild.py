"""Tables, figures and paper from a bundle, where there are neither pixels nor torch."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from preset import PRESET
from project import ROOT, Project, clone

pytestmark = pytest.mark.workflow

#: Rules of tables, figures and paper.
LATE = {"all"}.union(
    *(
        re.findall(r"^rule (\w+):", (ROOT / f"workflow/rules/{name}.smk").read_text(), flags=re.M)
        for name in ("results", "paper")
    )
)


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(*environments: str) -> set[str]:
    """Return the names of the packages that some environments of envs/ pin."""
    lines = []
    for name in environments:
        content = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())["dependencies"]
        lines += next(entry["pip"] for entry in content if isinstance(entry, dict))
    return {normalised(line.partition("==")[0]) for line in lines}


def requirements(package: str) -> set[str]:
    """Return a package's name and those of all that it requires."""
    found, pending = set(), [package]
    while pending:
        name = normalised(pending.pop())
        if name not in found:
            found.add(name)
            with contextlib.suppress(PackageNotFoundError):
                lines = (line for line in requires(name) or [] if "extra ==" not in line)
                pending += [re.match(r"[\w.-]+", line)[0] for line in lines]
    return found


@pytest.fixture(scope="module")
def bundle(finished, tmp_path_factory):
    """The bundle of the finished run, outside its clone."""
    ran = finished.snakemake("bundle", "--cores", "1", *PRESET)
    assert ran.returncode == 0, ran.stdout[-5000:]
    return shutil.copy(finished.folder / "results/bundle.tar", tmp_path_factory.mktemp("bundle"))


@dataclass(frozen=True)
class SmallEnvironment(Project):
    """A clone in an environment that holds nothing but what figures and the paper need."""

    environment: dict[str, str]

    def start(self, *arguments, env=None):
        return super().start(*arguments, env=self.environment)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A fresh clone, in which torch cannot be imported, nor anything else that only trainings or surveys need."""
    absent = pins("training", "survey") - pins("evaluation", "paper") - requirements("snakemake")
    assert {"torch", "timm", "galsim"} <= absent
    names = [name for name, owners in packages_distributions().items() if normalised(owners[0]) in absent]
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "sitecustomize.py").write_text(
        f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
"""
    )
    environment = os.environ | {"PYTHONPATH": str(folder)}
    ran = subprocess.run([sys.executable, "-c", "import torch"], env=environment, capture_output=True, text=True)
    assert "torch is not installed here" in ran.stderr
    # In a folder that a shell would make something else of.
    return SmallEnvironment(clone(folder / "my clone; of $HOME").folder, environment)


@pytest.fixture(scope="module")
def rebuilt(bundle, elsewhere):
    """The folder of what the bundle was rebuilt to."""
    ran = elsewhere.snakemake("--cores", "2", "--config", f"bundle={bundle}")
    assert ran.returncode == 0, ran.stdout[-5000:]
    (folder,) = (elsewhere.folder / "results/rebuilt").iterdir()
    assert "rebuilt by astromae" in ran.stdout and f"in {folder}/results" in ran.stdout
    return folder


@pytest.mark.parametrize("pattern", ["tables/*", "figures/*", "values/*", "paper/*", "report/index.html"])
def test_all_is_rebuilt_to_the_same_bytes(finished, rebuilt, pattern):
    made = {path.name: path.read_bytes() for path in (rebuilt / "results").glob(pattern)}
    assert made
    assert made == {path.name: path.read_bytes() for path in (finished.folder / "results").glob(pattern)}


def test_nothing_of_a_run_is_written_beside_it(rebuilt, elsewhere):
    assert {path.name for path in (elsewhere.folder / "results").iterdir()} <= {".gitkeep", "rebuilt"}


def test_no_date_brings_a_training_into_the_plan(bundle, rebuilt, elsewhere):
    assert elsewhere.plan("--config", f"bundle={bundle}") == {}
    for path in sorted(elsewhere.folder.rglob("*"), reverse=True):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert elsewhere.plan("--config", f"bundle={bundle}") == {}
    forced = elsewhere.plan("--forceall", "--config", f"bundle={bundle}")
    assert {"table", "figure", "paper"} <= set(forced) <= LATE
    for target in ("models", "encoders", "stamps", "bundle"):
        refused = elsewhere.snakemake(target, "--dry-run", "--config", f"bundle={bundle}")
        assert refused.returncode != 0 and "MissingRuleException" in refused.stdout


def test_an_edited_figure_is_drawn_again_and_nothing_else(bundle, rebuilt, elsewhere):
    source = elsewhere.folder / "workflow/astromae/figures/density.py"
    before = source.read_bytes()
    source.write_bytes(before + b"\n")
    try:
        jobs = elsewhere.plan_by_product("--config", f"bundle={bundle}")
    finally:
        source.write_bytes(before)
    parts = ("experiment1-scratch", "experiment1-pretrained", "experiment1-baselines", "experiment2")
    assert jobs == {"paper", "results_page", "all", *(f"figure: density-{part}" for part in parts)}


def test_a_run_keeps_what_it_has(finished, bundle):
    """Rebuilding in the clone of a finished run touches none of its files and leaves it up to date."""
    made = finished.folder / "results"

    def state():
        files = (path for path in made.rglob("*") if path.is_file() and made / "rebuilt" not in path.parents)
        return {path: path.stat().st_mtime_ns for path in files}

    before = state()
    ran = finished.snakemake("results/tables/cost.csv", "--cores", "1", "--config", f"bundle={bundle}")
    assert ran.returncode == 0, ran.stdout[-5000:]
    (again,) = (made / "rebuilt").glob("*/results/tables/cost.csv")
    assert again.read_bytes() == (made / "tables/cost.csv").read_bytes()
    assert state() == before
    shutil.rmtree(made / "rebuilt")
    assert finished.plan(*PRESET) == {}


def test_a_damaged_bundle_is_named(bundle, fresh_project, tmp_path):
    content = bytearray(Path(bundle).read_bytes())
    place = content.index(b"update,epoch,learning_rate")
    content[place] ^= 1
    (tmp_path / "damaged.tar").write_bytes(content)
    ran = fresh_project.snakemake("--cores", "1", "--config", f"bundle={tmp_path}/damaged.tar")
    assert ran.returncode != 0
    assert re.search(r"damaged\.tar: results/\S+/history\.csv is damaged", ran.stdout)
    assert "Traceback" not in ran.stdout


def test_another_configuration_is_refused(bundle, elsewhere):
    ran = elsewhere.snakemake("--cores", "1", "--config", f"bundle={bundle}", "survey=sdss")
    assert ran.returncode != 0
    line = r'configuration: survey is "sdss", but .*bundle\.tar was made with "embedded"'
    assert re.search(line, ran.stdout)
