"""What README and docs tell to type, set and open exists."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from astromae.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RULES = {
    name
    for file in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    for name in re.findall(r"^\s*rule (\w+):", file.read_text(), flags=re.M)
}
RULES |= {file.stem for file in (ROOT / "workflow/studies").glob("*.yaml")}
MAKE_TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
COMMANDS = typer.main.get_command(app)
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
#: Options of Snakemake that the documents use and that take a value.
WITH_VALUE = {"--cores", "--configfile", "--profile", "--sdm", "--config", "--retries", "--set-resources"}


def typed(document):
    """Return everything that a document sets in code: lines of blocks without comments, and spans."""
    text = document.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.M | re.S)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [*filter(None, lines), *(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))]


CODE = [(document.name, code) for document in DOCUMENTS for code in typed(document)]


def calls(program):
    """Return the arguments of every call of a program."""
    pattern = rf"(?:^|&& )(?:\.venv/bin/)?{program} (.*?)(?= &&|$)"
    found = [
        (name, shlex.split(arguments)) for name, code in CODE for arguments in re.findall(pattern, code, flags=re.M)
    ]
    assert found
    return found


def test_make_targets_exist():
    for name, arguments in calls("make"):
        targets = [word for word in arguments if not re.match(r"[A-Z_]+=", word)]
        assert set(targets) <= MAKE_TARGETS, (name, arguments)


def test_subcommands_exist():
    for name, arguments in calls("astromae"):
        command = COMMANDS
        for word in arguments:
            if word.startswith("-") or not hasattr(command, "commands"):
                break
            assert word in command.commands, (name, arguments)
            command = command.commands[word]


def test_targets_of_snakemake_exist():
    for name, arguments in calls("snakemake"):
        words = iter(arguments)
        for word in words:
            if word in WITH_VALUE:
                value = next(words)
                if word in ("--configfile", "--profile") and "/" in value:
                    assert (ROOT / value).exists(), (name, arguments)
            elif not word.startswith("-") and not re.match(r"\w+=", word):  # of --config there are several
                assert word in RULES or word.startswith("results/"), (name, arguments)


def test_the_table_of_targets_names_rules():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), flags=re.M)
    assert {"catalog", "paper", "results_page"} <= set(rows) <= RULES


def test_files_and_folders_exist():
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    named = {code for _, code in CODE if re.fullmatch(r"\.?(workflow|envs|slurm|tests|docs|ci)(/[\w./-]+)?/?", code)}
    assert named
    for path in named | set(re.findall(r"!\[[^\]]*\]\((docs/[^)]+)\)", text)):
        if path != "slurm/site.yaml":  # the reader's own
            assert (ROOT / path).exists(), path


def test_keys_of_the_configuration_exist():
    # docs/configuration.md is made from the schema, keys without a default included.
    written = {code for name, code in CODE if name != "configuration.md"}
    named = {
        code for code in written if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", code) and not code.endswith((".json", ".npz"))
    }
    keys = {key for key in named if key.partition(".")[0] in CONFIG}
    assert keys
    for key in keys:
        section = CONFIG
        for part in key.split("."):
            assert part in section, key
            section = section[part]


@pytest.mark.parametrize("image", sorted((ROOT / "docs").glob("*.png")), ids=lambda path: path.name)
def test_images_are_small_and_shown(image):
    assert image.stat().st_size < 500_000
    assert any(f"docs/{image.name}" in document.read_text() for document in DOCUMENTS)
