"""The conda environments hold the lock file's pins, and all that their rules import."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from astromae.classical import METHODS
from astromae.encoders import ENCODERS
from astromae.figures import FIGURES, SAMPLES
from astromae.sources import command_sources, executed_nodes, sources_of
from astromae.tables import TABLES
from astromae.tasks import TASKS

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    return {normalised(name): version for name, version in (line.split("==") for line in lines)}


LOCK = pins((ROOT / "envs/requirements.lock").read_text().split())


def environment_pins(path: Path) -> dict[str, str]:
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    return pins(next(entry["pip"] for entry in dependencies if isinstance(entry, dict)))


def commands_of(environment: str) -> set[str]:
    """Return the subcommands that rules with this environment run."""
    commands = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^\s*rule \w+:", file.read_text(), flags=re.M)[1:]:
            if f'"../../envs/{environment}.yaml"' in rule:
                commands |= set(re.findall(r"python -m astromae ([\w-]+)", rule))
    return commands


def sources(command: str) -> set[Path]:
    """Return the files that a subcommand runs, those of every family of products among them."""
    table = {"figure": FIGURES, "table": TABLES, "sample": SAMPLES}.get(command, {})
    modules = [product.make.partition(":")[0] for product in table.values()]
    modules += map(METHODS.source, METHODS) if command == "classical" else []
    return {*command_sources(command), *sources_of(*modules)}


def third_party_imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    # A task's loss imports torch when it is called, which only trainings do.
    nodes = tree.body if file.parent.name == "tasks" else executed_nodes(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"astromae"}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_pins_are_those_of_the_lock(path):
    for name, version in environment_pins(path).items():
        assert LOCK.get(name) == version, f"{path.name}: {name}=={version}"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_holds_what_its_rules_import(path):
    distributions = packages_distributions()
    commands = commands_of(path.stem)
    assert commands
    wanted = {"typer", "pydantic"}  # of the command line
    for command in commands:
        for file in sources(command):
            if file.suffix == ".py":
                wanted |= {normalised(distributions[name][0]) for name in third_party_imports(file)}
    assert wanted <= set(environment_pins(path))


def test_the_installed_command_brings_what_predictions_need():
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = environment_pins(ROOT / "envs/predictions.yaml")
    assert required and pins([line.replace(">=", "==") for line in required]) == pinned
    distributions = packages_distributions()
    modules = [table.source(name) for table in (ENCODERS, TASKS, METHODS) for name in table]
    for file in sources_of("astromae.asking.ask", "astromae.asking.embed", "astromae.asking.search", *modules):
        if file.suffix == ".py":
            assert {normalised(distributions[name][0]) for name in third_party_imports(file)} <= set(pinned), file


def test_lock_pins_every_requirement():
    for line in (ROOT / "envs/requirements.in").read_text().split():
        name, _, version = line.partition("==")
        assert normalised(name) in LOCK
        assert not version or LOCK[normalised(name)] == version
