"""SkyServer: its answers exactly, its errors in its own words, and no rejected query twice."""

import time

import numpy as np
import pytest
from astromae.errors import InputError
from astromae.survey.http import FetchError, HttpSettings, NotFound, Transient
from astromae.survey.ratelimit import RateLimit
from astromae.survey.selections import cuts_of, rows_sql
from astromae.survey.skyserver import QueryRejected, SkyServer, split_rows
from servers.sdss import (
    Server,
    body,
    drop,
    error_table,
    html_200,
    json_error,
    rate_limit,
    redirect,
    slow,
    status,
)

TABLES = {
    "things": {
        "id": [1237648720142401611, 9007199254740993, -1],
        "large": ["18446744073709551615", "11788562849394253824", "9223372036854775808"],
        "value": [1.5, -9999.0, None],
        "name": ["plain", 'with, a comma and "quotes" inside', "x"],
    }
}
COLUMNS = {"t.id": np.int64, "t.large": np.uint64, "t.value": np.float64}
SQL = "SELECT t.id, t.large, t.value FROM things AS t"
SETTINGS = HttpSettings(timeout_s=0.5, tries=4, backoff_s=0.01)


@pytest.fixture
def server():
    with Server(tables=TABLES) as running:
        yield running


@pytest.fixture
def sky(server, tmp_path):
    return SkyServer(server.skyserver, 17, SETTINGS, RateLimit(tmp_path / "queries.json", 1000))


def test_identifiers_are_exact_and_missing_values_are_nan(sky):
    table = sky.ask(SQL, COLUMNS)
    assert table["id"].tolist() == TABLES["things"]["id"]
    assert table["large"].dtype == np.uint64
    assert table["large"].tolist() == [2**64 - 1, 11788562849394253824, 2**63]
    np.testing.assert_array_equal(table["value"], [1.5, np.nan, np.nan])


def test_no_rows_are_an_answer(sky):
    table = sky.ask(SQL + " WHERE t.id = 0", COLUMNS)
    assert [(name, len(values), values.dtype) for name, values in table.items()] == [
        ("id", 0, np.int64),
        ("large", 0, np.uint64),
        ("value", 0, np.float64),
    ]
    assert sky.count("SELECT COUNT(*) AS galaxies FROM things AS t") == 3


PASSING = {
    "rate limit": rate_limit(),
    "HTML with status 200": html_200(),
    "JSON": json_error("Object reference not set to an instance of an object."),
    "JSON with status 200": json_error("Execution Timeout Expired. The timeout period elapsed.", 200),
    "database away": json_error("A network-related error occurred while establishing a connection to SQL Server."),
    "error table of a deadlock": error_table("Transaction (Process ID 71) was deadlocked, rerun the transaction."),
    "503": status(503),
    "429": status(429),
    "slow": slow(1.0),
    "dropped": drop(),
    "cut in mid-row": body(lambda sound: sound[:-9]),
    "text of a proxy": body(lambda _: b"upstream connect error\n"),
    "nothing": body(lambda _: b""),
    "an identifier that passed through a float": body(lambda sound: sound.replace(b"9007199254740993", b"9.0E+15")),
}


@pytest.mark.parametrize("fault", PASSING)
def test_passing_faults_are_tried_again(server, sky, fault):
    sound = sky.ask(SQL, COLUMNS)
    server.inject("SqlSearch", PASSING[fault], times=2)
    again = sky.ask(SQL, COLUMNS)
    for name, values in sound.items():
        np.testing.assert_array_equal(values, again[name])
    assert len(server.queries) == 4


@pytest.mark.parametrize("fault", PASSING)
def test_lasting_faults_end_in_an_error_that_names_the_query(server, sky, fault):
    server.inject("SqlSearch", PASSING[fault])
    with pytest.raises(Transient) as error:
        sky.ask(SQL, COLUMNS)
    assert SQL in str(error.value) and "tried 4 times" in str(error.value)
    assert "cmd=" not in str(error.value)
    assert len(server.queries) == 4


def test_the_servers_own_words_are_reported(server, sky):
    for fault, words in (
        (html_200("The <b>web</b> site is being maintained &amp; moved."), "The web site is being maintained & moved."),
        (json_error("Object reference\nnot set."), "Object reference not set."),
        (rate_limit(), "ERROR: Maximum 60 queries allowed per minute. Rejected query: select top 500000 p.objID, s.z"),
        (status(503), "No server is available."),
    ):
        server.heal()
        server.inject("SqlSearch", fault)
        with pytest.raises(Transient) as error:
            sky.ask(SQL, COLUMNS)
        assert words in str(error.value)


REJECTIONS = {
    "error table": error_table("error: must be a select statement: update things"),
    "error table with a comma": error_table("Incorrect syntax near 'FORM', line 1."),
    "JSON": json_error("Invalid column name 'valeu'."),
    "JSON 400": json_error("Check input parameters properly.", 400, "BadRequest"),
    "page": html_200("Invalid object name 'PhotoObjAl'."),
}


@pytest.mark.parametrize("rejection", REJECTIONS)
def test_a_rejected_query_is_asked_once(server, sky, rejection):
    server.inject("SqlSearch", REJECTIONS[rejection])
    with pytest.raises(FetchError, match=r"must be a select|Incorrect syntax|Invalid|Check input") as error:
        sky.ask(SQL, COLUMNS)
    assert not isinstance(error.value, Transient)
    assert len(server.queries) == 1


def test_the_database_rejects_what_it_cannot_run(server, sky):
    with pytest.raises(QueryRejected, match="no such column"):
        sky.ask("SELECT t.colour FROM things AS t", {"t.colour": np.float64})
    with pytest.raises(QueryRejected, match="must be a select"):
        sky.ask("UPDATE things SET id = 0", COLUMNS)
    assert len(server.queries) == 2


def test_a_release_that_is_not_there(server, sky):
    server.inject("SqlSearch", status(404, "<html>no dr17 here</html>"))
    with pytest.raises(NotFound, match="no dr17 here"):
        sky.ask(SQL, COLUMNS)
    with pytest.raises(InputError, match=r"sdss\.release: 11"):
        SkyServer(server.skyserver, 11, SETTINGS, sky.limit)
    assert len(server.queries) == 1


def test_redirects_are_followed(server, sky):
    server.inject("SqlSearch", redirect(), times=1)
    assert len(sky.ask(SQL, COLUMNS)["id"]) == 3


def test_every_try_counts_for_the_rate_limit(server, tmp_path):
    sky = SkyServer(server.skyserver, 17, SETTINGS, RateLimit(tmp_path / "queries.json", 2, 0.4))
    server.inject("SqlSearch", status(503), times=3)
    started = time.monotonic()
    sky.ask(SQL, COLUMNS)
    assert time.monotonic() - started >= 0.4


def test_the_servers_rate_limit_is_outwaited(tmp_path):
    """Somebody else at this address uses up the minute: pauses grow until there is room again."""
    patient = HttpSettings(timeout_s=2.0, tries=8, backoff_s=0.02)
    with Server(tables=TABLES, queries_per_minute=3, minute_s=0.5) as server:
        sky = SkyServer(server.skyserver, 17, patient, RateLimit(tmp_path / "queries.json", 1000))
        for _ in range(7):
            assert len(sky.ask(SQL, COLUMNS)["id"]) == 3


def test_quoted_strings_with_quotes_inside():
    lines = ['1,"with, a comma and "quotes" inside",2', "3,plain,4", '5,"two', 'lines, it has",6', '"a,b","c"', ",,"]
    assert split_rows(lines) == [
        ["1", 'with, a comma and "quotes" inside', "2"],
        ["3", "plain", "4"],
        ["5", "two\nlines, it has", "6"],
        ["a,b", "c"],
        ["", "", ""],
    ]


@pytest.mark.parametrize("selection", ["pasquet2019", "spectroscopic"])
def test_queries_are_of_the_kind_that_skyserver_takes(selection):
    cuts = cuts_of(
        selection, {"z_max": 0.1234567890123, "petro_r_max": 17.123456, "dec": [-12.345678901, 23.456789012]}
    )
    sql = rows_sql(selection, cuts, (123.4567890123, 234.5678901234))
    assert sql.startswith("SELECT ") and sql.upper().count("SELECT") == 1
    assert not {";", "--", "\n", "/*"} & {sql[i : i + n] for i in range(len(sql)) for n in (1, 2)}
    sky = SkyServer("https://skyserver.sdss.org", 18, SETTINGS, RateLimit("unused", 1))
    assert len(sky.address(sql)) < 2000
    assert sky.address(sql).startswith("https://skyserver.sdss.org/dr18/SkyServerWS/SearchTools/SqlSearch?cmd=SELECT+")


@pytest.mark.parametrize(
    ("selection", "cuts", "message"),
    [
        ("pasquet", {}, "sdss.selection: 'pasquet'.*pasquet2019, spectroscopic"),
        ("pasquet2019", {"zmax": 1}, "sdss.cuts.zmax.*z_max"),
        ("pasquet2019", {"ra": [20, 20]}, r"sdss.cuts.ra: \[20, 20\]"),
        ("pasquet2019", {"ra": [360, 10]}, r"sdss.cuts.ra: \[360, 10\].*from < 360"),
        ("pasquet2019", {"ra": [-10, 10]}, r"sdss.cuts.ra: \[-10, 10\].*leads through 0"),
        ("pasquet2019", {"dec": [10, -10]}, r"sdss.cuts.dec: \[10, -10\].*from < to"),
        ("pasquet2019", {"z_min": 0.4, "z_max": 0.1}, "no redshift is above z_min = 0.4 and at most z_max = 0.1"),
        ("pasquet2019", {"z_min": 0.5}, "z_max = 0.4.*which is 0.4 in the selection pasquet2019"),
        ("pasquet2019", {"dec": [-100, 10]}, "sdss.cuts.dec.*-90"),
        ("pasquet2019", {"z_max": "0.3"}, "sdss.cuts.z_max: '0.3'"),
    ],
)
def test_wrong_selections_are_named(selection, cuts, message):
    with pytest.raises(InputError, match=message):
        cuts_of(selection, cuts)
