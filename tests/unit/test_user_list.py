"""A user's own list of galaxies: with fields it needs nobody, with positions SkyServer finds the fields."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astromae.cli import app
from astromae.contracts.catalog import read_provenance
from astromae.errors import InputError
from astromae.survey.sdss_catalog import Pace
from astromae.survey.user_list import write_user_catalog
from astropy.table import MaskedColumn, Table
from servers.sdss import Server, drop, rate_limit, status
from servers.sky import small_sky
from typer.testing import CliRunner

PACE = Pace(queries_per_minute=100_000, timeout_s=0.5, tries=3, backoff_s=0.005)
NOWHERE = {"server": "http://127.0.0.1:9", "release": 17}
COUNT = 60
SKY = small_sky(COUNT)
PHOTO = pd.DataFrame(SKY["PhotoObjAll"]).iloc[:COUNT]


@pytest.fixture(scope="module")
def server():
    with Server(tables=SKY) as running:
        yield running


@pytest.fixture
def settings(server):
    server.heal()
    server.requests.clear()
    return {"server": server.skyserver, "release": 17}


def shifted(arcsec, seed=1):
    """Return the objects' positions, each moved by `arcsec` in a direction of its own."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, COUNT)
    dec = PHOTO["dec"] + arcsec / 3600 * np.sin(angle)
    ra = (PHOTO["ra"] + arcsec / 3600 * np.cos(angle) / np.cos(np.radians(PHOTO["dec"]))) % 360
    return pd.DataFrame({"ra": ra, "dec": dec})


def write(folder, table, kind):
    path = folder / f"list.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "parquet":
        table.to_parquet(path)
    else:
        Table.from_pandas(table).write(path)
    return path


def make(path, settings, chunks=3):
    output = path.parent / "galaxies.parquet"
    write_user_catalog(path, **settings, chunks=chunks, output=output, pace=PACE)
    return pd.read_parquet(output)


@pytest.mark.parametrize("kind", ["csv", "fits", "parquet"])
def test_a_list_with_fields_asks_nobody(tmp_path, kind):
    listed = PHOTO[["objID", "ra", "dec", "run", "camcol", "field"]].assign(z=np.linspace(0, 0.5, COUNT), mag_r=17.0)
    catalog = make(write(tmp_path, listed, kind), NOWHERE).set_index("objid")
    listed = listed.set_index("objID")
    assert set(catalog.index) == set(listed.index)
    for name in ("ra", "dec", "run", "camcol", "field", "z", "mag_r"):
        np.testing.assert_array_equal(catalog[name], listed.loc[catalog.index, name])
    assert (catalog["rerun"] == 301).all() and catalog["mag_u"].isna().all() and catalog["z_err"].isna().all()
    np.testing.assert_array_equal(PHOTO["objID"].to_numpy()[catalog["source_row"] - 1], catalog.index)


@pytest.mark.parametrize("kind", ["csv", "fits", "parquet"])
def test_positions_find_their_fields(settings, server, tmp_path, kind):
    catalog = make(write(tmp_path, shifted(1.0), kind), settings).sort_values("source_row", ignore_index=True)
    assert catalog["objid"].tolist() == PHOTO["objID"].tolist()
    for name in ("run", "rerun", "camcol", "field"):
        np.testing.assert_array_equal(catalog[name], PHOTO[name])
    np.testing.assert_array_equal(catalog["mag_r"], PHOTO["modelMag_r"] - PHOTO["extinction_r"])
    np.testing.assert_array_equal(catalog["petro_r"], PHOTO["petroMag_r"] - PHOTO["extinction_r"])
    np.testing.assert_allclose(catalog["separation_arcsec"], 1.0, atol=1e-4)
    assert catalog["z"].isna().all()
    # Several positions share a query, and no address is longer than any server takes.
    assert len(server.queries) < COUNT / 5
    assert all(len(request.path) < 2000 for request in server.requests)
    written = (tmp_path / "galaxies.sql").read_text().splitlines()
    assert [line for line in written if line.startswith("SELECT")] == server.queries


def test_redshifts_stay_optional_one_by_one(settings, tmp_path):
    listed = shifted(0.5).assign(REDSHIFT=np.where(np.arange(COUNT) % 2, 0.1, -9999.0))
    catalog = make(write(tmp_path, listed, "csv"), settings)
    assert catalog["z"].isna().sum() == COUNT / 2 and (catalog["z"].dropna() == 0.1).all()


def test_faults_change_nothing(settings, server, tmp_path):
    sound = make(write(tmp_path, shifted(1.0), "csv"), settings)
    for fault in (status(503), rate_limit(), drop()):
        server.inject("SqlSearch", fault, times=1, skip=1)
        pd.testing.assert_frame_equal(make(tmp_path / "list.csv", settings), sound)


def test_galaxies_that_sdss_has_not_are_listed_with_the_reason(settings, tmp_path):
    # On the other side of the object, and so another place than the first.
    opposite = shifted(-1.0).iloc[[4]]
    listed = pd.concat([shifted(1.0), pd.DataFrame({"ra": [10.0], "dec": [-60.0]}), opposite])
    catalog = make(write(tmp_path, listed, "csv"), settings)
    assert len(catalog) == COUNT
    left_out = pd.read_csv(tmp_path / "galaxies.left_out.csv")
    assert left_out["row"].tolist() == [COUNT + 1, COUNT + 2]
    assert left_out["reason"].str.contains("no primary SDSS detection within 2").tolist() == [True, False]
    assert left_out["reason"].str.contains("same SDSS object").tolist() == [False, True]
    counts = read_provenance(tmp_path / "galaxies.parquet")["counts"]
    assert (counts["listed"], counts["left_out"], counts["galaxies"]) == (COUNT + 2, 2, COUNT)
    with pytest.raises(InputError, match="none of its 60 galaxies"):
        make(write(tmp_path, shifted(5.0), "csv"), settings)


def test_across_right_ascension_zero_and_near_the_pole(tmp_path):
    sky = small_sky(4)
    photo = sky["PhotoObjAll"]
    photo["ra"][:4], photo["dec"][:4] = [359.99995, 0.00005, 123.0, 303.0], [10.0, -10.0, 89.9999, -89.99999]
    listed = pd.DataFrame({"ra": [0.00005, 359.99995, 123.1, 120.0], "dec": [10.0, -10.0, 89.9999, -89.99999]})
    with Server(tables=sky) as server:
        catalog = make(write(tmp_path, listed, "csv"), {"server": server.skyserver, "release": 17}, chunks=1)
    by_row = catalog.set_index("source_row")["objid"]
    assert [by_row[row] for row in (1, 2, 3, 4)] == photo["objID"][:4]


def test_the_nearest_of_several_is_taken(tmp_path):
    sky = small_sky(2)
    photo = sky["PhotoObjAll"]
    photo["ra"][:2], photo["dec"][:2] = [100.0, 100.0], [20.0, 20.0 + 1.0 / 3600]
    listed = pd.DataFrame({"ra": [100.0], "dec": [20.0 + 0.8 / 3600]})
    with Server(tables=sky) as server:
        catalog = make(write(tmp_path, listed, "csv"), {"server": server.skyserver, "release": 17}, chunks=1)
    assert catalog["objid"].tolist() == [photo["objID"][1]]
    np.testing.assert_allclose(catalog["separation_arcsec"], 0.2, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ra,z\n1,0.1\n", "no column dec.*Its columns are ra, z"),
        ("ra,dec,run\n1,2,3\n", "run only; give run, camcol and field"),
        ("ra,dec\n", "lists no galaxies"),
        ("ra,dec\n1,2\n3\n", "row 2 has 1 cells"),
        ("ra,dec\n1,2\n12:30:00,3\n", "row 2: ra is '12:30:00', sexagesimal"),
        ("ra,dec\n1,2\n-300,4\n", "row 2: ra is -300"),
        ("ra,dec\n1,95\n", "row 1: dec is 95"),
        ("ra,dec\n,5\n", "row 1: ra is nan; every galaxy needs a position"),
        ("ra,dec,run,camcol,field,z\n1,2,94,1,11,17.7\n", "row 1: z is 17.7.*not a magnitude"),
        ("ra,dec,run,camcol,field\n1,2,94,7,11\n", "row 1: camcol is 7; use from 1 to 6"),
        (
            "ra,dec,run,camcol,field,objid\n1,2,94,1,11,1.2e18\n",
            "row 1: objid is '1.2e18'; a number that lost",
        ),
        (
            "ra,dec,run,camcol,field,objid\n1,2,94,1,11,9223372036854775808\n",
            "objid is '9223372036854775808'; use a",
        ),
        (
            "ra,dec,run,camcol,field,objid\n1,2,94,1,11,5\n3,2,94,1,12,5\n",
            "row 2: objid 5 is also that of row 1",
        ),
    ],
)
def test_wrong_lists_are_named(tmp_path, text, message):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        make(path, NOWHERE, chunks=1)


def test_what_only_fits_and_parquet_can_get_wrong(tmp_path):
    columns = {"ra": [1.0], "dec": [2.0], "run": [94], "camcol": [1], "field": [11]}
    pq.write_table(pa.table({**columns, "objid": [1.2376e18]}), tmp_path / "float.parquet")
    with pytest.raises(InputError, match=r"row 1: objid is 1\.2376e\+18; a number that lost its last digits"):
        make(tmp_path / "float.parquet", NOWHERE)
    (tmp_path / "none.fits").write_bytes(b"SIMPLE")
    for name in ("none.fits", "absent.csv"):
        with pytest.raises(InputError, match=f"{name}: cannot be read"):
            make(tmp_path / name, NOWHERE)


def test_masked_cells_of_fits_are_missing(tmp_path):
    table = Table({"RA": [1.0, 2.0], "DEC": [2.0, 3.0], "RUN": [94, 94], "CAMCOL": [1, 1], "FIELD": [11, 12]})
    table["Z"] = MaskedColumn([0.1, 0.2], mask=[True, False])
    table.write(tmp_path / "list.fits")
    catalog = make(tmp_path / "list.fits", NOWHERE, chunks=2)
    np.testing.assert_array_equal(catalog["z"], [np.nan, 0.2])
    assert catalog["objid"].tolist() == [1, 2] and catalog["chunk"].tolist() == [0, 1]


def test_command_line(settings, tmp_path):
    path = write(tmp_path, shifted(1.0), "csv")
    told = {**settings, "table": str(path), "pace": asdict(PACE), "chunks": 5}
    told["output"] = str(tmp_path / "galaxies.parquet")
    result = CliRunner().invoke(app, ["user-catalog", "--params", json.dumps(told)])
    assert result.exit_code == 0, result.output
    assert len(pd.read_parquet(tmp_path / "galaxies.parquet")) == COUNT
