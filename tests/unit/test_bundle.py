"""Bundles: the same bytes each time, and nothing of a wrong one is used."""

import dataclasses
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from astromae.bundle import FORMAT, MANIFEST, Manifest, write_bundle
from astromae.errors import InputError
from astromae.unbundle import adopt_configuration, read_manifest, unpack_bundle

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
FILES = {"results/a.csv": b"epoch,loss\n1,0.5\n", "results/deep/b.h5": bytes(range(256)) * 20}


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle of two files, made in a folder that is gone afterwards."""
    made = tmp_path / "made"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    monkeypatch.chdir(made)
    configuration = {key: value for key, value in CONFIG.items() if key != "bundle"}
    write_bundle([Path(name) for name in FILES], configuration, tmp_path / "bundle.tar")
    write_bundle([Path(name) for name in reversed(FILES)], configuration, tmp_path / "again.tar")
    assert (tmp_path / "bundle.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(made)
    return tmp_path / "bundle.tar"


def repack(bundle, change=lambda members: members):
    """Write a bundle anew with changed members: a list of (TarInfo, content)."""
    with tarfile.open(bundle) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]
    with tarfile.open(bundle, "w") as archive:
        for member, content in change(members):
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def edit_manifest(bundle, **values):
    """Change keys of a bundle's manifest."""

    def change(members):
        content = json.loads(members[0][1]) | values
        return [(members[0][0], json.dumps(content).encode()), *members[1:]]

    repack(bundle, change)


def unpack(bundle, folder, wanted=tuple(FILES)):
    unpack_bundle(bundle, read_manifest(bundle), wanted, folder)


def test_what_is_packed_is_unpacked(bundle, tmp_path):
    unpack(bundle, tmp_path / "there")
    for name, content in FILES.items():
        assert (tmp_path / "there" / name).read_bytes() == content
    assert not list((tmp_path / "there").glob(".*"))
    manifest = read_manifest(bundle)
    assert manifest.files["results/a.csv"]["size"] == len(FILES["results/a.csv"])
    # the order of the configuration is that of rows and panels
    assert list(manifest.configuration["models"]) == list(CONFIG["models"])


def test_unpacking_again_mends_what_differs_and_touches_nothing_else(bundle, tmp_path):
    unpack(bundle, tmp_path / "there")
    kept, changed = (tmp_path / "there" / name for name in FILES)
    before = kept.stat().st_ino
    changed.write_bytes(b"other")
    (tmp_path / "there/results/figure.pdf").write_bytes(b"made from it")
    unpack(bundle, tmp_path / "there")
    assert kept.stat().st_ino == before
    assert changed.read_bytes() == FILES["results/deep/b.h5"]
    assert (tmp_path / "there/results/figure.pdf").exists()


def test_what_is_unpacked_already_is_not_read_again(bundle, tmp_path):
    manifest = read_manifest(bundle)
    unpack_bundle(bundle, manifest, FILES, tmp_path / "there")
    bundle.unlink()
    unpack_bundle(bundle, manifest, FILES, tmp_path / "there")
    (tmp_path / "there/results/a.csv").unlink()
    with pytest.raises(InputError, match="no such bundle"):
        unpack_bundle(bundle, manifest, FILES, tmp_path / "there")


def test_only_what_is_wanted_is_unpacked(bundle, tmp_path):
    unpack(bundle, tmp_path / "there", ["results/a.csv"])
    assert [path.name for path in (tmp_path / "there").rglob("*") if path.is_file()] == ["a.csv"]


def test_members_that_nobody_asked_for_are_not_unpacked(bundle, tmp_path):
    """A file in the place of a folder would be in the way of all that belongs there."""
    repack(bundle, lambda members: [members[0], (tarfile.TarInfo("results"), b"in the way"), *members[1:]])
    unpack(bundle, tmp_path / "there")
    assert (tmp_path / "there/results/a.csv").read_bytes() == FILES["results/a.csv"]


def test_a_file_that_this_version_needs_and_the_bundle_lacks(bundle, tmp_path):
    with pytest.raises(InputError, match=r"bundle\.tar: holds no results/c\.csv, which astromae .* made by astromae"):
        unpack(bundle, tmp_path / "there", ["results/a.csv", "results/c.csv"])


def test_a_damaged_file_is_named(bundle, tmp_path):
    content = bytearray(bundle.read_bytes())
    content[content.index(b"1,0.5")] ^= 1
    bundle.write_bytes(content)
    with pytest.raises(
        InputError, match=r"results/a\.csv is damaged: its SHA-256 is [0-9a-f]{64}, manifest\.json says"
    ):
        unpack(bundle, tmp_path / "there")
    assert not (tmp_path / "there/results").exists()


NO_FILE = r"bundle\.tar: holds no file results/deep/b\.h5 of \d+ bytes, though manifest\.json lists it"


def test_a_missing_member_is_named(bundle, tmp_path):
    repack(bundle, lambda members: members[:-1])
    with pytest.raises(InputError, match=NO_FILE):
        unpack(bundle, tmp_path / "there")


def test_a_member_of_another_size_is_named(bundle, tmp_path):
    repack(bundle, lambda members: [*members[:-1], (members[-1][0], bytes(10_000_000))])
    with pytest.raises(InputError, match=NO_FILE):
        unpack(bundle, tmp_path / "there")


def test_a_cut_off_bundle(bundle, tmp_path):
    with tarfile.open(bundle) as tar:
        largest = max(tar.getmembers(), key=lambda member: member.size)
    bundle.write_bytes(bundle.read_bytes()[: largest.offset_data + largest.size // 2])
    with pytest.raises(InputError, match=r"bundle\.tar: not a readable bundle"):
        unpack(bundle, tmp_path / "there")


def test_what_is_no_bundle(bundle, tmp_path):
    with pytest.raises(InputError, match=r"absent\.tar: no such bundle"):
        read_manifest(tmp_path / "absent.tar")
    (tmp_path / "text.tar").write_text("predictions")
    with pytest.raises(InputError, match=r"text\.tar: not a readable bundle"):
        read_manifest(tmp_path / "text.tar")
    repack(bundle, lambda members: members[1:])
    with pytest.raises(InputError, match=r"it holds no manifest\.json"):
        read_manifest(bundle)


def test_another_format_is_named(bundle):
    edit_manifest(bundle, format=FORMAT + 1, code={"version": "9.8.7"})
    line = rf"bundle format {FORMAT + 1}, made by astromae 9\.8\.7; this is astromae .* reads format {FORMAT}"
    with pytest.raises(InputError, match=line):
        read_manifest(bundle)


def test_a_damaged_manifest(bundle):
    repack(bundle, lambda members: [(members[0][0], b"{"), *members[1:]])
    with pytest.raises(InputError, match=rf"its {MANIFEST} is no JSON"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["../outside", "results/../../outside", "/tmp/outside-of-the-bundle"])
def test_no_member_leaves_the_folder(bundle, tmp_path, name):
    member = tarfile.TarInfo(name), b"harm"
    repack(bundle, lambda members: [*members, member])
    before = sorted(tmp_path.iterdir())
    unpack(bundle, tmp_path / "there")
    assert sorted(path for path in tmp_path.iterdir() if path.name != "there") == before
    assert not list(tmp_path.rglob("outside*")) and not Path("/tmp/outside-of-the-bundle").exists()


def test_a_link_in_place_of_a_file(bundle, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(FILES["results/deep/b.h5"])
    with tarfile.open(bundle) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]
    with tarfile.open(bundle, "w") as archive:
        for member, content in members:
            if member.name == "results/deep/b.h5":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, str(secret), 0
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match=NO_FILE):
        unpack(bundle, tmp_path / "there")
    assert not (tmp_path / "there/results").exists()


def test_another_order_of_the_configuration_is_another_bundle(bundle):
    manifest = read_manifest(bundle)
    assert manifest.digest() == read_manifest(bundle).digest()
    turned = dict(reversed(manifest.configuration["models"].items()))
    other = dataclasses.replace(manifest, configuration=manifest.configuration | {"models": turned})
    assert other.configuration == manifest.configuration and other.digest() != manifest.digest()


def test_the_configuration_comes_from_the_bundle(bundle):
    manifest = read_manifest(bundle)
    assert adopt_configuration(bundle, manifest, {"bundle": str(bundle)}) == CONFIG | {"bundle": str(bundle)}
    same = {"bundle": str(bundle), "seeds": [42], "experiments": {"experiment1": {"seed": 42}}}
    adopt_configuration(bundle, manifest, same)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"seeds": [1]}, r"seeds is \[1\], but .* was made with \[42\]"),
        ({"experiments": {"experiment1": {"finetuning": {"updates": 3}}}}, r"finetuning\.updates is 3, but .* 2000"),
        ({"models": {"mine": {"group": "scratch"}}}, r"models\.mine\.group is \"scratch\", but .* with null"),
    ],
)
def test_another_configuration_is_refused(bundle, given, key):
    with pytest.raises(InputError, match=rf"{key}; a bundle brings its own configuration"):
        adopt_configuration(bundle, read_manifest(bundle), given)


def test_a_configuration_of_another_version_is_named(bundle):
    manifest = read_manifest(bundle)
    older = dataclasses.replace(manifest, configuration=manifest.configuration | {"colour": "red"})
    with pytest.raises(InputError, match=r"made by astromae .*; in this version, its configuration: colour is an unkn"):
        adopt_configuration(bundle, older, {})


def test_only_files_of_the_working_directory_are_packed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (Path("absent"), tmp_path / "absolute", Path("../outside")):
        with pytest.raises(InputError, match="no file below the working directory"):
            write_bundle([path], {}, tmp_path / "bundle.tar")


@pytest.mark.parametrize("options", [["-cf"], ["-czf"], ["-cjf"], ["-cJf"]], ids=lambda options: options[0])
@pytest.mark.parametrize("start", [".", "manifest.json"])
def test_a_bundle_that_was_unpacked_and_packed_again_is_read(bundle, tmp_path, options, start):
    """By people's own tar: compressed, with ./ before the names, the manifest anywhere."""
    folder = tmp_path / "by hand"
    folder.mkdir()
    subprocess.run(["tar", "-xf", bundle, "-C", folder], check=True)
    members = ["."] if start == "." else ["results", "manifest.json"]
    again = tmp_path / "again.tgz"
    subprocess.run(["tar", *options, again, "-C", folder, *members], check=True)
    assert read_manifest(again) == read_manifest(bundle)
    unpack(again, tmp_path / "there")
    for name, content in FILES.items():
        assert (tmp_path / "there" / name).read_bytes() == content


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("part", [0.3, 0.95])
def test_a_compressed_bundle_that_is_cut_off(bundle, tmp_path, mode, part):
    packed = tmp_path / "bundle.tar.packed"
    with tarfile.open(bundle) as archive, tarfile.open(packed, mode) as copy:
        for member in archive:
            copy.addfile(member, archive.extractfile(member))
    packed.write_bytes(packed.read_bytes()[: int(packed.stat().st_size * part)])
    with pytest.raises(InputError, match=r"bundle\.tar\.packed: .*(copy it again|lists it)") as refused:
        unpack(packed, tmp_path / "there")
    assert "\n" not in str(refused.value) and not (tmp_path / "there/results").exists()


def test_a_zip_is_named(bundle, tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.write(bundle, "bundle.tar")
    with pytest.raises(InputError, match=r"bundle\.zip: a zip archive.*unzip it first"):
        read_manifest(tmp_path / "bundle.zip")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *(
            (lambda content, key=key: content.pop(key), f"{key} is missing")
            for key in ("format", "code", "configuration", "files")
        ),
        (lambda content: content["code"].pop("version"), r"code\.version is missing"),
        (lambda content: content.update(files=[]), r"files is \[\]"),
        (lambda content: content.update(configuration=None), "configuration is null"),
        (lambda content: content["files"]["results/a.csv"].pop("size"), r"files\.results/a\.csv\.size is missing"),
        (lambda content: content.update(colour="red"), "colour is an unknown key"),
    ],
)
def test_a_manifest_that_someone_changed(bundle, change, words):
    def edit(members):
        content = json.loads(members[0][1])
        change(content)
        return [(members[0][0], json.dumps(content).encode()), *members[1:]]

    repack(bundle, edit)
    with pytest.raises(InputError, match=rf"bundle\.tar: its manifest\.json was changed.*{words}") as refused:
        read_manifest(bundle)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b'"x"'])
def test_a_manifest_of_another_kind(bundle, content):
    repack(bundle, lambda members: [(members[0][0], content), *members[1:]])
    with pytest.raises(InputError, match=r"its manifest\.json was changed after it was made"):
        read_manifest(bundle)


def test_a_bundle_does_not_say_which_code_is_run(tmp_path):
    """Its plugins are named, and loaded only where the person who unpacks it names them too."""
    manifest = Manifest(FORMAT, {"version": "1"}, CONFIG | {"plugins": ["mine.py"]}, {})
    with pytest.raises(InputError, match=r'made with the plugins \["mine.py"\], which it does not hold'):
        adopt_configuration(Path("b.tar"), manifest, {})
    own = {"plugins": ["elsewhere/mine.py"]}
    assert adopt_configuration(Path("b.tar"), manifest, own)["plugins"] == own["plugins"]
