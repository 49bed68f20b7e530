"""The real survey's catalogue: nothing lost, nothing invented, whatever the server does."""

import contextlib
import itertools
import json
import sqlite3
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astromae.cli import app
from astromae.constants import BANDS
from astromae.contracts.catalog import read_provenance
from astromae.errors import InputError
from astromae.steps import run_step
from astromae.survey.observed_catalog import deal_fields
from astromae.survey.sdss_catalog import Pace, Sample, fetch_partition, merge_partitions, partition_range, ra_width
from astromae.survey.selections import count_sql
from servers.sdss import (
    Server,
    drop,
    drop_chunked,
    html_200,
    json_error,
    rate_limit,
    redirect,
    silent_truncation,
    slow,
    status,
)
from servers.sky import LARGE_SPECOBJID, small_sky
from typer.testing import CliRunner

GALAXIES, PARTITIONS, CHUNKS = 240, 4, 7
PACE = Pace(queries_per_minute=100_000, timeout_s=0.5, tries=3, backoff_s=0.005)
SKY = small_sky(GALAXIES)


def sample_of(server, **changes):
    return Sample(**{"server": server.skyserver, "release": 12, "selection": "pasquet2019", "cuts": {}} | changes)


def fetch(server, folder, partition, row_limit=500_000, **changes):
    path = folder / f"{partition}.parquet"
    fetch_partition(partition, PARTITIONS, sample_of(server, **changes), PACE, path, row_limit)
    return path


def merge(paths, output):
    merge_partitions(paths, CHUNKS, output, output.with_suffix(".sql"))


def build(server, folder, row_limit=500_000, **changes):
    paths = [fetch(server, folder, partition, row_limit, **changes) for partition in range(PARTITIONS)]
    merge(paths, folder / "galaxies.parquet")
    return folder / "galaxies.parquet"


@pytest.fixture(scope="module")
def server():
    with Server(tables=SKY) as running:
        yield running


@pytest.fixture(autouse=True)
def healed(server):
    server.heal()
    server.requests.clear()
    server.row_limit = 500_000


@pytest.fixture(scope="module")
def faultless(server, tmp_path_factory):
    server.heal()
    return build(server, tmp_path_factory.mktemp("faultless"))


def test_the_selection_takes_what_it_should(faultless):
    catalog = pd.read_parquet(faultless)
    assert sorted(catalog["objid"]) == sorted(SKY["PhotoObjAll"]["objID"][:GALAXIES])
    counts = read_provenance(faultless)["counts"]
    assert counts["galaxies"] == GALAXIES and counts["duplicates"] == GALAXIES // 12
    assert counts["rows"] == GALAXIES + GALAXIES // 12
    assert counts["missing"] == {"mag_u": 1, "mag_z": 1}


def test_contract(faultless):
    catalog = pd.read_parquet(faultless)
    types = {"objid": "int64", "chunk": "int32", "specobjid": "uint64"}
    types |= {name: "int32" for name in ("run", "rerun", "camcol", "field")}
    names = ["objid", "ra", "dec", "run", "rerun", "camcol", "field", "z", "z_err"]
    names += [f"{part}_{band}" for part in ("mag", "extinction") for band in BANDS]
    names += ["petro_r", "chunk", "specobjid"]
    assert list(catalog.columns) == names
    assert {name: str(catalog[name].dtype) for name in names} == {name: types.get(name, "float64") for name in names}
    provenance = read_provenance(faultless)
    assert (provenance["survey"], provenance["release"], provenance["selection"]) == ("sdss", 12, "pasquet2019")
    assert provenance["cuts"] == {"z_min": 0.0, "z_max": 0.4, "petro_r_max": 17.8, "ra": None, "dec": None}
    assert "mag" in provenance["units"]["petro_r"]


def test_values_are_those_of_the_survey(faultless):
    photo = pd.DataFrame(SKY["PhotoObjAll"]).set_index("objID").replace(-9999.0, np.nan).astype({"modelMag_z": float})
    catalog = pd.read_parquet(faultless).set_index("objid")
    photo = photo.loc[catalog.index]
    for name in ("ra", "dec", "run", "rerun", "camcol", "field"):
        np.testing.assert_array_equal(catalog[name], photo[name])
    for band in BANDS:
        np.testing.assert_array_equal(catalog[f"extinction_{band}"], photo[f"extinction_{band}"])
        np.testing.assert_array_equal(catalog[f"mag_{band}"], photo[f"modelMag_{band}"] - photo[f"extinction_{band}"])
    np.testing.assert_array_equal(catalog["petro_r"], photo["petroMag_r"] - photo["extinction_r"])
    assert LARGE_SPECOBJID + 7 in catalog["specobjid"].to_numpy()


def test_of_two_spectra_the_surer_is_kept(faultless):
    spectra = pd.DataFrame(SKY["SpecObjAll"])
    catalog = pd.read_parquet(faultless).set_index("objid")
    for objid, copies in spectra[spectra["bestObjID"].isin(catalog.index)].groupby("bestObjID"):
        best = copies.sort_values("zErr").iloc[0]
        assert catalog.loc[objid, "specobjid"] == int(best["specObjID"])
        assert (catalog.loc[objid, "z"], catalog.loc[objid, "z_err"]) == (best["z"], best["zErr"])


def test_duplicates_with_equal_or_missing_errors(tmp_path):
    sky = small_sky(24)
    spectra = sky["SpecObjAll"]
    assert spectra["bestObjID"][0] == spectra["bestObjID"][1] and spectra["bestObjID"][13] == spectra["bestObjID"][14]
    spectra["zErr"][0] = spectra["zErr"][1] = 2e-5
    spectra["zErr"][13], spectra["zErr"][14] = -1.0, 9e-4
    with Server(tables=sky) as server:
        catalog = pd.read_parquet(build(server, tmp_path)).set_index("objid")
    assert str(catalog.loc[spectra["bestObjID"][0], "specobjid"]) == min(spectra["specObjID"][:2])
    assert catalog.loc[spectra["bestObjID"][13], "z_err"] == 9e-4


def test_a_field_is_never_split_and_chunks_have_equal_shares(faultless):
    catalog = pd.read_parquet(faultless)
    fields = catalog.groupby(["run", "camcol", "field"])["chunk"]
    assert (fields.nunique() == 1).all()
    shares = fields.first().value_counts()
    assert sorted(shares.index) == list(range(CHUNKS)) and shares.max() - shares.min() <= 1
    assert catalog["chunk"].is_monotonic_increasing
    ordered = fields.first().sort_index()
    assert ordered.is_monotonic_increasing


def test_chunks_beyond_the_fields_stay_empty():
    fields = pd.DataFrame({"run": [1, 1, 2], "camcol": [1, 1, 1], "field": [5, 5, 5]})
    for chunks in (2, 3, 1000):
        assert deal_fields(fields, chunks).tolist() == [0, 0, 1]
    with pytest.raises(InputError, match="chunks: 0; use 1 or more"):
        deal_fields(fields, 0)


FAULTS = {
    "rate limit": rate_limit(),
    "HTML with status 200": html_200(),
    "JSON": json_error("Execution Timeout Expired."),
    "503": status(503, headers={"Retry-After": "0"}),
    "slow": slow(0.8),
    "dropped": drop(),
    "dropped in chunks": drop_chunked(0.8),
    "redirect": redirect(),
    "silent truncation": silent_truncation(3),
}


@pytest.mark.parametrize("request_number", [0, 1], ids=["count", "rows"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_any_request_changes_nothing(server, faultless, tmp_path, fault, request_number):
    partitions = [faultless.parent / f"{number}.parquet" for number in range(PARTITIONS)]
    server.inject("SqlSearch", FAULTS[fault], times=1, skip=request_number)
    spoilt = fetch(server, tmp_path, 1)
    # A redirect needs one request more, a passing fault a try or two.
    assert 2 <= len(server.queries) <= 4
    assert spoilt.read_bytes() == partitions[1].read_bytes()
    merge([partitions[0], spoilt, *partitions[2:]], tmp_path / "galaxies.parquet")
    for name in ("galaxies.parquet", "galaxies.sql"):
        assert (tmp_path / name).read_bytes() == (faultless.parent / name).read_bytes()


@pytest.mark.parametrize("fault", ["HTML with status 200", "503", "dropped"])
def test_a_lasting_fault_ends_in_an_error_and_no_file(server, tmp_path, fault):
    server.inject("SqlSearch", FAULTS[fault], skip=1)
    with pytest.raises(InputError, match=r"tried 3 times\)|SELECT"):
        fetch(server, tmp_path, 0)
    assert not list(tmp_path.glob("*.parquet"))


def test_a_rejected_query_is_asked_once(server, tmp_path):
    server.inject("SqlSearch", json_error("Invalid object name 'Photoz'."))
    with pytest.raises(InputError, match="Invalid object name 'Photoz'"):
        fetch(server, tmp_path, 0)
    assert len(server.queries) == 1


def test_partitions_that_reach_the_row_limit_are_split(server, faultless, tmp_path):
    """The client knows the limit: no query that could reach it is sent."""
    server.row_limit = 20
    catalog = build(server, tmp_path, row_limit=20)
    pd.testing.assert_frame_equal(pd.read_parquet(catalog), pd.read_parquet(faultless))
    assert catalog.read_bytes() == faultless.read_bytes()
    for partition in range(PARTITIONS):
        queries = json.loads(pq.read_schema(tmp_path / f"{partition}.parquet").metadata[b"astromae"])["queries"]
        assert len(queries) > 1 and all(query["rows"] < 20 for query in queries)


def test_a_limit_that_nobody_announced_is_noticed(server, faultless, tmp_path):
    """The server cuts every table at 20 rows, the client believes in 500,000."""
    server.row_limit = 20
    assert build(server, tmp_path).read_bytes() == faultless.read_bytes()


def test_a_table_that_stays_short_however_narrow_is_an_error(server, tmp_path):
    server.inject(r"SELECT p\.objID", silent_truncation(0))
    with pytest.raises(InputError, match=r"does not send all of \d+ rows, however narrow"):
        fetch(server, tmp_path, 0)


def test_a_table_longer_than_its_count_is_an_error(server, tmp_path):
    server.inject("COUNT", lambda answer: type(answer)(200, "text/plain", b"#Table1\ngalaxies\n2\n"))
    with pytest.raises(InputError, match="counts 2 rows and sends"):
        fetch(server, tmp_path, 0)


def test_partitions_resume_one_by_one(server, faultless, tmp_path):
    """Each partition is its own file; one that is lost is fetched again, alone."""
    build(server, tmp_path)
    (tmp_path / "2.parquet").unlink()
    server.requests.clear()
    fetch(server, tmp_path, 2)
    assert len(server.queries) == 2
    merge([tmp_path / f"{number}.parquet" for number in (3, 1, 2, 0)], tmp_path / "galaxies.parquet")
    assert (tmp_path / "galaxies.parquet").read_bytes() == faultless.read_bytes()


def test_incomplete_or_foreign_partitions_are_refused(server, tmp_path):
    paths = [fetch(server, tmp_path, partition) for partition in range(PARTITIONS)]
    output = tmp_path / "galaxies.parquet"
    with pytest.raises(InputError, match="partition 1 is missing"):
        merge([paths[0], *paths[2:]], output)
    with pytest.raises(InputError, match=r"3\.parquet: partition 3 is given twice"):
        merge([*paths, paths[3]], output)
    other = tmp_path / "other"
    other.mkdir()
    foreign = fetch(server, other, 1, cuts={"z_max": 0.2})
    with pytest.raises(InputError, match=r"other/1\.parquet: its cuts"):
        merge([paths[0], foreign, *paths[2:]], output)
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"0\.parquet: not a partition"):
        merge(paths, output)
    assert not output.exists()


def test_partitions_cover_the_sky_once():
    for cuts in ({"ra": None}, {"ra": (10.0, 11.7)}):
        edges = [partition_range(cuts, number, 72) for number in range(72)]
        assert edges[0][0] == (cuts["ra"] or (0.0, 360.0))[0]
        assert edges[-1][1] == (cuts["ra"] or (0.0, 360.0))[1]
        assert all(first[1] == second[0] for first, second in itertools.pairwise(edges))
    with pytest.raises(InputError, match="partition: 72; use 0 to 71"):
        partition_range({"ra": None}, 72, 72)


def test_cuts_and_the_other_selection(server, tmp_path):
    ra_deg, dec_deg = (30.0, 300.0), (0.0, 50.0)
    cuts = {"ra": list(ra_deg), "dec": list(dec_deg), "z_max": 0.2, "petro_r_max": 16.5}
    catalog = pd.read_parquet(build(server, tmp_path, selection="spectroscopic", cuts=cuts))
    photo, spectra = pd.DataFrame(SKY["PhotoObjAll"]), pd.DataFrame(SKY["SpecObjAll"])
    rows = spectra.merge(photo, left_on="bestObjID", right_on="objID", suffixes=("_fibre", ""))
    keep = (rows["class"] == "GALAXY") & (rows["zWarning"] == 0) & (rows["clean"] == 1) & (rows["insideMask"] == 0)
    keep &= (rows["targetType"] == "SCIENCE") & (rows["survey"] == "sdss")
    keep &= rows["objID"].isin(SKY["Photoz"]["objID"]) & rows["specObjID"].isin(SKY["galSpecInfo"]["specObjID"])
    keep &= (rows["z"] > 0) & (rows["z"] <= 0.2) & (rows["petroMag_r"] - rows["extinction_r"] <= 16.5)
    keep &= rows["ra_fibre"].between(*ra_deg, inclusive="left") & rows["dec_fibre"].between(*dec_deg, inclusive="left")
    assert sorted(catalog["objid"]) == sorted(rows.loc[keep, "objID"].unique())
    assert 0 < len(catalog) < GALAXIES / 2


def test_no_galaxies_is_an_error(server, tmp_path):
    with pytest.raises(InputError, match="has no galaxies"):
        build(server, tmp_path, cuts={"z_min": 0.39})


def test_the_sql_beside_the_catalogue_is_what_was_asked(server, tmp_path):
    text = build(server, tmp_path).with_suffix(".sql").read_text()
    asked = [query for query in server.queries if "COUNT" not in query]
    assert [line for line in text.splitlines() if line.startswith("SELECT")] == asked
    assert "smallest redshift error" in text


def test_command_line(server, faultless, tmp_path):
    told = {"sample": asdict(sample_of(server)), "pace": asdict(PACE), "partitions": PARTITIONS}
    partitions = [str(tmp_path / f"{number}.parquet") for number in range(PARTITIONS)]
    for number, path in enumerate(partitions):
        run("sdss-partition", {**told, "partition": number, "output": path})
    outputs = {"output": str(tmp_path / "galaxies.parquet"), "sql": str(tmp_path / "galaxies.sql")}
    run("sdss-merge", {"partitions": partitions, "chunks": CHUNKS, **outputs})
    assert (tmp_path / "galaxies.parquet").read_bytes() == faultless.read_bytes()


def run(step, told):
    result = CliRunner().invoke(app, [step, "--params", json.dumps(told)])
    assert result.exit_code == 0, result.output


def test_missing_settings_are_named(server, tmp_path):
    sample = asdict(sample_of(server))
    del sample["release"]
    told = {"partition": 0, "partitions": 1, "sample": sample, "pace": {}, "output": str(tmp_path / "0.parquet")}
    with pytest.raises(InputError, match=r"sdss-partition: parameter sample\.release: Field required"):
        run_step("sdss-partition", json.dumps(told))


@pytest.mark.parametrize(
    ("cut", "width"), [([350.1, 10.3], 20.2), ([350, 0], 10), ([200, 100], 260), ([0.2, 0.1], 359.9)]
)
@pytest.mark.parametrize("partitions", [1, 2, 7, 72])
def test_a_cut_through_right_ascension_0_is_covered_once(cut, width, partitions):
    """By the very conditions of the queries: each right ascension of the cut in one part, no other in any."""
    parts = [partition_range({"ra": cut}, number, partitions) for number in range(partitions)]
    assert parts[0][0] == cut[0] and parts[-1][1] in (cut[1], 360.0)
    assert all((before[1] % 360) == after[0] for before, after in itertools.pairwise(parts))
    assert sum(map(ra_width, parts)) == pytest.approx(width)
    ra = np.arange(0, 360, 0.13)
    with contextlib.closing(sqlite3.connect(":memory:")) as sky:
        sky.execute("CREATE TABLE s (ra REAL)")
        sky.executemany("INSERT INTO s VALUES (?)", ra[:, None].tolist())
        held = []
        for part in parts:
            condition = count_sql("spectroscopic", {}, part).rpartition("p.insideMask = 0 AND ")[2]
            assert condition.lstrip("(").startswith("s.ra >= ")
            held += [row[0] for row in sky.execute(f"SELECT ra FROM s WHERE {condition}")]
    assert sorted(held) == ra[(ra >= cut[0]) | (ra < cut[1])].tolist()
