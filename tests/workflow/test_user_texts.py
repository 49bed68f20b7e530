"""Whatever a user can name reaches a step as it stands, and no shell ever runs a part of it."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from astromae.errors import InputError
from astromae.settings.configuration import check_configuration
from project import ROOT

#: Each would make the file `struck` if a shell, or Snakemake's formatting, read more in it than characters.
HOSTILE = [
    "$(touch struck)g",
    "`touch struck`g",
    "a; touch struck; b",
    "a && touch struck",
    "a > struck",
    "my 'quoted' \"galaxies\" $HOME \\ * ~",
    "{wildcards.experiment} {seed} {{x}} {",
    "-rf",
    "a\ntouch struck",
]

#: All of it that no check refuses, in one text.
TEXT = "$(touch struck) `touch struck` ; touch struck; && > struck 'a' \"b\" $HOME \\ * ~"
BRACES = " {wildcards.experiment} {seed} {{x}}"


def texts(value, path=()):
    """Yield the path of every text in a configuration, and of every key that a user may name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))
    elif isinstance(value, str):
        yield path


def default():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["bundle"] = config["sdss"]["table"] = config["sdss"]["galaxy_zoo"] = "name"
    return config


def with_text(path, text):
    config = default()
    *parents, last = path
    section = config
    for parent in parents:
        section = section[parent]
    section[last] = text
    return config


#: Texts that may hold anything, and what must stand before it.
FREE = {
    ("bundle",): "",
    ("sdss", "table"): "",
    ("sdss", "galaxy_zoo"): "",
    ("sdss", "server"): "https://mirror/",
    ("sdss", "archive"): "https://mirror/",
    ("cube", "path"): "",
    ("experiments", "experiment1", "title"): "",
    ("experiments", "experiment2", "title"): "",
    ("experiments", "distributions", "title"): "",
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_every_text_but_paths_and_titles_is_a_plain_name(hostile):
    """A new key for text is either refused what is no name, or belongs into FREE and so into the walk below."""
    walked = list(texts(default()))
    assert len(walked) > 50 and set(FREE) <= set(walked)
    for path in walked:
        if path not in FREE:
            with pytest.raises(InputError) as refused:
                check_configuration(with_text(path, hostile))
            assert "\n" not in str(refused.value)
    for section in ("backbones", "models", "experiments"):
        config = default()
        config[section][hostile] = next(iter(config[section].values()))
        with pytest.raises(InputError, match=section):
            check_configuration(config)


@pytest.mark.parametrize("path", FREE, ids=".".join)
def test_a_line_break_is_refused(path):
    with pytest.raises(InputError, match="text on one line"):
        check_configuration(with_text(path, FREE[path] + "a\ntouch struck"))


def test_a_name_does_not_end_with_a_line_break():
    with pytest.raises(InputError, match="experiments"):
        check_configuration(with_text(("experiments", "experiment1", "table"), "table4\n"))


def commands(printed):
    """Return the shell commands that a dry run prints."""
    found = re.findall(r"^\s*(?:Shell command: )?(python -m astromae .*\| tee \S+)$", printed, flags=re.M)
    assert found, printed[-3000:]
    return found


def arguments_of(command, folder: Path):
    """Run a command in bash, as Snakemake does, with a step that writes down its arguments; return them."""
    record = folder / "arguments"
    script = f"python() {{ printf '%s\\0' \"$@\" > {shlex.quote(str(record))}; }}; tee() {{ cat; }}; {command}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, check=True, capture_output=True)
    assert [path.name for path in folder.iterdir()] == ["arguments"], command
    return record.read_text().split("\0")[:-1]


def flat(value):
    """Yield all texts in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from flat(item)


@pytest.mark.parametrize(
    ("settings", "target", "wanted"),
    [
        (
            {"survey": "sdss", "sdss": {"table": f"{TEXT}.csv", "galaxy_zoo": f"{TEXT}.votes.csv"}},
            "stamps",
            ["table", "galaxy_zoo", "server", "archive"],
        ),
        ({"survey": "sdss"}, "stamps", ["server", "archive"]),
        ({"survey": "cube", "cube": {"path": f"{TEXT}{BRACES}.npz"}}, "stamps", ["path"]),
        ({}, "all", ["title"]),
        ({}, "bundle", ["title"]),
    ],
)
def test_texts_arrive_whole_in_every_rule(project, tmp_path, settings, target, wanted):
    given = {
        "table": f"{TEXT}.csv",
        "galaxy_zoo": f"{TEXT}.votes.csv",
        "server": f"https://mirror/{TEXT}{BRACES}",
        "archive": f"https://mirror/{TEXT}{BRACES}",
        "path": f"{TEXT}{BRACES}.npz",
        "title": f"{TEXT}{BRACES}",
    }
    settings = settings | {"experiments": {"experiment1": {"title": given["title"]}}}
    settings["sdss"] = settings.get("sdss", {}) | {key: given[key] for key in ("server", "archive")}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    listed, votes = project.folder / given["table"], project.folder / given["galaxy_zoo"]
    listed.write_text("ra,dec\n150.1,2.2\n")
    votes.write_text("ra,dec,t01_smooth_or_features_a02_features_or_disk_debiased\n150.1,2.2,0.5\n")
    try:
        ran = project.snakemake(
            target, "--dry-run", "--printshellcmds", "--configfile", str(tmp_path / "settings.yaml")
        )
    finally:
        listed.unlink()
        votes.unlink()
    assert ran.returncode == 0, ran.stdout[-3000:]
    seen = set()
    for number, command in enumerate(dict.fromkeys(commands(ran.stdout))):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = arguments_of(command, folder)
        for argument in arguments:
            seen.add(argument)
            if argument.startswith(("{", "[")):
                seen |= set(flat(json.loads(argument)))
    assert {given[name] for name in wanted} <= seen
    assert not (project.folder / "struck").exists()


@pytest.mark.parametrize("key", ["table", "galaxy_zoo"])
def test_braces_in_the_name_of_a_list_are_refused(key):
    with pytest.raises(InputError, match=rf"sdss\.{key} .* without braces"):
        check_configuration(with_text(("sdss", key), "{seed}.csv"))


@pytest.mark.parametrize("name", ["$(touch struck)b.tar", "a b.tar", "`touch struck`.tar", '"; touch struck; ".tar'])
def test_make_takes_a_bundle_by_any_name(project, name):
    ran = subprocess.run(
        ["make", "figures", f"BUNDLE={name}"], cwd=project.folder, capture_output=True, text=True, env=None
    )
    assert ran.returncode and f"BUNDLE={name}: there is no such file" in ran.stderr
    assert not (project.folder / "struck").exists()
