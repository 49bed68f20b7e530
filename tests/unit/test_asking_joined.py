"""Answers of many parts become one table: every galaxy once, and the same columns whoever the galaxies are."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astromae.asking import listed as listed_module
from astromae.asking import stamp_files
from astromae.asking.ask import Question, predict_galaxies
from astromae.asking.asked import open_asked
from astromae.asking.batches import Batch
from astromae.asking.joined import PART, expected_parts, join_parts
from astromae.asking.listed import Where
from astromae.asking.parts import write_part
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.errors import InputError
from astromae.stamps.fetch import Download
from astromae.survey.sdss_catalog import Pace
from servers.sdss import Server
from servers.sky import small_sky
from training_inputs import model_recipe, run_train

MAGNITUDES = magnitude_columns(BANDS)
NOWHERE = Where("https://no.where", "/no/where", 17, Pace(), Download())
REDSHIFTS = "z_phot z_median z_mode z_err z_lo95 z_lo68 z_hi68 z_hi95 odds".split()


@pytest.fixture(scope="module")
def model(galaxies, tmp_path_factory):
    """A model that reads magnitudes alone."""
    folder = tmp_path_factory.mktemp("magnitudes")
    branches = {"encoder": None, "pretrained": False, "frozen": False, "inception": False, "magnitude": True}
    run_train(galaxies, folder, model_recipe(**branches))
    return folder


@pytest.fixture(scope="module")
def sky():
    with Server(tables=small_sky(12)) as running:
        yield running


def at(sky):
    pace = Pace(queries_per_minute=100_000, timeout_s=5, tries=2, backoff_s=0.005)
    return replace(NOWHERE, server=sky.skyserver, pace=pace)


def with_fields(count=6):
    """Return a list on two fields, with magnitudes."""
    table = pd.DataFrame({"ra": 10 + 0.01 * np.arange(count), "dec": 1.5, "run": 1000, "camcol": 2})
    table["field"] = 100 + np.arange(count) % 2
    table["objid"] = 2**60 + np.arange(count)
    magnitudes = np.random.default_rng(1).uniform(17, 18, (count, len(MAGNITUDES)))
    return table.assign(**dict(zip(MAGNITUDES, magnitudes.T, strict=True)))


def ask(model, table, folder, where=NOWHERE, output="out.parquet"):
    path = folder / "list.csv"
    table.to_csv(path, index=False)
    summary = predict_galaxies([model], path, folder / output, where, Question())
    return summary, pd.read_parquet(folder / output)


def test_columns_of_the_list_keep_names_and_values(model, tmp_path):
    table = with_fields().assign(FLAGS=range(6), flags_listed="x", z_phot=0.1, Model="m", code="007", z=0.05)
    table.loc[2, "z"] = np.nan
    _, found = ask(model, table, tmp_path)
    own = ["run", "camcol", "field", "FLAGS_listed_2", "flags_listed", "z_phot_listed", "Model_listed", "code", "z"]
    asked = ["objid", "ra", "dec", *REDSHIFTS, "flags", "reason", "model", *MAGNITUDES]
    assert found.columns.tolist() == [*asked, *own]
    assert found["FLAGS_listed_2"].tolist() == list(range(6))
    assert set(found["code"]) == {"007"} and set(found["z_phot_listed"]) == {0.1}
    np.testing.assert_array_equal(found["z"], table["z"])
    assert np.isfinite(found["z_phot"]).all()


def test_units_and_identifiers_of_the_list_are_kept_where_they_differ(model, sky, tmp_path):
    photo = pd.DataFrame(small_sky(12)["PhotoObjAll"]).iloc[:12]
    table = pd.DataFrame({"ra": photo["ra"] - 360 * (photo["ra"] > 180), "dec": photo["dec"], "objid": range(12)})
    table["mag_r"] = 99.0
    nowhere = pd.DataFrame({"ra": [10.0], "dec": [-60.0], "objid": [12], "mag_r": [1.0]})
    _, found = ask(model, pd.concat([table, nowhere]), tmp_path, at(sky))
    assert found["objid"].tolist() == [*photo["objID"], 0]
    assert found["objid_listed"].tolist() == list(range(13))
    np.testing.assert_array_equal(found["ra_listed"][:12], table["ra"])
    np.testing.assert_array_equal(found["ra"][:12], table["ra"] % 360)
    assert "dec_listed" not in found
    # The model read SkyServer's.
    np.testing.assert_array_equal(found["mag_r"][:12], photo["modelMag_r"] - photo["extinction_r"])
    assert found["mag_r_listed"].tolist() == [99.0] * 12 + [1.0]


def test_columns_do_not_depend_on_whether_anybody_has_an_answer(of_images, tmp_path):
    images = np.random.default_rng(0).normal(0, 1, (6, 5, 64, 64)).astype(np.float32)
    for lost in (1, 6):
        images[:lost, 2, 32, 32] = np.nan
        np.savez(tmp_path / "mine.npz", images=images)
        summary = predict_galaxies([of_images], tmp_path / "mine.npz", tmp_path / "out.parquet", NOWHERE, Question())
        found = pd.read_parquet(tmp_path / "out.parquet")
        assert summary.answered == 6 - lost
        assert found.columns.tolist()[3:12] == REDSHIFTS
        assert (found[REDSHIFTS].dtypes == np.float64).all()
        assert np.isfinite(found["z_phot"]).sum() == summary.answered


def test_magnitudes_that_nobody_has_are_missed_before_any_work(model, tmp_path):
    table = with_fields().assign(mag_g=-9999.0)
    with pytest.raises(InputError, match=r"no galaxy has mag_u, .* which .* reads; add them, or leave out run, camcol"):
        ask(model, table, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]
    table.loc[0, "mag_g"] = 17.0
    assert ask(model, table, tmp_path)[0].answered == 1


def test_columns_of_stamps_that_answers_have_are_kept(model, tmp_path):
    stamps = np.random.default_rng(0).normal(0, 1, (3, 5, 8, 8)).astype(np.float32)
    own = {
        "flags": np.arange(3),
        "z_phot": np.ones(3),
        "z_pdf": np.ones(3),
        "source_row": np.arange(3),
        "Name": ["a"] * 3,
    }
    np.savez(tmp_path / "mine.npz", images=stamps, **own, **dict.fromkeys(MAGNITUDES, np.full(3, 17.0)))
    output = tmp_path / "out.fits"
    predict_galaxies([model], tmp_path / "mine.npz", output, NOWHERE, Question())
    from astropy.table import Table

    found = Table.read(output)
    assert found["flags_listed"].tolist() == found["source_row"].tolist() == [0, 1, 2]
    assert found["z_phot_listed"].tolist() == found["z_pdf_listed"].tolist() == [1, 1, 1]
    assert np.isfinite(found["z_phot"]).all() and found["Name"].tolist() == ["a"] * 3


def test_rows_with_one_objid(model, tmp_path):
    # In stamps, nobody minds.
    stamps = np.zeros((3, 5, 8, 8), np.float32)
    magnitudes = dict.fromkeys(MAGNITUDES, np.array([16.0, 17.0, 18.0]))
    np.savez(tmp_path / "mine.npz", images=stamps, objid=[5, 6, 5], **magnitudes)
    predict_galaxies([model], tmp_path / "mine.npz", tmp_path / "out.parquet", NOWHERE, Question())
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["objid"].tolist() == [5, 6, 5] and found["z_phot"].nunique() == 3
    # At one place of a list, the second is not asked about, and has its row.
    table = with_fields()
    _, found = ask(model, pd.concat([table, table.iloc[[1]]]), tmp_path)
    assert found["objid"].tolist() == [*table["objid"], table["objid"][1]]
    # What is not asked about is what the list says.
    np.testing.assert_array_equal(found.loc[6, MAGNITUDES].astype(float), table.loc[1, MAGNITUDES].astype(float))
    assert not [name for name in found if name.endswith("_listed")]
    assert found["reason"].tolist() == [""] * 6 + ["within 1 arcsec of row 2: the same galaxy"]
    # At two places one of them is wrong.
    with pytest.raises(InputError, match=r"row 6: objid 1152921504606846977 is also that of row 2, at another place"):
        ask(model, table.assign(objid=[*table["objid"][:5], table["objid"][1]]), tmp_path)


@pytest.fixture
def parts(model, tmp_path):
    """A list of six galaxies, and the two parts of answers about it."""
    table = with_fields()
    table.to_csv(tmp_path / "list.csv", index=False)
    folder = tmp_path / "parts"
    folder.mkdir()
    asked = [open_asked(model)]
    for number in range(2):
        some = table.iloc[number::2].reset_index(drop=True).assign(source_row=np.arange(6)[number::2] + 1)
        some = some[["objid", "ra", "dec", "source_row", *MAGNITUDES]]
        batch = Batch(some, np.empty((0, 5, 2, 2), np.float32), np.full(3, "no stamp was wanted", object))
        write_part(folder / PART.format(number), asked, batch, symmetries=False)
    return folder


def test_parts_are_joined_in_the_order_of_the_list(parts, tmp_path):
    summary = join_parts(expected_parts(parts, 2), tmp_path / "list.csv", tmp_path / "out.parquet")
    assert summary.answered == 6
    assert pd.read_parquet(tmp_path / "out.parquet")["objid"].tolist() == with_fields()["objid"].tolist()


def test_missing_and_surplus_parts_are_named(parts, tmp_path):
    output = tmp_path / "out.parquet"
    with pytest.raises(InputError, match=r"parts: holds 000001.answers.parquet beside the 1 parts"):
        expected_parts(parts, 1)
    with pytest.raises(InputError, match=r"000002.answers.parquet: no such file"):
        join_parts(expected_parts(parts, 3), tmp_path / "list.csv", output)
    with pytest.raises(InputError, match=r"000001.answers.parquet: part 000000.answers.parquet was expected here"):
        join_parts([parts / PART.format(1)], tmp_path / "list.csv", output)
    (parts / PART.format(1)).unlink()
    with pytest.raises(InputError, match=r"000001.answers.parquet: no such file"):
        join_parts(expected_parts(parts, 2), tmp_path / "list.csv", output)
    assert not output.exists()


def test_rows_without_an_answer_or_with_two_are_named(parts, tmp_path):
    output = tmp_path / "out.parquet"
    with pytest.raises(InputError, match=r"list.csv: rows 2, 4, 6 without an answer: the parts in .*parts"):
        join_parts([parts / PART.format(0)], tmp_path / "list.csv", output)
    # A part of another catalogue, in which the galaxies are dealt otherwise.
    shutil.copy(parts / PART.format(0), parts / PART.format(1))
    with pytest.raises(InputError, match=r"rows 2, 4, 6 without an answer; rows 1, 3, 5 with several"):
        join_parts(expected_parts(parts, 2), tmp_path / "list.csv", output)
    with_fields(4).to_csv(tmp_path / "list.csv", index=False)
    with pytest.raises(InputError, match=r"rows 2, 4 without an answer; rows 1, 3 with several; rows 5 beyond its end"):
        join_parts(expected_parts(parts, 2), tmp_path / "list.csv", output)
    assert not output.exists()


def test_parts_of_other_models_are_named(parts, tmp_path):
    table = pd.read_parquet(parts / PART.format(1)).drop(columns="odds")
    table.to_parquet(parts / PART.format(1))
    with pytest.raises(InputError, match=r"000001.answers.parquet: not of the models of 000000.*: columns odds"):
        join_parts(expected_parts(parts, 2), tmp_path / "list.csv", tmp_path / "out.parquet")


def test_sources_know_their_batches(model, tmp_path, monkeypatch):
    monkeypatch.setattr(stamp_files, "BATCH", 2)
    monkeypatch.setattr(stamp_files, "BLOCK", 2)
    monkeypatch.setattr(listed_module, "CHUNK", 1)
    np.savez(tmp_path / "mine.npz", images=np.zeros((5, 5, 8, 8), np.float32))
    source = stamp_files.open_stamp_file(tmp_path / "mine.npz", open_asked(model).format, 2)
    assert source.batch_count == len(list(source.batches())) == 3
    with_fields().to_csv(tmp_path / "list.csv", index=False)
    source = listed_module.ListedGalaxies(tmp_path / "list.csv", NOWHERE, tmp_path, 2, stamps=False)
    assert source.batch_count == len(list(source.batches())) == 3
    assert sorted(source.galaxies()["source_row"]) == [1, 2, 3, 4, 5, 6]
