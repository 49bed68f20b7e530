"""Archives of models: the same bytes each time, the same predictions, and nothing of a hostile one is used."""

import hashlib
import json
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae import model_archive as archives
from astromae.asking.export import export_model
from astromae.asking.model_card import model_card
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from astromae.contracts.votes import vote_column
from astromae.errors import InputError
from astromae.model_archive import ALWAYS, CARD, MANIFEST, opened
from astromae.predict import load_model
from training_inputs import model_recipe, run_train

LINEAR = ClassicalRecipe(experiment="experiment1", model="local-linear", group="classical", task="redshift")
DISTRIBUTIONS = {"task": "redshift_pdf", "bins": 20, "z_max": 0.4}


def place(galaxies, run, folder):
    """Lay a trained folder into a run, beside its catalogue and split, and return where it lies."""
    (run / "catalog").mkdir(parents=True, exist_ok=True)
    (run / "splits").mkdir(exist_ok=True)
    if not (run / "catalog/galaxies.parquet").exists():
        import pyarrow.parquet as pq

        table = pq.read_table(galaxies / "galaxies.parquet")
        about = {"survey": "embedded", "release": 17, "source": "a package", "real": "fluxes and redshifts"}
        metadata = {b"astromae": json.dumps(about).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), run / "catalog/galaxies.parquet")
        shutil.copyfile(galaxies / "split.parquet", run / "splits/experiment1.parquet")
    return run / folder


@pytest.fixture(scope="module")
def run(galaxies, encoder, features, tmp_path_factory):
    """A run with a model of each kind: the folders by kind."""
    root = tmp_path_factory.mktemp("results")
    model = place(galaxies, root, "models/experiment1/pcm-astromae/seed42")
    run_train(galaxies, model, model_recipe(), encoder, features)
    density = place(galaxies, root, "models/experiment1/henghes/seed42")
    branches = {"encoder": None, "pretrained": False, "frozen": False, "inception": False}
    recipe = model_recipe(task=DISTRIBUTIONS, backbone=None, **branches)
    run_train(galaxies, density, recipe.model_copy(update={"model": "henghes", "group": "scratch"}))
    linear = place(galaxies, root, "models/experiment1/local-linear/seed42")
    fit_classical(galaxies / "galaxies.parquet", galaxies / "split.parquet", LINEAR, 42, linear)
    pretrained = place(galaxies, root, "encoders/pcm/experiment1/seed42")
    shutil.copytree(encoder, pretrained)
    return {"network": model, "density": density, "classical": linear, "encoder": pretrained}


@pytest.fixture(scope="module")
def archive(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "model.zip"
    export_model(run["classical"], path)
    return path


def evaluated(galaxies, folder):
    """Return the test galaxies' stamps and magnitudes."""
    split = pd.read_parquet(galaxies / "split.parquet").query("subset == 'test'")
    stamps = StampSet([galaxies / "0000.h5"]).read(split.objid.to_numpy()).astype(np.float32)
    table = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid")
    return stamps, table.loc[split.objid, [f"mag_{band}" for band in BANDS]].to_numpy()


@pytest.mark.parametrize("kind", ["network", "density", "classical", "encoder"])
def test_an_archive_predicts_the_same_bits_and_is_the_same_bytes_again(galaxies, run, kind, tmp_path, monkeypatch):
    path = tmp_path / "model.zip"
    export_model(run[kind], path)
    export_model(run[kind], tmp_path / "again.zip")
    assert path.read_bytes() == (tmp_path / "again.zip").read_bytes()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    given = evaluated(galaxies, run[kind])
    expected, model = load_model(run[kind]).predict(*given), load_model(path)
    # Nothing is left behind, and nothing of it is needed any more.
    assert not list((tmp_path / "temporary").iterdir())
    path.unlink()
    found = model.predict(*given)
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


def test_an_archive_holds_what_a_prediction_needs_and_no_galaxies(run, tmp_path):
    export_model(run["network"], tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        expected = {*ALWAYS, "history.csv", MANIFEST} | {path.name for path in run["network"].glob("reference.*")}
        assert set(archive.namelist()) == expected
        manifest = json.loads(archive.read(MANIFEST))
        for name in ("recipe.json", "weights.safetensors", "provenance.json", "history.csv"):
            content = archive.read(name)
            assert content == (run["network"] / name).read_bytes()
            assert manifest["files"][name] == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert archive.read(CARD).decode() == model_card(run["network"])


def test_references_go_along(run, tmp_path):
    folder = shutil.copytree(run["classical"], tmp_path / "seed42")
    shutil.copyfile(folder / "weights.safetensors", folder / "reference.safetensors")
    export_model(folder, tmp_path / "model.zip")
    with opened(tmp_path / "model.zip") as found:
        assert (found / "reference.safetensors").stat().st_size == (folder / "weights.safetensors").stat().st_size
    assert not found.exists()


def test_a_folder_is_opened_as_it_is(run):
    with opened(run["network"]) as folder:
        assert folder == run["network"]


def test_repacked_by_another_program_it_still_loads(galaxies, run, archive, tmp_path):
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name in reversed(source.namelist()):
            target.writestr(name, source.read(name))
    given = evaluated(galaxies, run["classical"])
    found, expected = (load_model(path).predict(*given)["z_pred"] for path in (tmp_path / "m.zip", run["classical"]))
    np.testing.assert_array_equal(found, expected)


def test_the_package_is_light_and_gives_load_model():
    code = "import sys, astromae; from astromae import errors; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    import astromae

    assert astromae.load_model is load_model
    with pytest.raises(AttributeError, match="no attribute 'load_models'"):
        astromae.load_models  # noqa: B018


def test_card_of_a_regression(run):
    card = model_card(run["network"])
    assert card.startswith("# pcm-AstroMAE\n")
    assert "**Pixels are simulated; fluxes and redshifts are of real galaxies.**" in card
    assert "encoder `pcm` (pcm-vit," in card and "pretrained (masked autoencoder) on 48 stamps without labels" in card
    assert "Training galaxies, with labels: 40" in card and "- Seed: 42" in card
    assert "u, g, r, i, z; 0.396 arcsec a pixel" in card and "64 x 64 px; it sees the 32 x 32" in card
    predictions = pd.read_parquet(run["network"] / "predictions.parquet").query("subset == 'test'")
    mae = float(next(line for line in card.splitlines() if line.startswith("| MAE |")).split("|")[2])
    assert mae == pytest.approx((predictions.z_pred - predictions.z_spec).abs().mean(), rel=0.05)
    assert "On 16 test galaxies" in card and "95 % interval" in card
    assert "It has never seen a real image" in card and "MIT, these weights" in card
    assert "torch 2" in card and 'load_model("model.zip")' in card
    split = pd.read_parquet(run["network"].parents[3] / "splits/experiment1.parquet").query("subset == 'train'")
    z = pd.read_parquet(run["network"].parents[3] / "catalog/galaxies.parquet").set_index("objid").z[split.objid]
    assert f"{z.min():.4f} to {z.max():.4f}" in card


def test_card_of_distributions(run):
    card = model_card(run["density"])
    assert "as a whole distribution for each" in card and "each of 20 bins from 0 to 0.4 (column `z_pdf`)" in card
    assert all(f"| {name} |" in card for name in ("NMAD", "CRPS", "Inside 68 %", "Inside 95 %"))
    # It reads magnitudes alone.
    assert "- Stamps:" not in card and "- Bands: u, g, r, i, z\n- Units: magnitudes AB, dereddened\n" in card
    assert "stamps: any numbers (n, 5, 32, 32); it counts them, and reads none" in card
    assert "It reads no pixels" in card


def test_card_of_a_classical_method(run):
    card = model_card(run["classical"])
    assert "classical method `local-linear`, no network; reads dereddened magnitudes alone" in card
    assert "It reads no pixels" in card and "never seen a real image" not in card
    assert "model.predict(magnitudes=magnitudes)" in card and "scikit-learn" in card
    assert "240 numbers: what it measures of its training galaxies, and their labels" in card
    assert "- Units: magnitudes AB, dereddened\n" in card


def test_card_of_a_model_of_shapes(galaxies, tmp_path):
    catalog = pd.read_parquet(galaxies / "galaxies.parquet")
    random = np.random.default_rng(0)
    votes = {vote_column(name): random.uniform(size=len(catalog)) for name in ("bar", "merger")}
    catalog.assign(**votes).to_parquet(tmp_path / "galaxies.parquet")
    task = {"task": "morphology", "questions": ["bar", "merger"]}
    recipe = LINEAR.model_copy(update={"model": "hgb-apertures", "task": task, "crop": 32})
    folder = place(galaxies, tmp_path / "results", "models/experiment1/hgb-apertures/seed42")
    split, shard = galaxies / "split.parquet", galaxies / "0000.h5"
    fit_classical(tmp_path / "galaxies.parquet", split, recipe, 42, folder, [shard])
    card = model_card(folder)
    assert "The shape of galaxies." in card and "columns `p_bar`, `p_merger`" in card
    assert "- Stamps: the 32 x 32 px in the centre are measured\n- Units: pixels in nanomaggies\n" in card
    assert "ROC area" in card and "z_spec" not in card and "0.7 of all votes for one answer" in card
    assert "no person has voted" in card and "It has never seen a real image" in card
    assert 'model.predict(stamps=stamps)["p_bar"]' in card


def test_card_of_an_encoder(run):
    card = model_card(run["encoder"])
    assert card.startswith("# pcm encoder\n") and "Pretraining: masked autoencoder, without labels" in card
    assert "24 numbers a galaxy" in card and "None: no predictions" in card and "- Stamps: 48\n" in card
    assert "astromae embed model.zip galaxies.csv -o embeddings.h5" in card and "astromae predict" not in card
    assert "- Units: pixels in nanomaggies\n" in card


def test_card_of_a_copied_folder_says_what_it_does_not_know(run, tmp_path):
    card = model_card(shutil.copytree(run["network"], tmp_path / "seed42"))
    assert "Survey: not recorded beside this folder" in card
    assert "Whether its pixels were real or simulated is not recorded" in card
    assert "Redshifts of the test galaxies" in card and "MIT, these weights" not in card
    catalog = pd.read_parquet(run["network"].parents[3] / "catalog/galaxies.parquet").set_index("objid")
    split = pd.read_parquet(run["network"].parents[3] / "splits/experiment1.parquet").query("subset == 'train'")
    u = catalog.mag_u[split.objid]
    assert f"- Magnitudes of its training galaxies, all of them: u {u.min():.1f} to {u.max():.1f}, g" in card


def test_a_catalogue_of_other_galaxies_is_not_believed(run, tmp_path):
    results = shutil.copytree(run["classical"].parents[3], tmp_path / "results")
    catalog = results / "catalog/galaxies.parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(catalog)
    other = table.set_column(table.schema.get_field_index("objid"), "objid", pa.array(range(len(table))))
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), catalog)
    assert "Survey: not recorded" in model_card(results / "models/experiment1/local-linear/seed42")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder", r"folder: is a folder; name the archive, for example .*folder/model\.zip"),
        ("folder.zip", r"folder\.zip: is a folder; name the archive"),
        ("model", r"model: the name of an archive ends in \.zip, for example .*model\.zip"),
        ("none/model.zip", "there is no folder .*none; make it first"),
    ],
)
def test_a_wrong_place_for_an_archive_is_said_before_any_work(output, message, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(InputError, match=message):
        export_model(tmp_path / "no model at all", tmp_path / output)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "folder.zip"]


def test_what_nobody_could_open_is_not_exported(run, tmp_path):
    folder = shutil.copytree(run["classical"], tmp_path / "seed42")
    about = json.loads((folder / "recipe.json").read_text())
    about["recipe"]["experiment"] = "long" * 100
    (folder / "recipe.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="allowed: at most 200 letters on one line"):
        export_model(folder, tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


def test_a_folder_that_cannot_be_exported_is_named(run, tmp_path):
    folder = shutil.copytree(run["classical"], tmp_path / "seed42")
    (folder / "provenance.json").unlink()
    with pytest.raises(InputError, match=r"provenance\.json: not the provenance"):
        export_model(folder, tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


# Hostile archives: each is made from a good one by a change of its members.


def members_of(archive):
    with zipfile.ZipFile(archive) as source:
        return [(zipfile.ZipInfo(name), source.read(name)) for name in source.namelist()]


def pack(path, members, manifest=None):
    """Write members, and a manifest that is right for them unless another is given."""
    with zipfile.ZipFile(path, "w") as target:
        for info, content in members:
            if info.filename == MANIFEST:
                continue
            target.writestr(info, content)
        files = {
            info.filename: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for info, content in members
            if info.filename != MANIFEST
        }
        honest = {"format": 1, "version": "0.1.0", "files": files}
        target.writestr(MANIFEST, json.dumps(honest if manifest is None else manifest))


def added(name, content=b"x", **attributes):
    def change(members):
        info = zipfile.ZipInfo(name)
        for key, value in attributes.items():
            setattr(info, key, value)
        return [*members, (info, content)]

    return change


def replaced(name, content, **attributes):
    def change(members):
        kept = [member for member in members if member[0].filename != name]
        return added(name, content, **attributes)(kept)

    return change


def without(name):
    return lambda members: [member for member in members if member[0].filename != name]


def attributes(name, **given):
    def change(members):
        (content,) = (content for info, content in members if info.filename == name)
        return replaced(name, content, **given)(members)

    return change


def nested(levels):
    return b'{"a": ' * levels + b"1" + b"}" * levels


HOSTILE = {
    "absolute": (added("/tmp/astromae-was-here"), "holds '/tmp/astromae-was-here'"),
    "parent": (added("../astromae-was-here"), r"holds '\.\./astromae-was-here'"),
    "windows": (added("..\\recipe.json"), "holds "),
    "folder": (added("recipe.json/", b""), "holds 'recipe.json/'"),
    "pickle": (added("weights.pkl"), r"holds 'weights\.pkl'; an archive of a model holds manifest\.json"),
    "zero byte": (added("recipe.json\0.py"), "holds "),
    "upper case": (added("RECIPE.JSON"), "holds 'RECIPE.JSON'"),
    "control characters": (added("a\x1b[2J\nb"), r"holds 'a\\x1b\[2J\\nb'"),
    "link": (
        attributes("recipe.json", create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16),
        "recipe.json is a link, a folder or a device",
    ),
    "device": (attributes("recipe.json", create_system=3, external_attr=stat.S_IFCHR << 16), "recipe.json is a link"),
    "lzma": (attributes("recipe.json", compress_type=zipfile.ZIP_LZMA), "recipe.json is compressed by method 14"),
    "missing": (without("weights.safetensors"), "holds no weights.safetensors"),
    "deep": (replaced("recipe.json", nested(100_000)), "its recipe.json is nested too deeply"),
    "deep enough": (replaced("provenance.json", nested(200)), "its provenance.json is nested too deeply"),
    "no object": (replaced("recipe.json", b"[]"), "its recipe.json is no JSON object"),
    "no json": (replaced("recipe.json", b"\xff{"), "its recipe.json is no JSON"),
    "large json": (replaced("recipe.json", b" " * 1_000_001), "recipe.json has 1,000,001 bytes; it may have 1,000,000"),
    "deflated bomb": (
        replaced("recipe.json", b" " * 30_000_000, compress_type=zipfile.ZIP_DEFLATED),
        "recipe.json has 30,000,000 bytes",
    ),
    "wrong weights": (replaced("weights.safetensors", b"\x80\x04."), "weights.safetensors: no readable weights"),
    "no recipe": (replaced("recipe.json", b"{}"), r"model\.zip/recipe\.json: not the recipe of a model"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_line(archive, case, tmp_path, monkeypatch):
    change, message = HOSTILE[case]
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    pack(tmp_path / "model.zip", change(members_of(archive)))
    with pytest.raises(InputError, match=message) as raised:
        load_model(tmp_path / "model.zip")
    assert "\n" not in str(raised.value) and str(raised.value).startswith(str(tmp_path / "model.zip"))
    assert not list((tmp_path / "temporary").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.zip", "temporary"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_stands_twice_is_refused(archive, tmp_path):
    pack(tmp_path / "model.zip", added("recipe.json", b"{}")(members_of(archive)))
    with pytest.raises(InputError, match=r"holds recipe\.json twice"):
        load_model(tmp_path / "model.zip")


MANIFESTS = {
    "other format": ({"format": 2, "version": "9.9"}, "archive format '2', made by astromae '9.9'"),
    "no files": ({"format": 1, "version": "0.1.0"}, r"'files': Field required"),
    "unlisted": ({"format": 1, "version": "0.1.0", "files": {}}, "which its manifest.json does not list"),
    "deep": (json.loads(nested(100)), "its manifest.json is nested too deeply"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_wrong_manifest_is_refused(archive, case, tmp_path):
    manifest, message = MANIFESTS[case]
    pack(tmp_path / "model.zip", members_of(archive), manifest)
    with pytest.raises(InputError, match=message):
        load_model(tmp_path / "model.zip")


def test_a_manifest_that_lists_more_or_otherwise_is_refused(archive, tmp_path):
    with zipfile.ZipFile(archive) as source:
        manifest = json.loads(source.read(MANIFEST))
    path, members = tmp_path / "model.zip", members_of(archive)
    pack(path, members, {**manifest, "files": {**manifest["files"], "../a": {"size": 1, "sha256": "0"}}})
    with pytest.raises(InputError, match=r"does not hold '\.\./a', which its manifest.json lists"):
        load_model(path)
    files = {**manifest["files"], "recipe.json": {**manifest["files"]["recipe.json"], "sha256": "0" * 64}}
    pack(path, members, {**manifest, "files": files})
    with pytest.raises(InputError, match=r"recipe\.json is damaged: its SHA-256"):
        load_model(path)
    files["recipe.json"] = {**files["recipe.json"], "size": 3}
    pack(path, members, {**manifest, "files": files})
    with pytest.raises(InputError, match=r"its manifest\.json says 3"):
        load_model(path)


def test_no_zip_a_truncated_one_and_none_at_all(archive, tmp_path):
    path = tmp_path / "model.zip"
    with pytest.raises(InputError, match=r"model\.zip: no such model folder or archive"):
        load_model(path)
    for content in (b"", b"hello", archive.read_bytes()[:-30], archive.read_bytes()[100:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.zip: (not a readable zip archive|holds)"):
            load_model(path)


def flipped(archive, name, field, value):
    """Return an archive's bytes with a number of a member's entry in the directory changed: format, offset there."""
    content, kind, offset = bytearray(archive.read_bytes()), *field
    position = content.rfind(name.encode()) - 46
    assert content[position : position + 4] == b"PK\1\2"
    struct.pack_into(kind, content, position + offset, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (("<H", 8), 1, "is encrypted or a patch"),
        (("<H", 8), 0x2001, "is encrypted or a patch"),
        (("<H", 10), 99, "is compressed by method 99"),
        (("<H", 6), 90, "not a readable zip archive"),
        # A bomb that says that it is small, and a file that says that it is larger than it is.
        (("<I", 24), 10, "not a readable zip archive|recipe.json has 10 bytes, its manifest.json says"),
        (("<I", 24), 999_999, "recipe.json has 999,999 bytes, its manifest.json says"),
        (("<I", 24), 0xFFFFFFFE, "recipe.json has 4,294,967,294 bytes; it may have 1,000,000"),
        (("<I", 16), 1, "not a readable zip archive"),
        (("<I", 42), 0x7FFFFFFF, "not a readable zip archive"),
    ],
)
def test_an_entry_that_lies_is_refused(archive, field, value, message, tmp_path):
    (tmp_path / "model.zip").write_bytes(flipped(archive, "recipe.json", field, value))
    with pytest.raises(InputError, match=message) as raised:
        load_model(tmp_path / "model.zip")
    assert "\n" not in str(raised.value)


def test_no_damage_does_more_than_say_so(archive, tmp_path):
    """Bytes of headers and directory, of which there are few, are changed at random."""
    good, random = archive.read_bytes(), np.random.default_rng(1)
    with zipfile.ZipFile(archive) as source:
        starts = [member.header_offset for member in source.infolist()]
        directory = source.start_dir
    places = np.concatenate([np.arange(start, start + 40) for start in starts] + [np.arange(directory, len(good))])
    refused = 0
    for _ in range(500):
        content = bytearray(good)
        for position in random.choice(places, random.integers(1, 4)):
            content[position] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.integers(256)])
        (tmp_path / "model.zip").write_bytes(content)
        try:
            with opened(tmp_path / "model.zip") as folder:
                assert (folder / "recipe.json").read_bytes() in good
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 250


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_bomb_that_lies_in_entry_and_manifest_is_not_unpacked(archive, method, tmp_path):
    """All agree on ten bytes; the stream holds ten million. No more than the ten are ever written."""
    path, bomb = tmp_path / "model.zip", b" " * 10_000_000
    with zipfile.ZipFile(archive) as source:
        manifest = json.loads(source.read(MANIFEST))
    manifest["files"]["history.csv"] = {"size": 10, "sha256": hashlib.sha256(bomb[:10]).hexdigest()}
    pack(path, added("history.csv", bomb, compress_type=method)(members_of(archive)), manifest)
    path.write_bytes(flipped(path, "history.csv", ("<I", 24), 10))
    with pytest.raises(InputError, match=r"not a readable zip archive|another size than the archive says"):
        load_model(path)


def test_all_together_may_not_be_too_much(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_IN_ALL", 1000)
    with pytest.raises(InputError, match="together they may have 1,000"):
        load_model(archive)


def test_a_directory_of_gigabytes_is_not_read(tmp_path):
    """The archive's end says that its directory has all of the file, most of which is a hole."""
    path, size = tmp_path / "model.zip", 3_000_000_000
    with open(path, "wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0))
    with pytest.raises(InputError, match=r"not a readable zip archive .*its directory has 3,000,000,000 bytes"):
        load_model(path)


def test_what_an_archive_says_is_held_against_the_limits(run, tmp_path):
    """All of them are in test_model_limits.py; the message names the archive."""
    recipe = json.loads((run["network"] / "recipe.json").read_text())
    recipe["recipe"]["backbone"] |= {"width": 8160, "depth": 6}
    export_model(run["network"], tmp_path / "good.zip")
    pack(
        tmp_path / "model.zip", replaced("recipe.json", json.dumps(recipe).encode())(members_of(tmp_path / "good.zip"))
    )
    with pytest.raises(InputError, match=r"model\.zip/recipe\.json: backbone\.width is 8160; allowed: at most"):
        load_model(tmp_path / "model.zip")


def test_no_file_stays_open(archive):
    def files():
        return {str(path.resolve()) for path in Path("/proc/self/fd").iterdir() if path.exists()}

    load_model(archive)
    assert str(archive.resolve()) not in files()
    assert "astromae-" not in Path("/proc/self/maps").read_text()


def test_an_error_of_the_reader_is_its_own(archive):
    with pytest.raises(OSError, match="mine"), opened(archive):
        raise OSError("mine")
