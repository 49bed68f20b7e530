"""Embeddings of anyone's galaxies: those of the network, with all columns, and of nobody who is left out."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astromae import load_model
from astromae.asking import stamp_files
from astromae.asking.ask import Question, predict_galaxies
from astromae.asking.embed import embed_galaxies
from astromae.asking.export import export_model
from astromae.asking.listed import Where
from astromae.asking.oddities import mislabels
from astromae.asking.search import find
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.cli import app
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.embeddings import Embeddings
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.predict import TrainedEncoder
from astromae.stamps.fetch import Download
from astromae.survey.sdss_catalog import Pace
from servers.sdss import Server
from servers.sky import small_sky
from training_inputs import model_recipe, run_train
from typer.testing import CliRunner

MAGNITUDES = magnitude_columns(BANDS)
NOWHERE = Where("https://no.where", "/no/where", 17, Pace(), Download())


def trained(galaxies, folder, **branches):
    recipe = model_recipe(**{"encoder": None, "pretrained": False, "frozen": False, **branches})
    run_train(galaxies, folder, recipe)
    return folder


@pytest.fixture(scope="module")
def of_both(galaxies, tmp_path_factory):
    return trained(galaxies, tmp_path_factory.mktemp("both"), inception=True, magnitude=True)


@pytest.fixture(scope="module")
def of_magnitudes(galaxies, tmp_path_factory):
    return trained(galaxies, tmp_path_factory.mktemp("magnitudes"), inception=False, magnitude=True)


@pytest.fixture(scope="module")
def stamps(galaxies):
    """Stamps of twelve galaxies with objid and magnitudes, as an .npz has them."""
    catalog = pd.read_parquet(galaxies / "galaxies.parquet").iloc[:12]
    objid = catalog["objid"].to_numpy()
    images = StampSet([galaxies / "0000.h5"]).read(objid).astype(np.float32)
    return {"images": images, "objid": objid, **{name: catalog[name].to_numpy() for name in MAGNITUDES}}


def written(path, content, **changes):
    np.savez(path, **{**content, **changes})
    return path


def on_strip(strip):
    """Return the galaxies of the small archive as a list, and where that is; the first comes again at the end."""
    table = strip.galaxies[["objid", "ra", "dec", "run", "camcol", "field"]].copy()
    table = pd.concat([table, table.iloc[[0]]], ignore_index=True)
    table["z"] = np.linspace(0.1, 0.4, len(table))
    table["S/N"] = [5, 6, None, 8, 9, 10, 11]
    table["kind"] = ["spiral", "elliptical", "spiral", "", "spiral", "elliptical", "spiral"]
    table["code"] = [f"00{row}" for row in range(len(table))]
    table["Kind"] = "galaxy"
    table["row"] = range(7)
    return table, replace(NOWHERE, archive=str(strip.archive))


def test_stamps_keep_their_columns(encoder, stamps, tmp_path):
    own = {"z": np.linspace(0.1, 0.3, 12), "name": np.array([f"NGC {n}" for n in range(12)]), "a/b": np.arange(12)}
    given = written(tmp_path / "mine.npz", stamps, ra=np.arange(12.0), dec=np.zeros(12), **own)
    output = tmp_path / "out.h5"
    assert embed_galaxies(encoder, given, output, NOWHERE) == 12
    found = Embeddings(output)
    np.testing.assert_array_equal(found.objid, stamps["objid"])
    np.testing.assert_array_equal(found.vectors, load_model(encoder).predict(stamps["images"])["features"])
    assert set(found.columns) == {"ra", "dec", *MAGNITUDES, "z", "name", "a_b"}
    for name, values in own.items():
        np.testing.assert_array_equal(found.column(name.replace("/", "_")), values)
    assert found.about["source"] == "mine.npz" and found.about["seed"] == 42
    assert {"z", "name"} <= set(find(found, int(stamps["objid"][3]), 5))


def test_bands_and_unit_are_those_of_predict(encoder, stamps, tmp_path):
    embed_galaxies(encoder, written(tmp_path / "mine.npz", stamps), tmp_path / "right.h5", NOWHERE)
    turned = stamps["images"][:, ::-1].astype(np.float64) * 1e-9
    given = written(tmp_path / "turned.npz", stamps, images=turned)
    command = ["embed", encoder, given, "-o", tmp_path / "out.h5", "--bands", "zirgu", "--unit", "maggies"]
    ran = CliRunner().invoke(app, list(map(str, command)))
    assert ran.exit_code == 0 and "12 embedded" in ran.output
    right, found = Embeddings(tmp_path / "right.h5").vectors, Embeddings(tmp_path / "out.h5").vectors
    np.testing.assert_allclose(found, right, atol=2e-3)
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    for options in ({"bands": BANDS[::-1]}, {"unit": "maggies"}):
        with pytest.raises(InputError, match="a list of galaxies has no bands or unit of its own"):
            embed_galaxies(encoder, tmp_path / "list.csv", tmp_path / "none.h5", NOWHERE, **options)


def test_a_list_keeps_its_columns(encoder, of_images, strip, tmp_path):
    table, where = on_strip(strip)
    table.to_csv(tmp_path / "list.csv", index=False)
    predict_galaxies([of_images], tmp_path / "list.csv", tmp_path / "told.parquet", where, Question())
    told = pd.read_parquet(tmp_path / "told.parquet")
    answered = told[told["reason"] == ""]
    # One lies across the edge of its field, and one comes again.
    assert len(answered) == len(table) - 2
    count = embed_galaxies(encoder, tmp_path / "list.csv", tmp_path / "out.h5", where)
    found = Embeddings(tmp_path / "out.h5")
    assert count == len(found) == len(answered)
    rows = found.column("row") - 1
    assert sorted(rows) == answered.index.tolist()
    own = table.iloc[rows].reset_index(drop=True)
    np.testing.assert_array_equal(found.objid, own["objid"])
    for name, column in {
        "ra": "ra",
        "dec": "dec",
        "z": "z",
        "kind": "kind",
        "code": "code",
        "row_listed": "row",
    }.items():
        np.testing.assert_array_equal(found.column(name), own[column])
    assert set(found.column("Kind_2")) == {"galaxy"} and "objid_listed" not in found.columns
    np.testing.assert_array_equal(found.column("S_N"), own["S/N"])
    contradicted = mislabels(found, "z", 3)
    assert set(contradicted["z"]) <= set(table["z"])


def test_whole_numbers_with_missing_ones_stay_kinds(encoder, strip, tmp_path):
    table, where = on_strip(strip)
    table["class"] = [str(2**60 + 1), "", *"22222"]
    table.to_csv(tmp_path / "list.csv", index=False)
    embed_galaxies(encoder, tmp_path / "list.csv", tmp_path / "out.h5", where)
    found = Embeddings(tmp_path / "out.h5")
    assert found.column("class").tolist() == table["class"].iloc[found.column("row") - 1].tolist()
    assert set(mislabels(found, "class", 9)["class"]) == {str(2**60 + 1), "2"}


def test_magnitudes_are_all_that_some_models_read(of_magnitudes, tmp_path, capfd):
    """Of positions that SkyServer knows or not; the archive is nowhere."""
    photo = pd.DataFrame(small_sky(12)["PhotoObjAll"]).iloc[:12]
    table = pd.DataFrame({"ra": photo["ra"], "dec": photo["dec"], "objid": np.arange(12), "mine": list("abcdefghijkl")})
    table = pd.concat([pd.DataFrame({"ra": [10.0], "dec": [-60.0], "objid": [12], "mine": ["m"]}), table])
    table.to_csv(tmp_path / "list.csv", index=False)
    with Server(tables=small_sky(12)) as server:
        where = replace(NOWHERE, server=server.skyserver, pace=Pace(100_000, 5, 2, 0.005))
        count = embed_galaxies(of_magnitudes, tmp_path / "list.csv", tmp_path / "out.h5", where)
    found = Embeddings(tmp_path / "out.h5")
    magnitudes = np.column_stack([photo[f"modelMag_{band}"] - photo[f"extinction_{band}"] for band in BANDS])
    known = (magnitudes > 0).all(axis=1)
    assert count == len(found) == known.sum() < 12
    assert sorted(found.objid) == sorted(photo["objID"][known])
    assert found.column("objid_listed").tolist() == (found.column("row") - 2).tolist()
    assert found.column("mine").tolist() == table["mine"].iloc[found.column("row") - 1].tolist()
    said = capfd.readouterr().err
    assert f"{12 - count} galaxies without what the encoder reads are left out" in said
    assert "1 rows of" in said and "are no galaxies, or come again, and are left out" in said
    order = [photo["objID"].tolist().index(objid) for objid in found.objid]
    network = load_model(of_magnitudes)
    blank = np.zeros((count, 5, 32, 32), np.float32)
    expected = network.embed_and_predict(blank, magnitudes[order])[0]
    np.testing.assert_allclose(found.vectors.astype(np.float32), expected, rtol=2e-3, atol=1e-4)


def test_a_model_s_embeddings_are_of_those_that_have_all_it_reads(of_both, stamps, tmp_path, capfd):
    images, magnitudes = stamps["images"].copy(), stamps["mag_g"].copy()
    images[1, 2, 30, 30], magnitudes[4] = np.nan, -9999
    given = written(tmp_path / "mine.npz", stamps, images=images, mag_g=magnitudes)
    assert embed_galaxies(of_both, given, tmp_path / "out.h5", NOWHERE) == 10
    assert "2 galaxies without what the encoder reads are left out" in capfd.readouterr().err
    kept = np.delete(np.arange(12), [1, 4])
    found = Embeddings(tmp_path / "out.h5")
    np.testing.assert_array_equal(found.objid, stamps["objid"][kept])
    all_magnitudes = np.column_stack([stamps[name] for name in MAGNITUDES])
    expected = load_model(of_both).embed_and_predict(stamps["images"][kept], all_magnitudes[kept])[0]
    np.testing.assert_allclose(found.vectors.astype(np.float32), expected, rtol=2e-3, atol=1e-4)
    without = {name: values for name, values in stamps.items() if name not in MAGNITUDES}
    with pytest.raises(InputError, match=r"no galaxy has mag_u, .*, which .* reads; put them beside"):
        embed_galaxies(of_both, written(tmp_path / "bare.npz", without), tmp_path / "none.h5", NOWHERE)


def test_two_rows_with_one_objid_are_named(encoder, stamps, tmp_path):
    objid = stamps["objid"].copy()
    objid[9] = objid[3]
    given = written(tmp_path / "mine.npz", stamps, objid=objid)
    with pytest.raises(InputError, match=rf"mine.npz: rows 4 and 10 have one objid, {objid[3]}"):
        embed_galaxies(encoder, given, tmp_path / "out.h5", NOWHERE)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]


def folder_of_stamps(stamps, folder):
    folder.mkdir()
    for row, image in enumerate(stamps["images"]):
        np.save(folder / f"{row:02d}.npy", image)
    return folder


def in_small_batches(monkeypatch):
    monkeypatch.setattr(stamp_files, "BATCH", 4)
    monkeypatch.setattr(stamp_files, "BLOCK", 2)


def test_a_run_that_fails_leaves_what_was_there(encoder, stamps, tmp_path, monkeypatch):
    in_small_batches(monkeypatch)
    given = folder_of_stamps(stamps, tmp_path / "stamps")
    # In the last of three batches; as many bytes as a stamp has.
    np.save(given / "11.npy", stamps["images"][11].reshape(64, 5, 64))
    for before in ([], [b"older embeddings"]):
        for content in before:
            (tmp_path / "out.h5").write_bytes(content)
        with pytest.raises(InputError, match=r"11\.npy"):
            embed_galaxies(encoder, given, tmp_path / "out.h5", NOWHERE)
        assert [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()] == before
        assert {path.name for path in tmp_path.iterdir()} <= {"stamps", "out.h5"}


def test_a_run_that_is_stopped_leaves_nothing(encoder, stamps, tmp_path, monkeypatch):
    in_small_batches(monkeypatch)
    given, batches = folder_of_stamps(stamps, tmp_path / "stamps"), []
    real = TrainedEncoder.predict

    def stopped(self, images, magnitudes=None):
        batches.append(len(images))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return real(self, images, magnitudes)

    with monkeypatch.context() as broken:
        broken.setattr(TrainedEncoder, "predict", stopped)
        with pytest.raises(KeyboardInterrupt):
            embed_galaxies(encoder, given, tmp_path / "out.h5", NOWHERE)
    assert [path.name for path in tmp_path.iterdir()] == ["stamps"]
    assert embed_galaxies(encoder, given, tmp_path / "out.h5", NOWHERE) == 12
    assert Embeddings(tmp_path / "out.h5").column("file").tolist() == [f"{row:02d}.npy" for row in range(12)]


def test_paths_that_cannot_be(encoder, stamps, tmp_path):
    given, archive = written(tmp_path / "mine.npz", stamps), tmp_path / "encoder.zip"
    export_model(encoder, archive)
    before = archive.read_bytes()
    for output, words in (
        (given, "is what is asked about; give the answers another name"),
        (archive, "is the model that is asked; give the answers another name"),
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "none/out.h5", "there is no folder"),
    ):
        with pytest.raises(InputError, match=words):
            embed_galaxies(archive, given, output, NOWHERE)
    with pytest.raises(InputError, match=r"none\.csv: no such file or folder"):
        embed_galaxies(archive, tmp_path / "none.csv", tmp_path / "out.h5", NOWHERE)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.npz", "encoder.zip"}
    assert archive.read_bytes() == before
    assert embed_galaxies(archive, given, tmp_path / "out.h5", NOWHERE) == 12


def test_a_classical_method_has_no_embeddings(galaxies, stamps, tmp_path):
    recipe = ClassicalRecipe(experiment="experiment1", model="local-linear", group="classical", task="redshift")
    fit_classical(galaxies / "galaxies.parquet", galaxies / "split.parquet", recipe, 42, tmp_path / "method")
    given = written(tmp_path / "mine.npz", stamps)
    with pytest.raises(InputError, match="a classical method has no embeddings; give an encoder or a network"):
        embed_galaxies(tmp_path / "method", given, tmp_path / "out.h5", NOWHERE)
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("pixel_scale_arcsec", 0.2, "stamps of SDSS have 0.396 arcsec a pixel, .* 0.2"),
        ("bands", list("grizy"), "a list of galaxies is of SDSS, and .* reads g, r, i, z, y"),
    ],
)
def test_encoders_and_models_of_another_survey_refuse_lists(encoder, of_images, tmp_path, key, value, words):
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    for name, folder in (("encoder", encoder), ("model", of_images)):
        shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("checkpoints"))
        recipe = json.loads((folder / "recipe.json").read_text())
        recipe["scaling"]["stamps"][key] = value
        (tmp_path / name / "recipe.json").write_text(json.dumps(recipe))
        with pytest.raises(InputError, match=f"list.csv: {words}"):
            embed_galaxies(tmp_path / name, tmp_path / "list.csv", tmp_path / "out.h5", NOWHERE)
    with pytest.raises(InputError, match=f"list.csv: {words}"):
        predict_galaxies([tmp_path / "model"], tmp_path / "list.csv", tmp_path / "out.csv", NOWHERE, Question())
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv", "encoder", "model"}
