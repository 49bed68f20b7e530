"""Lists of galaxies as people bring them, through the command that the workflow runs: read, or refused in one line."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astromae import cli
from astromae.contracts.catalog import read_provenance
from astropy import units
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from servers.sdss import Server
from servers.sky import small_sky

SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not here")
HTTP = {"queries_per_minute": 100_000, "timeout_s": 2.0, "tries": 2, "backoff_s": 0.005}

#: Positions of the lists in shared/cases, which SkyServer's stand-in knows.
PLACES = [(150.1, 2.2), (150.2, 2.3), (205.547, 28.375), (205.6, 28.4), (10.0, -20.0)]
TWO = "ra,dec,z\n150.1,2.2,0.11\n150.2,2.3,0.12\n"
#: The same bytes at any time, or several processes of pytest would name its tests differently.
ZIPPED = gzip.compress(TWO.encode(), mtime=0)
FIELDS = "ra,dec,z,run,camcol,field"


@pytest.fixture(scope="module")
def server():
    sky = small_sky(len(PLACES))
    photo = sky["PhotoObjAll"]
    for row, (ra, dec) in enumerate(PLACES):
        photo["ra"][row], photo["dec"][row] = ra, dec
    # Sentinels of SkyServer's answers.
    photo["modelMag_u"][0], photo["modelMag_g"][0], photo["extinction_r"][1] = -999.0, 99.0, -9999.0
    with Server(tables=sky) as running:
        yield running


@pytest.fixture
def catalogue(server, tmp_path, monkeypatch, capsys):
    """Return a function that makes a catalogue of a file or text, and returns exit status, catalogue and messages."""

    def make(listed, name="list.csv", address=server.skyserver):
        server.requests.clear()
        path = listed if isinstance(listed, Path) else tmp_path / name
        if isinstance(listed, str | bytes):
            path.write_bytes(listed.encode() if isinstance(listed, str) else listed)
        output = tmp_path / "galaxies.parquet"
        told = {"table": str(path), "server": address, "release": 17, "pace": HTTP, "chunks": 1000}
        told["output"] = str(output)
        monkeypatch.setattr(sys, "argv", ["astromae", "user-catalog", "--params", json.dumps(told)])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        words = capsys.readouterr().err
        return status, pd.read_parquet(output) if status == 0 else None, words

    return make


def understood(made):
    status, catalog, words = made
    assert status == 0, words
    return catalog.sort_values("source_row", ignore_index=True)


def refused(made, server, *expected):
    """Check that a list is refused in one line, before anything is asked."""
    status, _, words = made
    assert status == 2, words
    (line,) = words.strip().splitlines()
    for part in expected:
        assert part in line
    assert not server.queries
    return line


# --- shape and format of the file ---

TEXTS = {
    "comma": TWO,
    "semicolon": TWO.replace(",", ";"),
    "semicolon with decimal commas": "ra;dec;z\n150,1;2,2;0,11\n150,2;2,3;0,12\n",
    "tab": TWO.replace(",", "\t"),
    "bar": TWO.replace(",", "|"),
    "blanks": TWO.replace(",", " "),
    "many blanks": "  ra     dec  z\n 150.1  2.2  0.11\n 150.2  2.3  0.12\n",
    "header in a comment": "#RA,Dec,Z\n150.1,2.2,0.11\n150.2,2.3,0.12\n",
    "comment header with blanks": "# catalogue of mine\n# RA Dec z\n150.1 2.2 0.11\n150.2 2.3 0.12\n",
    "comments around": "# ra dec and z of mine\nra,dec,z\n# first\n150.1,2.2,0.11\n150.2,2.3,0.12\n# end\n",
    "SkyServer's": "#Table1\n" + TWO,
    "byte-order mark": "\ufeff" + TWO,
    "quotes": '"ra","dec","z"\n"150.1","2.2","0.11"\n"150.2","2.3","0.12"\n',
    "case and blanks": " RA , Dec ,REDSHIFT\n 150.1 , 2.2 , 0.11 \n150.2,2.3,0.12\n",
    "carriage returns": TWO.replace("\n", "\r\n"),
    "names with commas": 'name,ra,dec,z\n"A, b",150.1,2.2,0.11\n"#2 ""x""",150.2,2.3,0.12\n',
    "ends with commas": "ra,dec,z,\n150.1,2.2,0.11,\n150.2,2.3,0.12,\n",
    "fixed width": "|    ra | dec |    z |\n|-------|-----|------|\n| 150.1 | 2.2 | 0.11 |\n| 150.2 | 2.3 | 0.12 |\n",
    "fixed width, two lines": "   ra dec    z\n----- --- ----\n150.1 2.2 0.11\n150.2 2.3 0.12\n",
    "ECSV": "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, unit: deg, datatype: float64}\n"
    "# - {name: dec, unit: deg, datatype: float64}\n# - {name: z, datatype: float64}\n"
    "ra dec z\n150.1 2.2 0.11\n150.2 2.3 0.12\n",
    "IPAC": "\\fixlen = T\n|    ra|   dec|     z|\n|double|double|double|\n|   deg|   deg|      |\n"
    "|  null|  null|  null|\n  150.1    2.2   0.11 \n  150.2    2.3   0.12 \n",
    "other columns twice": "ra,dec,z,note,Note\n150.1,2.2,0.11,a,b\n150.2,2.3,0.12,c,d\n",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_are_read(catalogue, kind):
    catalog = understood(catalogue(TEXTS[kind]))
    np.testing.assert_allclose(catalog["z"], [0.11, 0.12])
    np.testing.assert_allclose(catalog["ra"], [150.1, 150.2])
    assert catalog["chunk"].nunique() == len(catalog[["run", "camcol", "field"]].drop_duplicates())


@pytest.mark.parametrize(("name", "data"), [("list.csv.gz", ZIPPED), ("x.dat", TWO.encode())])
def test_the_content_decides_not_the_suffix(catalogue, name, data):
    assert len(understood(catalogue(data, name))) == 2


def test_utf_16(catalogue):
    assert len(understood(catalogue(TWO.encode("utf-16")))) == 2


@pytest.mark.parametrize("name", ["chunks", "hashheader", "semicolon", "whitespace"])
@needs_shared
def test_cases_that_are_read(catalogue, name):
    assert len(understood(catalogue(SHARED / f"cases/{name}.csv"))) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["is empty"]),
        ("\n \n", ["is empty"]),
        ("ra,dec,z\n", ["lists no galaxies"]),
        ("#ra,dec\n", ["lists no galaxies"]),
        ("name;RAJ2000;DEJ2000\nx;1;2\n", ["no column ra and no column dec", "name, RAJ2000, DEJ2000"]),
        ("# right ascension, declination\n1 2\n", ["no column ra", "right ascension, declination"]),
        ("ra,dec,RA,DEC\n1,2,3,4\n", ["'ra' and 'RA' have one name"]),
        ("ra,dec,z, Z \n1,2,3,4\n", ["'z' and 'Z' have one name"]),
        ("ra,dec,z,redshift\n1,2,0.1,0.1\n1,3,0.1,0.2\n", ["row 2: z is 0.1 and redshift 0.2"]),
        ("ra,dec\n1,2\n3\n", ["row 2 has 1 cells"]),
        ("ra,dec\n1,2\n3,4,5\n", ["row 2 has 3 cells"]),
        ("ra,dec\n1,2,3\n3,4,5\n", ["row 1 has 3 cells, but the header has 2"]),
        (b"PK\x03\x04rest", ["spreadsheet"]),
        (b"\x89HDF\r\n", ["HDF5"]),
        (b"ra,dec\n1\x00,2\n", ["no text"]),
        (ZIPPED[:-12], ["cannot be read"]),
    ],
)
def test_files_that_are_none(catalogue, server, text, expected):
    refused(catalogue(text), server, "list.csv", *expected)


@needs_shared
def test_a_column_twice_is_ambiguous(catalogue, server):
    refused(catalogue(SHARED / "cases/dupcols.csv"), server, "'ra' and 'RA'")


# --- units and positions ---

DEGREES = ["deg", "degree", "degrees", "Degrees", "DEG", "Deg", "[deg]"]


def units_table(unit, factor, folder, kind):
    path = folder / f"units.{kind}"
    table = Table({"ra": np.array([150.1, 150.2]) / factor, "dec": [2.2, 2.3]})
    if kind == "fits":
        table.write(path)
        fits.setval(path, "TUNIT1", value=unit, ext=1)
    else:
        fields = [pa.field("ra", pa.float64(), metadata={"unit": unit}), pa.field("dec", pa.float64())]
        pq.write_table(pa.table([table["ra"].tolist(), table["dec"].tolist()], schema=pa.schema(fields)), path)
    return path


@pytest.mark.parametrize("kind", ["fits", "parquet"])
@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *((unit, 1.0) for unit in DEGREES),
        *((unit, 180 / np.pi) for unit in ("rad", "radian", "radians")),
        *((unit, 15.0) for unit in ("hourangle", "hours", "h")),
        ("arcsec", 1 / 3600),
        ("arcminutes", 1 / 60),
    ],
)
def test_units_of_angle_are_understood(catalogue, tmp_path, unit, factor, kind):
    catalog = understood(catalogue(units_table(unit, factor, tmp_path, kind)))
    np.testing.assert_allclose(catalog["ra"], [150.1, 150.2], rtol=1e-12)


@pytest.mark.parametrize("kind", ["fits", "parquet"])
@pytest.mark.parametrize("unit", ["m", "furlong", "h:m:s", "Jy"])
def test_other_units_are_refused_by_name(catalogue, server, tmp_path, unit, kind):
    refused(catalogue(units_table(unit, 1.0, tmp_path, kind)), server, "column ra", repr(unit), "use degrees")


def test_units_that_astropy_writes_to_parquet(catalogue, tmp_path):
    table = Table({"ra": np.radians([150.1, 150.2]) * units.rad, "dec": [2.2, 2.3] * units.deg})
    table.write(tmp_path / "list.parquet")
    np.testing.assert_allclose(understood(catalogue(tmp_path / "list.parquet"))["ra"], [150.1, 150.2])


@needs_shared
def test_the_case_in_degrees(catalogue):
    assert len(understood(catalogue(SHARED / "cases/unit_degrees.fits"))) == 2


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("12:30:00,2", ["ra is '12:30:00', sexagesimal"]),
        ("12h30m00s,2", ["ra is '12h30m00s', sexagesimal"]),
        ("150,+02 12 00", ["dec is '+02 12 00', sexagesimal"]),
        ("400,2", ["ra is 400; use 0 to 360"]),
        ("-200,2", ["ra is -200"]),
        ("150,95", ["dec is 95; use from -90 to 90"]),
        (",2", ["ra is nan"]),
        ("n/a,2", ["ra is nan"]),
        ("150,Infinity", ["dec is inf"]),
        ("east,2", ["ra is 'east'; use a number"]),
    ],
)
def test_positions_that_are_none(catalogue, server, row, expected):
    refused(catalogue(f"ra,dec\n150.1,2.2\n{row}\n"), server, "row 2: ", *expected)


def test_right_ascensions_from_minus_180(catalogue):
    made = catalogue(f"{FIELDS}\n-10,2,0.1,1150,3,23\n360,2,0.1,1150,3,23\n")
    assert sorted(understood(made)["ra"]) == [350.0, 360.0] and "below 0 in 1 rows" in made[2]


# --- identifiers and fields ---


@pytest.mark.parametrize("objid", ["NGC 1234", "1.23765E+18", "1237648720142401611.5", "-1", "", str(2**64 - 1)])
def test_an_identifier_that_is_none(catalogue, server, objid):
    made = catalogue(f"objid,ra,dec,z\n{objid},150.1,2.2,0.11\n")
    assert understood(made)["objid"][0] > 2**60 and "objid not read: SkyServer's replace them" in made[2]
    with_field = f"objid,{FIELDS}\n{objid},150.1,2.2,0.11,1150,3,23\n"
    refused(catalogue(with_field), server, "row 1: objid is", "or leave the column out")


@pytest.mark.parametrize("kind", ["text", "quoted", "float", "bytes"])
def test_identifiers_that_keep_their_digits(catalogue, tmp_path, kind):
    columns = {"ra": [150.1], "dec": [2.2], "run": [1150], "camcol": [3], "field": [23]}
    if kind in ("text", "quoted"):
        quote = '"' if kind == "quoted" else ""
        made = catalogue(f"objid,{FIELDS}\n{quote}1237648720142401611{quote},150.1,2.2,,1150,3,23\n")
        assert understood(made)["objid"].tolist() == [1237648720142401611]
    elif kind == "float":
        pq.write_table(pa.table({**columns, "objid": [7.0]}), tmp_path / "f.parquet")
        assert understood(catalogue(tmp_path / "f.parquet"))["objid"].tolist() == [7]
    else:
        Table({**columns, "OBJID": ["1237648720142401611"]}).write(tmp_path / "f.fits")
        assert understood(catalogue(tmp_path / "f.fits"))["objid"].tolist() == [1237648720142401611]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_identifiers_that_lost_digits(catalogue, server, tmp_path, kind):
    columns = {"ra": [150.1], "dec": [2.2], "run": [1150], "camcol": [3], "field": [23]}
    table = pa.table({**columns, "objid": pa.array([1.2376487e18], kind)})
    pq.write_table(table, tmp_path / "f.parquet")
    refused(catalogue(tmp_path / "f.parquet"), server, "row 1: objid is", "lost its last digits")


@needs_shared
def test_the_case_of_a_name(catalogue):
    assert len(understood(catalogue(SHARED / "cases/objid_name.csv"))) == 1


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("1150,0,23", "camcol is 0; use from 1 to 6"),
        ("1150,7,23", "camcol is 7"),
        ("0,3,23", "run is 0"),
        ("70000,3,23", "run is 70000"),
        ("1150,3,5000", "field is 5000"),
        ("-9999,3,23", "run is -9999"),
        (",3,23", "run is"),
        ("1150.5,3,23", "run is 1150.5; use an integer"),
        ("null,3,23", "run is null; use an integer"),
    ],
)
def test_fields_that_are_none(catalogue, server, cells, expected):
    text = f"{FIELDS}\n150.1,2.2,0.1,1150,3,23\n150.2,2.3,0.1,{cells}\n"
    refused(catalogue(text), server, "row 2: ", expected)


def test_masked_vector_and_nullable_columns(catalogue, server, tmp_path):
    columns = {"RA": [150.1, 150.2], "DEC": [2.2, 2.3], "RUN": [1150, 1150], "CAMCOL": [3, 3], "FIELD": [23, 24]}
    table = Table(columns | {"Z": MaskedColumn([0.1, 0.2], mask=[True, False])})
    table["OBJID"] = MaskedColumn([5, 6], mask=[False, False])
    table.write(tmp_path / "a.fits")
    np.testing.assert_array_equal(understood(catalogue(tmp_path / "a.fits"))["z"], [np.nan, 0.2])
    table["RUN"] = MaskedColumn([1150, 1150], mask=[False, True], fill_value=-1)
    table.write(tmp_path / "b.fits")
    refused(catalogue(tmp_path / "b.fits"), server, "row 2: run is None")
    table["RUN"], table["RA"] = [1150, 1150], np.ones((2, 5))
    table.write(tmp_path / "c.fits")
    refused(catalogue(tmp_path / "c.fits"), server, "ra has the shape (2, 5); use one value a row")
    lower = {name.lower(): values for name, values in columns.items()}
    nullable = pa.table({**lower, "z": pa.array(["0.1", None]), "objid": pa.array([1, 2**62 + 1], pa.int64())})
    pq.write_table(nullable, tmp_path / "d.parquet")
    catalog = understood(catalogue(tmp_path / "d.parquet"))
    np.testing.assert_array_equal(catalog["z"], [0.1, np.nan])
    assert catalog["objid"].tolist() == [1, 2**62 + 1]
    pq.write_table(pa.table({**lower, "objid": pa.array([1, None], pa.int64())}), tmp_path / "e.parquet")
    refused(catalogue(tmp_path / "e.parquet"), server, "row 2: objid is None")


# --- sentinels and ranges ---

SENTINELS = ["-1", "-9", "-99", "-999", "-9999", "-9.99", "-99.0", "99", "99.9", "999", "9999", "Infinity", "-inf"]
SENTINELS += ["1e20", "-1.6375e30", "-9.999e3"]
WORDS = ["", "null", "NULL", "NaN", "--", "n/a", "N/A", "None", "-"]


@pytest.mark.parametrize("cell", SENTINELS + WORDS)
def test_sentinels_are_missing_and_said(catalogue, tmp_path, cell):
    names = ["z", "z_err", "mag_r", "extinction_r", "petro_r"]
    text = f"ra,dec,run,camcol,field,{','.join(names)}\n150.1,2.2,1150,3,23,{','.join([cell] * 5)}\n"
    made = catalogue(text + "150.2,2.3,1150,3,24,0.1,1e-4,17.0,0.1,17.1\n")
    catalog = understood(made)
    assert catalog.loc[0, names].isna().all() and catalog.loc[1, names].notna().all()
    counts = read_provenance(tmp_path / "galaxies.parquet")["counts"]["sentinels"]
    if cell in WORDS:
        assert not counts
    else:
        assert set(counts) == set(names) and all(sum(found.values()) == 1 for found in counts.values())
        assert all(f"{name} is missing where it holds a sentinel" in made[2] for name in names)
    assert "galaxies without a value: z 1, z_err 1" in made[2]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *(("z", cell) for cell in ("-0.99", "17.7", "-0.02", "far")),
        *(("mag_u", cell) for cell in ("0", "-5", "45")),
        *(("extinction_g", cell) for cell in ("-0.5", "25")),
        ("petro_r", "50"),
        ("z_err", "12"),
    ],
)
def test_what_cannot_be_is_named_with_its_row(catalogue, server, name, cell):
    text = f"ra,dec,run,camcol,field,{name}\n150.1,2.2,1150,3,23,\n150.2,2.3,1150,3,24,{cell}\n"
    refused(catalogue(text), server, f"row 2: {name} is ")


def test_sentinels_of_skyservers_answers(catalogue, tmp_path):
    made = catalogue(TWO)
    catalog = understood(made)
    assert catalog[["mag_u", "mag_g"]].isna().sum().tolist() == [1, 1]
    assert catalog["mag_r"].isna().tolist() == [False, True] and catalog["extinction_r"].isna().tolist() == [
        False,
        True,
    ]
    counts = read_provenance(tmp_path / "galaxies.parquet")["counts"]["sentinels"]
    assert counts == {"mag_u": {"-999": 1}, "mag_g": {"99": 1}}
    assert "mag_u 1, mag_g 1, mag_r 1" in made[2]


@needs_shared
def test_the_cases_of_sentinels(catalogue, server):
    catalog = understood(catalogue(SHARED / "cases/mag999.csv"))
    assert catalog[["mag_u", "mag_g"]].isna().all(axis=None) and catalog["mag_r"].tolist() == [17]
    refused(catalogue(SHARED / "cases/z_minus1.csv"), server, "row 2: z is -0.99")


def test_the_magnitude_in_the_z_band_is_no_redshift(catalogue):
    header = "ra,dec,u,g,r,i,z,run,camcol,field"
    made = catalogue(f"{header},redshift\n150.1,2.2,19,18,17,16.5,16.2,1150,3,23,0.1\n")
    assert understood(made)["z"].tolist() == [0.1] and "magnitude in the z band" in made[2]
    made = catalogue(f"{header}\n150.1,2.2,19,18,17,16.5,16.2,1150,3,23\n")
    assert understood(made)["z"].isna().all() and "magnitude in the z band" in made[2]
    made = catalogue(f"{header}\n150.1,2.2,19,18,17,16.5,0.3,1150,3,23\n")
    assert understood(made)["z"].tolist() == [0.3]


# --- one galaxy twice ---


def test_a_galaxy_that_is_listed_again(catalogue, tmp_path):
    rows = [
        "150.1,2.2,0.1,1150,3,23",
        "150.1,2.2,0.1,1150,3,23",
        "150.1,2.2002,0.1,1150,3,24",
        "0.00005,5,0.2,1150,3,25",
    ]
    rows += ["359.99995,5,0.2,1150,3,26", "150.1,2.205,0.1,1150,3,27"]
    made = catalogue("\n".join([FIELDS, *rows]))
    catalog = understood(made)
    assert catalog["source_row"].tolist() == [1, 4, 6]
    left_out = pd.read_csv(tmp_path / "galaxies.left_out.csv")
    assert left_out["row"].tolist() == [2, 3, 5]
    assert left_out["reason"].tolist() == [f"within 1 arcsec of row {row}: the same galaxy" for row in (1, 1, 4)]
    assert "3 rows are left out" in made[2]


def test_it_is_asked_for_once(catalogue, server):
    assert len(understood(catalogue("ra,dec\n" + "150.1,2.2\n" * 500))) == 1
    assert len(server.queries) == 1


def test_one_identifier_at_two_places(catalogue, server):
    rows = "5,150.1,2.2,,1150,3,23\n5,150.1,2.2,,1150,3,23\n5,150.2,2.2,,1150,3,23\n"
    refused(catalogue(f"objid,{FIELDS}\n{rows}"), server, "row 3: objid 5 is also that of row 1, at another place")


@needs_shared
def test_the_case_of_the_same_galaxy(catalogue):
    assert len(understood(catalogue(SHARED / "cases/samegal.csv"))) == 1


# --- magnitudes that tell nothing ---


def magnitudes(count=40):
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"ra": np.linspace(10, 20, count), "dec": 1.0, "run": 1150, "camcol": 3})
    table["field"] = np.arange(count) + 11
    brightness = rng.uniform(14, 18, count)
    for band, colour in zip("ugriz", (2.7, 0.9, 0.0, -0.4, -0.7), strict=True):
        table[f"mag_{band}"] = (brightness + colour + rng.normal(0, 0.1, count)).round(3)
    return table


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.assign(mag_u=20.0), "all have mag_u = 20, which looks like a placeholder"),
        (lambda t: t.assign(mag_i=t.mag_r), "all have the same colour mag_r - mag_i"),
        (lambda t: t.assign(mag_z=t.mag_g - 1.2), "all have the same colour mag_g - mag_z"),
        (lambda t: t.assign(mag_z=2 * t.mag_i - t.mag_r), "mag_r, mag_i, mag_z follow from one another"),
    ],
)
def test_magnitudes_without_information(catalogue, server, change, expected):
    refused(catalogue(change(magnitudes()).to_csv(index=False)), server, "list.csv: of 40 galaxies", expected)


def test_sound_magnitudes(catalogue):
    assert len(understood(catalogue(magnitudes().to_csv(index=False)))) == 40


# --- real files ---

REAL = SHARED / "data/sdss-real"


@needs_shared
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tables/skyserver_dr14_10000.csv", ["row 1: objid is '1.23765E+18'", "leave the column out"]),
        ("tables/mlz_SDSS_MGS.train", ["has no column ra and no column dec", "Its columns are zs, u, g, r, i, z"]),
        ("tables/mlz_SDSS_MGS.test", ["has no column ra and no column dec", "Its columns are zs, u, g, r, i, z"]),
        ("tables/field_galaxies.csv", ["has field only; give run, camcol and field, or none of them"]),
    ],
)
def test_real_files_that_are_no_lists(catalogue, server, name, expected):
    refused(catalogue(REAL / name), server, *expected)


@needs_shared
def test_a_spreadsheet_without_its_rounded_identifiers(catalogue):
    table = pd.read_csv(REAL / "tables/skyserver_dr14_10000.csv").drop(columns="objid")
    catalog = understood(catalogue(table.to_csv(index=False)))
    listed = table.iloc[catalog["source_row"] - 1]
    np.testing.assert_array_equal(catalog["z"], listed["redshift"])
    assert 9_900 < len(catalog) <= 10_000


@needs_shared
def test_real_photometry_files(catalogue):
    catalog = understood(catalogue(REAL / "photoObj-001000-1-0100.fits"))
    assert len(catalog) == 18 and (catalog["run"] == 1000).all() and (catalog["objid"] > 2**60).all()


@needs_shared
def test_real_positions_are_asked_for(catalogue, tmp_path):
    """The first 300 of Galaxy Zoo's positions, in a SkyServer that knows them."""
    table = pd.read_csv(REAL / "tables/gz2_stripe82_votes_and_z.csv.gz", nrows=300)
    table.to_csv(tmp_path / "gz2.csv.gz", index=False)
    sky = small_sky(300)
    sky["PhotoObjAll"]["ra"][:300], sky["PhotoObjAll"]["dec"][:300] = table["ra"].tolist(), table["dec"].tolist()
    with Server(tables=sky) as server:
        catalog = understood(catalogue(tmp_path / "gz2.csv.gz", address=server.skyserver))
    assert len(catalog) == 300 and catalog["z"].notna().sum() == table["z"].notna().sum()
