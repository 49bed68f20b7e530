"""A stamp is asked about among embeddings of its own encoder, and of no other."""

import json
import shutil

import h5py
import numpy as np
import pytest
from astromae.asking.embed import embed_galaxies
from astromae.asking.export import export_model
from astromae.asking.places import survey_place
from astromae.asking.stamp_query import embed_stamp
from astromae.cli import app
from astromae.contracts.embeddings import Embeddings
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def embedded(galaxies, encoder, tmp_path_factory):
    """Embeddings of all galaxies."""
    output = tmp_path_factory.mktemp("embedded") / "embeddings.h5"
    embed_galaxies(encoder, galaxies / "0000.h5", output, survey_place(None))
    return output


@pytest.fixture(scope="module")
def stamp(galaxies, tmp_path_factory):
    """The stamp of a galaxy, and its objid."""
    stamps = StampSet([galaxies / "0000.h5"])
    path = tmp_path_factory.mktemp("stamp") / "stamp.npy"
    np.save(path, stamps.read(stamps.objid[7:8])[0].astype(np.float32))
    return path, stamps.objid[7]


def search(*arguments):
    return CliRunner().invoke(app, ["search", *map(str, arguments)])


def test_a_galaxy_s_own_stamp_finds_the_galaxy(embedded, stamp, encoder, tmp_path):
    path, objid = stamp
    held = Embeddings(embedded)
    found = embed_stamp(held, path)
    # A batch of another size may sum in another order.
    np.testing.assert_allclose(found, held.vectors[held.rows(objid)[0]], rtol=2e-3, atol=2e-3)
    ran = search(embedded, path, "-k", 3, "-o", tmp_path / "found.csv")
    assert ran.exit_code == 0, ran.output
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert len(lines) == 4 and lines[1].startswith(f"{objid},") and float(lines[1].split(",")[1]) > 0.9999
    by_objid = search(embedded, objid, "-k", 2)
    assert by_objid.exit_code == 0 and by_objid.output.split()[2:3] and lines[2].split(",")[0] in by_objid.output
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["images"] = np.load(path)[None]
    np.testing.assert_array_equal(embed_stamp(held, tmp_path / "one.h5"), found)


def test_an_encoder_that_has_moved_is_named(embedded, stamp, encoder, tmp_path):
    path, _ = stamp
    export_model(encoder, tmp_path / "encoder.zip")
    with h5py.File(shutil.copy(embedded, tmp_path / "moved.h5"), "r+") as file:
        file.attrs["about"] = json.dumps(json.loads(file.attrs["about"]) | {"encoder": "no/such/folder"})
    moved = Embeddings(tmp_path / "moved.h5")
    with pytest.raises(InputError, match=r"moved\.h5: .*no/such/folder, is not there; name it with --encoder"):
        embed_stamp(moved, path)
    expected = embed_stamp(Embeddings(embedded), path)
    for named in (encoder, tmp_path / "encoder.zip"):
        np.testing.assert_array_equal(embed_stamp(moved, path, named), expected)


def test_another_encoder_is_refused(embedded, stamp, encoder, tmp_path):
    other = shutil.copytree(encoder, tmp_path / "other")
    recipe = json.loads((other / "recipe.json").read_text())
    (other / "recipe.json").write_text(json.dumps(recipe | {"seed": 99}))
    with pytest.raises(InputError, match=r"other: its recipe\.json is not that of the encoder that made"):
        embed_stamp(Embeddings(embedded), stamp[0], other)
    shutil.copy(encoder / "recipe.json", other / "recipe.json")
    (other / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(InputError, match=r"other: its weights\.safetensors is not that of the encoder that made"):
        embed_stamp(Embeddings(embedded), stamp[0], other)
    (other / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"other: has no weights\.safetensors; expected the encoder that made"):
        embed_stamp(Embeddings(embedded), stamp[0], other)


def test_what_is_no_one_stamp_is_named(embedded, galaxies, stamp, tmp_path):
    held = Embeddings(embedded)
    with pytest.raises(InputError, match=r"0000\.h5: holds \d+ stamps; give one"):
        embed_stamp(held, galaxies / "0000.h5")
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    with pytest.raises(InputError, match=r"list\.csv: holds no stamp"):
        embed_stamp(held, tmp_path / "list.csv")
    np.save(tmp_path / "bad.npy", np.full_like(np.load(stamp[0]), np.nan))
    with pytest.raises(InputError, match=r"bad\.npy: a pixel is not finite"):
        embed_stamp(held, tmp_path / "bad.npy")
    for what, options, words in (
        ("nowhere.npy", (), "names no galaxy, and there is no such file"),
        ("5", ("--encoder", tmp_path), "is no stamp, which alone wants an --encoder"),
    ):
        ran = search(embedded, what, *options)
        assert isinstance(ran.exception, InputError) and words in str(ran.exception)


def test_a_search_is_measured():
    ran = CliRunner().invoke(app, ["bench", "search", "-n", "500", "--width", "8", "-k", "3", "--json"])
    assert ran.exit_code == 0, ran.output
    measured = json.loads(ran.output)
    assert (measured["galaxies"], measured["width"], measured["k"]) == (500, 8, 3) and 0 < measured["search_s"] < 5
    said = CliRunner().invoke(app, ["bench", "search", "-n", "500", "--width", "8", "-k", "3"]).output
    assert "s for the 3 nearest among 500 embeddings of 8 numbers" in said
