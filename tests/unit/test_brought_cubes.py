"""Cubes and magnitudes as people bring them, through the commands of the workflow: read, or refused in one line."""

import json
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from astromae import cli
from astromae.constants import BANDS
from astromae.contracts.catalog import read_provenance
from astromae.contracts.shards import write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.survey.objid import encode_objid

COUNT = 24
OBJID = encode_objid(2000, 4, 20 + np.arange(COUNT), 3)


@pytest.fixture
def astromae(monkeypatch, capsys):
    """Return a function that runs a command and returns its exit status and messages."""

    def run(step, *arguments, **told):
        parameters = ["--params", json.dumps(told, default=str)] if told else []
        monkeypatch.setattr(sys, "argv", ["astromae", step, *map(str, arguments), *parameters])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, capsys.readouterr().err

    return run


def hayat(path, **changes):
    rng = np.random.default_rng(4)
    columns = {
        "images": rng.normal(0, 0.05, (COUNT, 5, 66, 66)).astype(np.float32),
        "ObjID": OBJID,
        "ra": rng.uniform(0, 360, COUNT),
        "dec": rng.uniform(-10, 60, COUNT),
        "specz_redshift": rng.uniform(0, 0.4, COUNT),
        "specz_redshift_err": np.full(COUNT, 1e-5),
        "e_bv": np.outer(rng.uniform(0, 0.1, COUNT), [5.155, 3.793, 2.751, 2.086, 1.479]),
    }
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            changed = changes.get(name, values)
            file[name] = changed(values) if callable(changed) else changed
    return path


def pasquet(path, images=None, **changes):
    rng = np.random.default_rng(5)
    columns = {"objID": OBJID, "ra": rng.uniform(0, 360, COUNT), "dec": rng.uniform(-10, 60, COUNT)}
    columns |= {"z": rng.uniform(0, 0.4, COUNT)}
    columns |= {f"modelMag_{band}": rng.uniform(15, 20, COUNT) for band in BANDS}
    columns |= {f"extinction_{band}": rng.uniform(0.1, 0.5, COUNT) for band in BANDS}
    for name, change in changes.items():
        columns[name] = change(columns) if callable(change) else change
    types = [(name, np.asarray(values).dtype, np.shape(values)[1:]) for name, values in columns.items()]
    labels = np.empty(COUNT, dtype=types)
    for name, values in columns.items():
        labels[name] = values
    stamps = rng.normal(0, 0.05, (COUNT, 64, 64, 5)).astype(np.float32)
    np.savez(path, cube=stamps if images is None else images(stamps), labels=labels)
    return path


@pytest.fixture
def catalogue(astromae, tmp_path):
    def make(path, chunks=64):
        status, words = astromae("cube-catalog", path=path, chunks=chunks, output=tmp_path / "galaxies.parquet")
        return status, words

    return make


def with_value(row, value):
    """Return a change of one row."""

    def change(values):
        changed = np.array(values)
        changed[row] = value
        return changed

    return change


REFUSED_HAYAT = {
    "float identifiers": ({"ObjID": OBJID.astype(np.float64)}, "row 1: ObjID is", "lost its last digits"),
    "float32 identifiers": ({"ObjID": OBJID.astype(np.float32)}, "row 1: ObjID is", "lost its last digits"),
    "constant identifiers": ({"ObjID": np.full(COUNT, OBJID[0])}, "row 2: objid", "also that of row 1"),
    "negative identifiers": ({"ObjID": with_value(3, -9999)}, "row 4: ObjID is -9999"),
    "names": ({"ObjID": np.array([b"NGC 1"] * COUNT)}, "row 1: ObjID is 'NGC 1'"),
    "impossible position": ({"ra": with_value(5, 400.0)}, "row 6: ra is 400; use 0 to 360 degrees"),
    "missing position": ({"dec": with_value(5, -9999.0)}, "row 6: dec is -9999"),
    "one position": ({"ra": np.full(COUNT, 5.0), "dec": np.full(COUNT, 5.0)}, "all 24 rows have one position"),
    "impossible redshift": ({"specz_redshift": with_value(2, -0.5)}, "row 3: z is -0.5"),
    "labels in words": ({"ra": np.array([b"here"] * COUNT)}, "row 1: ra is 'here'; use a number"),
    "labels of several columns": ({"dec": np.zeros((COUNT, 3))}, "dec has the shape (24, 3)"),
    "one label": ({"ra": 5.0}, "other numbers of ra (1)"),
    "complex labels": ({"ra": np.zeros(COUNT, complex)}, "ra is complex128; use numbers"),
    "truth values": ({"specz_redshift": np.ones(COUNT, bool)}, "specz_redshift is bool; use numbers"),
    "records": ({"ra": np.zeros(COUNT, [("a", float)])}, "ra is [('a', '<f8')]; use numbers"),
    "extinctions of one band": ({"e_bv": np.zeros(COUNT)}, "`e_bv` is (24,)"),
    "empty band": ({"images": lambda images: images * np.array([1, 1, 0, 1, 1])[:, None, None]}, "band r holds 0 in"),
    "maggies": ({"images": lambda images: images * np.float32(1e-9)}, "the sky in band u", "look like maggies"),
}


@pytest.mark.parametrize("case", REFUSED_HAYAT)
def test_cubes_of_hdf5_that_are_refused(catalogue, tmp_path, case):
    changes, *expected = REFUSED_HAYAT[case]
    status, words = catalogue(hayat(tmp_path / "cube.h5", **changes))
    assert status == 2, words
    (line,) = words.strip().splitlines()
    assert all(part in line for part in ["cube.h5", *expected]), line
    assert not (tmp_path / "galaxies.parquet").exists()


REFUSED_PASQUET = {
    "float identifiers": ({"objID": OBJID.astype(np.float64)}, "row 1: objID is", "lost its last digits"),
    "constant identifiers": ({"objID": np.full(COUNT, OBJID[0])}, "row 2: objid", "also that of row 1"),
    "impossible position": ({"ra": lambda c: with_value(5, 400.0)(c["ra"])}, "row 6: ra is 400"),
    "impossible magnitude": ({"modelMag_g": lambda c: with_value(1, 0.0)(c["modelMag_g"])}, "row 2: mag_g is 0"),
    "labels in words": ({"z": np.array(["near"] * COUNT)}, "row 1: z is 'near'; use a number"),
    "labels of several columns": ({"z": np.zeros((COUNT, 2))}, "z has the shape (24, 2)"),
    "constant magnitude": (
        {"modelMag_u": lambda c: 20 + c["extinction_u"]},
        "of 24 galaxies with all 5 magnitudes all have mag_u = 20",
    ),
    "twin magnitudes": (
        {"modelMag_z": lambda c: c["modelMag_i"] - c["extinction_i"] + c["extinction_z"]},
        "all have the same colour mag_i - mag_z",
    ),
    "maggies": ({"images": lambda images: images * np.float32(1e-9)}, "look like maggies"),
    "empty band": ({"images": lambda images: images * np.float32([0, 1, 1, 1, 1])}, "band u holds 0 in every pixel"),
    "blank band": (
        {"images": lambda images: np.where(np.arange(5) == 4, np.nan, images).astype(np.float32)},
        "band z holds no number in every pixel",
    ),
}


@pytest.mark.parametrize("case", REFUSED_PASQUET)
def test_cubes_of_npz_that_are_refused(catalogue, tmp_path, case):
    changes, *expected = REFUSED_PASQUET[case]
    status, words = catalogue(pasquet(tmp_path / "cube.npz", **changes))
    assert status == 2, words
    (line,) = words.strip().splitlines()
    assert all(part in line for part in ["cube.npz", *expected]), line


@pytest.mark.parametrize("sentinel", [-9999.0, -99.0, -1.0, 99.0, np.inf])
@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_sentinels_are_missing_and_said(catalogue, tmp_path, sentinel, kind):
    if kind == "h5":
        path = hayat(tmp_path / "cube.h5", specz_redshift=with_value(3, sentinel))
    else:
        path = pasquet(tmp_path / "cube.npz", z=lambda columns: with_value(3, sentinel)(columns["z"]))
    status, words = catalogue(path)
    assert status == 0, words
    catalog = pd.read_parquet(tmp_path / "galaxies.parquet")
    assert np.flatnonzero(catalog["z"].isna()).tolist() == [3]
    assert read_provenance(tmp_path / "galaxies.parquet")["counts"]["sentinels"] == {"z": {f"{sentinel:g}": 1}}
    assert "z is missing where it holds a sentinel" in words


def test_one_galaxy_twice_and_more_chunks_than_stamps(astromae, catalogue, tmp_path):
    """The same place under another identifier, as a galaxy with two spectra has it; also across right ascension 0."""

    def again(values):
        return with_value([7, 9, 10], [values[2], 359.99995, 0.00005])(values)

    path = hayat(tmp_path / "cube.h5", ra=again, dec=lambda dec: with_value([7, 9, 10], [dec[2], 5.0, 5.0])(dec))
    status, words = catalogue(path, 1000)
    assert status == 0, words
    catalog = pd.read_parquet(tmp_path / "galaxies.parquet")
    assert sorted(set(range(COUNT)) - set(catalog["cube_row"])) == [7, 10]
    left_out = pd.read_csv(tmp_path / "galaxies.left_out.csv")
    assert left_out["row"].tolist() == [8, 11] and left_out["objid"].tolist() == OBJID[[7, 10]].tolist()
    assert left_out["reason"].tolist() == [f"within 1 arcsec of row {row}: the same galaxy" for row in (3, 10)]
    for chunk, count in ((0, 1), (1, 0)):
        status, words = astromae(
            "cube-shard",
            path=path,
            catalog=tmp_path / "galaxies.parquet",
            chunk=chunk,
            output=tmp_path / "0.h5",
            missing=tmp_path / "0.csv",
        )
        assert status == 0, words
        with h5py.File(tmp_path / "0.h5") as file:
            assert len(file["objid"]) == count


# --- what training reads ---


@pytest.fixture
def scaling(astromae, tmp_path):
    """Return a function that fits the scaling of changed stamps and magnitudes."""

    def fit(images=lambda x: x, catalog=lambda t: t):
        rng = np.random.default_rng(6)
        stamps = rng.normal(0, 0.05, (COUNT, 5, 64, 64)).astype(np.float16)
        write_shard(tmp_path / "0.h5", OBJID, images(stamps), StampFormat(BANDS, 0.396, 64), "sdss", "lanczos3")
        table = pd.DataFrame({"objid": OBJID, "z": rng.uniform(0, 0.4, COUNT)})
        for band in BANDS:
            table[f"mag_{band}"] = rng.uniform(15, 20, COUNT)
        catalog(table).to_parquet(tmp_path / "galaxies.parquet")
        pd.DataFrame({"objid": OBJID, "subset": "train"}).to_parquet(tmp_path / "split.parquet")
        return astromae(
            "scaling",
            stamps=[str(tmp_path / "0.h5")],
            catalog=tmp_path / "galaxies.parquet",
            split=tmp_path / "split.parquet",
            pretrain_on=["train"],
            settings={"crop": 32, "softening_sigma": 3.0},
            output=tmp_path / "scaling.json",
        )

    return fit


def test_a_sound_scaling(scaling, tmp_path):
    status, words = scaling()
    assert status == 0, words
    assert np.abs(json.loads((tmp_path / "scaling.json").read_text())["magnitude_components"]).max() < 100


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"images": lambda x: x * np.float16([0, 1, 1, 1, 1])[:, None, None]}, "band u holds 0 in every pixel"),
        ({"images": lambda x: (x * 1e-9).astype(np.float16)}, "pixels in maggies also become 0"),
        ({"images": lambda x: (x * 1e-5).astype(np.float16)}, "where some 0.02 nanomaggies a pixel are usual"),
        ({"catalog": lambda t: t.assign(mag_g=18.0)}, "all have mag_g = 18, which looks like a placeholder"),
        ({"catalog": lambda t: t.assign(mag_z=t.mag_i)}, "all have the same colour mag_i - mag_z"),
    ],
)
def test_what_tells_nothing_is_refused_before_training(scaling, tmp_path, change, expected):
    status, words = scaling(**change)
    assert status == 2, words
    (line,) = words.strip().splitlines()
    assert expected in line and not (tmp_path / "scaling.json").exists()
