"""Models that are asked about galaxies: files of stamps, lists on genuine frames, several models, killed runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.asking import stamp_files
from astromae.asking.ask import Question, predict_galaxies
from astromae.asking.asked import open_asked, symmetric
from astromae.asking.listed import Where
from astromae.asking.written import write_answers
from astromae.classical.fit import fit_classical
from astromae.classical.recipe import ClassicalRecipe
from astromae.constants import BANDS
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.familiarity.reference import read_reference, write_reference
from astromae.stamps.fetch import Download
from astromae.survey.archive import strip_folder
from astromae.survey.sdss_catalog import Pace

REAL = Path(__file__).parents[3] / "shared/data/sdss-real"
MAGNITUDES = magnitude_columns(BANDS)
NOWHERE = Where("https://no.where", "/no/where", 17, Pace(), Download())


@pytest.fixture(scope="module")
def given(galaxies, trained, tmp_path_factory):
    """Stamps of the test galaxies in one file, with their magnitudes and a column of the user's own."""
    objid = pd.read_parquet(trained / "predictions.parquet").query("subset == 'test'").objid.to_numpy()
    catalog = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid").loc[objid]
    columns = {name: catalog[name].to_numpy() for name in MAGNITUDES}
    path = tmp_path_factory.mktemp("given") / "mine.npz"
    images = StampSet([galaxies / "0000.h5"]).read(objid)
    np.savez(path, images=images, objid=objid, mine=np.arange(len(objid)), **columns)
    return path


def ask(models, given, output, **question):
    summary = predict_galaxies(models, given, output, NOWHERE, Question(**question))
    return summary, pd.read_parquet(output)


def in_small_batches(monkeypatch):
    monkeypatch.setattr(stamp_files, "BATCH", 4)
    monkeypatch.setattr(stamp_files, "BLOCK", 2)


def test_answers_are_the_predictions_of_the_run(trained, given, tmp_path):
    summary, table = ask([trained], given, tmp_path / "out.parquet")
    known = pd.read_parquet(trained / "predictions.parquet").query("subset == 'test'")
    assert summary.answered == len(table) == len(known)
    assert table.objid.tolist() == known.objid.tolist()
    np.testing.assert_array_equal(table.z_phot, known.z_pred)
    assert table.mine.tolist() == list(range(len(table)))
    assert table.columns[:4].tolist() == ["objid", "ra", "dec", "z_phot"]
    assert set(table.model) == {"experiment1/pcm-astromae/seed42"}
    assert not list(tmp_path.glob("*.parts"))


def test_a_killed_run_goes_on_and_writes_the_same(trained, given, tmp_path, monkeypatch):
    in_small_batches(monkeypatch)
    _, expected = ask([trained], given, tmp_path / "whole.parquet")
    asked = []
    real = type(open_asked(trained)).answer

    def dying(self, images, magnitudes, symmetries):
        asked.append(len(images))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(self, images, magnitudes, symmetries)

    with monkeypatch.context() as broken:
        broken.setattr("astromae.asking.asked.Asked.answer", dying)
        with pytest.raises(KeyboardInterrupt):
            ask([trained], given, tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()
        assert len(list((tmp_path / "out.parquet.parts").glob("*.answers.parquet"))) == 2
        asked[:] = [0] * 10
        ask([trained], given, tmp_path / "out.parquet")
    # Two batches were there already.
    assert len(asked) - 10 == -(-len(expected) // 4) - 2
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not (tmp_path / "out.parquet.parts").exists()


def test_another_question_begins_anew(trained, of_images, given, tmp_path, monkeypatch, capfd):
    in_small_batches(monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr("astromae.asking.ask.join_parts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ask([trained], given, tmp_path / "out.parquet")
    _, table = ask([of_images], given, tmp_path / "out.parquet")
    assert "is of another question; beginning anew" in capfd.readouterr().err
    assert table.model.nunique() == 1
    np.testing.assert_allclose(table.z_phot, ask([of_images], given, tmp_path / "again.parquet")[1].z_phot)


def test_galaxies_without_what_the_model_reads_are_listed_with_the_reason(trained, of_images, given, tmp_path):
    content = dict(np.load(given))
    content["images"][1, 2, 30, 30] = np.nan
    content["mag_g"][2] = -9999
    np.savez(tmp_path / "holes.npz", **content)
    summary, table = ask([trained], tmp_path / "holes.npz", tmp_path / "out.parquet")
    assert summary.answered == len(table) - 2
    assert summary.reasons == {"a pixel is not finite": 1, f"no {', '.join(MAGNITUDES)}": 1}
    assert table["flags"][1:3].tolist() == ["no_stamp", "no_magnitudes"]
    assert table.z_phot[1:3].isna().all()
    assert table.mine.tolist() == list(range(len(table)))
    assert "2 not" not in str(summary)
    assert "1 not: a pixel is not finite" in str(summary)
    # A model without magnitudes does not miss them.
    assert ask([of_images], tmp_path / "holes.npz", tmp_path / "out2.parquet")[0].answered == len(table) - 1


def test_wrong_units_and_orders_are_flagged_or_understood(of_images, given, tmp_path):
    content = dict(np.load(given))
    good = ask([of_images], given, tmp_path / "good.parquet")[1]
    maggies = {**content, "images": content["images"].astype(np.float64) * 1e-9}
    np.savez(tmp_path / "maggies.npz", **maggies)
    _, table = ask([of_images], tmp_path / "maggies.npz", tmp_path / "maggies.parquet")
    assert table["flags"].str.contains("noise").all()
    _, table = ask([of_images], tmp_path / "maggies.npz", tmp_path / "right.parquet", unit="maggies")
    np.testing.assert_allclose(table.z_phot, good.z_phot, atol=2e-4)
    np.savez(tmp_path / "zirgu.npz", **{**content, "images": content["images"][:, ::-1]})
    _, table = ask([of_images], tmp_path / "zirgu.npz", tmp_path / "zirgu.parquet", bands=BANDS[::-1])
    np.testing.assert_array_equal(table.z_phot, good.z_phot)
    last = np.moveaxis(content["images"], 1, 3)
    np.savez(tmp_path / "last.npz", **{**content, "images": last})
    _, table = ask([of_images], tmp_path / "last.npz", tmp_path / "last.parquet")
    np.testing.assert_array_equal(table.z_phot, good.z_phot)


def test_several_models_are_mixed(trained, of_images, given, tmp_path):
    models = [tmp_path / "one", tmp_path / "other"]
    for folder, copy in zip((trained, of_images), models, strict=True):
        shutil.copytree(folder, copy)
        write_reference(copy, replace(read_reference(folder), widths=[0.01, 0.02]))
    alone = [ask([model], given, tmp_path / "out.parquet")[1] for model in models]
    _, both = ask(models, given, tmp_path / "both.parquet")
    # Distributions are cut off at zero, which these reach.
    inside = np.minimum(alone[0].z_phot, alone[1].z_phot) > 0.04
    np.testing.assert_allclose(both.z_phot[inside], (alone[0].z_phot + alone[1].z_phot)[inside] / 2, atol=1e-3)
    assert (both.z_err[inside] > 0.0095).all()
    assert (both.model == alone[0].model + "+" + alone[1].model).all()


@pytest.mark.parametrize("method", ["hgb-magnitudes", "hgb-apertures"])
def test_a_classical_method_flags_what_is_unlike_its_training_galaxies(galaxies, given, method, tmp_path, capfd):
    crop = 32 if method == "hgb-apertures" else None
    recipe = ClassicalRecipe(experiment="experiment1", model=method, group="classical", task="redshift", crop=crop)
    files = galaxies / "galaxies.parquet", galaxies / "split.parquet"
    fit_classical(*files, recipe, 42, tmp_path / "model", [galaxies / "0000.h5"] if crop else [])
    content = dict(np.load(given))
    content["mag_r"][0] += 9
    content["images"] = content["images"].astype(np.float32)
    content["images"][1] += 50 * np.random.default_rng(0).normal(size=content["images"][1].shape)
    np.savez(tmp_path / "odd.npz", **content)
    _, table = ask([tmp_path / "model"], tmp_path / "odd.npz", tmp_path / "out.parquet")
    flags = table["flags"].str.split(",")
    assert {"magnitude", "colour"} <= set(flags[0])
    assert ("noise" in flags[1]) == bool(crop)
    assert not table["flags"][2:].str.contains("noise|saturated|empty|offset").any()
    catalog = pd.read_parquet(galaxies / "galaxies.parquet").set_index("objid")[MAGNITUDES]
    split = pd.read_parquet(galaxies / "split.parquet")
    known = catalog.loc[split.objid[split.subset == "train"]]
    own = np.column_stack([content[name] for name in MAGNITUDES])
    outside = ((own < known.min().to_numpy()) | (own > known.max().to_numpy())).any(axis=1)
    assert table["flags"].str.contains("magnitude").tolist() == outside.tolist()
    assert f"{method}/" not in (said := capfd.readouterr().err)
    assert said.count("cannot raise these flags, since its folder does not hold what they are compared with") == 1
    assert "compared with: unfamiliar\n" in said


def test_a_model_of_an_older_version_says_once_which_flags_it_cannot_raise(trained, given, tmp_path, capfd):
    folder = shutil.copytree(trained, tmp_path / "model")
    (folder / "reference.safetensors").unlink()
    about = json.loads((folder / "recipe.json").read_text())
    del about["scaling"]["seen"]
    (folder / "recipe.json").write_text(json.dumps(about))
    _, table = ask([folder], given, tmp_path / "out.parquet")
    assert np.isfinite(table.z_phot).all() and table.z_err.isna().all()
    said = capfd.readouterr().err
    assert said.count("cannot raise these flags") == 1
    assert "saturated, empty, noise, offset, magnitude, colour, unfamiliar\n" in said


def test_a_reference_of_another_model_is_refused(trained, given, tmp_path):
    folder, output = shutil.copytree(trained, tmp_path / "model"), tmp_path / "out.csv"
    reference = read_reference(folder)
    write_reference(folder, replace(reference, embeddings=reference.embeddings[:, :7]))
    with pytest.raises(InputError, match=r"reference\.safetensors: embeddings of 7 numbers, and the model's have"):
        predict_galaxies([folder], given, output, NOWHERE, Question())
    assert not list(tmp_path.glob("out*"))


def test_symmetries_make_answers_that_turning_does_not_change(of_images, given, tmp_path):
    content = dict(np.load(given))
    _, one = ask([of_images], given, tmp_path / "one.parquet", symmetries=True)
    np.savez(tmp_path / "turned.npz", **{**content, "images": content["images"].swapaxes(2, 3)[..., ::-1, :]})
    _, other = ask([of_images], tmp_path / "turned.npz", tmp_path / "other.parquet", symmetries=True)
    np.testing.assert_allclose(one.z_phot, other.z_phot, atol=1e-6)
    assert len({view.tobytes() for view in symmetric(content["images"][:1])}) == 8


def test_what_cannot_be_mixed_is_said_before_any_work(trained, of_images, given, tmp_path):
    output, alone = tmp_path / "out.csv", shutil.copytree(of_images, tmp_path / "alone")
    (alone / "reference.safetensors").unlink()
    few = shutil.copytree(trained, tmp_path / "few")
    write_reference(few, replace(read_reference(few), widths=[np.nan, np.nan]))
    good = shutil.copytree(trained, tmp_path / "good")
    write_reference(good, replace(read_reference(good), widths=[0.01, 0.02]))
    for other in (alone, few):
        with pytest.raises(InputError, match="estimates redshifts without intervals, and only models with"):
            predict_galaxies([good, other], given, output, NOWHERE, Question())
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".fits"])
def test_other_formats(suffix, tmp_path):
    from astropy.table import Table

    table = pd.DataFrame(
        {"objid": [1237648720693755918, 2], "ra": [10.5, np.nan], "flags": ["edge,noise", ""], "n": [1, 2]}
    )
    write_answers(tmp_path / f"t{suffix}", table)
    again = Table.read(tmp_path / f"t{suffix}", format={".csv": "ascii.csv"}.get(suffix))
    assert again["objid"].tolist() == table.objid.tolist()
    assert again["flags"][0] == "edge,noise"
    assert suffix == ".csv" or str(again["ra"].unit) == "deg"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("out.txt", "its suffix says no format; use one of .parquet, .csv, .ecsv, .fits"),
        ("none/out.csv", "there is no folder"),
        ("folder.csv", "is a folder; give the table another name"),
        ("mine.csv", "is what is asked about; give the answers another name"),
    ],
)
def test_wrong_outputs(trained, tmp_path, output, words):
    (tmp_path / "mine.csv").write_text("ra,dec\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=words):
        predict_galaxies([trained], tmp_path / "mine.csv", tmp_path / output, NOWHERE, Question())
    assert (tmp_path / "mine.csv").read_text() == "ra,dec\n1,2\n"


def test_what_does_not_fit_is_said_before_anything_is_written(trained, encoder, given, tmp_path):
    output = tmp_path / "out.csv"
    with pytest.raises(InputError, match="an encoder, which predicts nothing"):
        predict_galaxies([encoder.parent if encoder.is_file() else encoder], given, output, NOWHERE, Question())
    with pytest.raises(InputError, match="has no distributions to write"):
        predict_galaxies([trained], given, output, NOWHERE, Question(), tmp_path / "pdf.hdf5")
    with pytest.raises(InputError, match="no such file or folder"):
        predict_galaxies([trained], tmp_path / "none.csv", output, NOWHERE, Question())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here")
def test_galaxies_of_genuine_frames(of_images, tmp_path):
    galaxies = pd.read_csv(REAL / "tables/field_galaxies.csv")
    galaxies[["run", "camcol", "field"]] = galaxies["field"].str.split("-", expand=True).astype(int)
    galaxies = pd.concat([galaxies, galaxies.iloc[2:3]], ignore_index=True)  # a row that comes again
    galaxies["My Name"] = [f"galaxy {row}" for row in range(len(galaxies))]
    galaxies.to_csv(tmp_path / "list.csv", index=False)
    for frame in (REAL / "frames").iterdir():
        _, _, run, camcol, _ = frame.name.partition(".")[0].split("-")
        link = tmp_path / strip_folder(17, int(run), int(camcol)) / frame.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(frame)
    where = replace(NOWHERE, archive=str(tmp_path))
    output = tmp_path / "out.parquet"
    summary = predict_galaxies([of_images], tmp_path / "list.csv", output, where, Question())
    table = pd.read_parquet(output)
    assert table["My Name"].tolist() == galaxies["My Name"].tolist()
    assert table.reason.iloc[-1].startswith("within 1 arcsec") or "row 3" in table.reason.iloc[-1]
    assert table["flags"].iloc[-1] == ""
    table, galaxies = table.iloc[:-1], galaxies.iloc[:-1]
    fits = galaxies["stamp64_fits_r"].to_numpy()
    assert (table.reason[fits] == "").all()
    assert table.reason[~fits].str.startswith("off the edge in band").all()
    assert summary.answered == fits.sum()
    np.testing.assert_allclose(table.ra, galaxies.ra)
