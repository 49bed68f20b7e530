"""What a run will fetch, known before it starts: SkyServer's counts, and what follows from them."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import yaml
from astromae.constants import BANDS
from astromae.contracts.catalog import catalog_columns
from astromae.errors import InputError
from astromae.survey import SURVEYS
from astromae.survey.archive import RERUN
from astromae.survey.counts import find_counts, known_counts, listed_counts
from astromae.survey.downloads import FRAME_MB, bytes_fraction, downloads
from astromae.survey.entry import Counts
from astromae.survey.observed_catalog import write_observed_catalog
from astromae.survey.sdss import SdssSettings
from astromae.survey.sdss_catalog import Pace, Sample
from astromae.survey.selections import cuts_of, rows_sql, totals_sql
from project import ROOT
from servers.sdss import Server, body, error_table, html_200, json_error, status
from servers.sky import small_sky

SKY = small_sky(240)
PACE = Pace(queries_per_minute=100_000, timeout_s=5.0, tries=3, backoff_s=0.005)
EXPECTED = {"galaxies": 7, "fields": 5}

#: Of five bands of 64 px, two bytes a pixel.
STAMP_BYTES = 5 * 64 * 64 * 2

TABLES = (
    "FROM SpecObjAll AS s JOIN PhotoObjAll AS p ON p.objID = s.bestObjID "
    "JOIN Photoz AS q ON q.objID = p.objID JOIN galSpecInfo AS g ON g.specObjID = s.specObjID "
)
GOOD = (
    "WHERE s.class = 'GALAXY' AND s.zWarning = 0 AND s.targetType = 'SCIENCE' AND s.survey = 'sdss' "
    "AND p.clean = 1 AND p.insideMask = 0 "
)


@pytest.fixture(scope="module")
def server():
    with Server(tables=SKY) as running:
        yield running


@pytest.fixture(autouse=True)
def healed(server):
    server.heal()
    server.requests.clear()


def sample_of(server, **changes):
    return Sample(**{"server": server.skyserver, "release": 17, "selection": "pasquet2019", "cuts": {}} | changes)


def find(server, folder, **changes):
    files = (folder / "galaxies.parquet", folder / "counts.json")
    return find_counts(sample_of(server, **changes), PACE, EXPECTED, *files)


@pytest.mark.parametrize(
    ("selection", "end"),
    [
        (
            "pasquet2019",
            "AND g.primtarget >= 64 AND s.z > 0.0 AND s.z <= 0.4 AND p.petroMag_r - p.extinction_r <= 17.8",
        ),
        ("spectroscopic", "AND s.z > 0.0 AND s.z <= 0.65"),
    ],
)
def test_the_selections_sql(selection, end):
    totals = "COUNT(*) AS spectra, COUNT(DISTINCT p.objID) AS galaxies, COUNT(DISTINCT p.fieldID) AS fields "
    cuts = cuts_of(selection, {})
    assert totals_sql(selection, cuts) == f"SELECT {totals}{TABLES}{GOOD}{end}"
    rows = rows_sql(selection, cuts, (10.0, 20.0))
    assert rows.startswith("SELECT p.objID, p.ra, p.dec, p.run, ")
    assert rows.endswith(f"{TABLES}{GOOD}{end} AND s.ra >= 10.0 AND s.ra < 20.0")


def test_the_published_cube_goes_beyond_the_main_sample(server, tmp_path):
    """Of the small sky's galaxies that fail one cut of the Main Galaxy Sample, those of target, z and r come in."""
    main, _ = find(server, tmp_path / "main")
    cube, _ = find(server, tmp_path / "cube", selection="spectroscopic")
    assert (main.galaxies, cube.galaxies) == (240, 243)


def test_counts_are_the_catalogues(server, tmp_path):
    counts, unanswered = find(server, tmp_path)
    photo = pd.DataFrame(SKY["PhotoObjAll"]).iloc[:240]
    assert counts.galaxies == 240 and unanswered is None
    assert counts.fields == len(photo[["run", "camcol", "field"]].drop_duplicates())
    assert counts.source == f"a count by {server.skyserver}/dr17"
    written = json.loads((tmp_path / "counts.json").read_text())
    assert written["totals"] == {"spectra": 260, "galaxies": 240, "fields": counts.fields}
    assert server.queries == [written["sql"]]


def test_what_was_counted_is_not_asked_again(server, tmp_path):
    first, _ = find(server, tmp_path)
    assert find(server, tmp_path) == (first, None)
    assert len(server.queries) == 1
    smaller, _ = find(server, tmp_path, cuts={"z_max": 0.1})
    assert smaller.galaxies < first.galaxies and len(server.queries) == 2


def test_a_catalogue_of_the_same_selection_says_it_itself(server, tmp_path):
    galaxies = pd.DataFrame({name: [0] for name in catalog_columns(BANDS)}).assign(
        run=94, camcol=1, field=11, rerun=RERUN
    )
    sample = sample_of(server)
    catalog = tmp_path / "galaxies.parquet"
    made = {"release": 17, "selection": "pasquet2019", "cuts": cuts_of("pasquet2019", {})}
    write_observed_catalog(catalog, galaxies, 1, {"survey": "sdss", **made}, {})
    found = known_counts(sample, catalog, tmp_path / "counts.json")
    assert found == Counts(1, 1, f"the catalogue {catalog}")
    assert find(server, tmp_path) == (found, None) and not server.queries
    assert known_counts(replace(sample, release=12), catalog, tmp_path / "counts.json") is None


FAULTS = {
    "HTTP 500 with JSON": (json_error("A network-related error occurred."), "A network-related error"),
    "a page with status 200": (html_200("The web site is being maintained."), "being maintained"),
    "a table of one error": (error_table("Invalid column name 'fieldID'."), "Invalid column name 'fieldID'"),
    "a proxy's 503": (status(503), "503"),
    "no row": (body(lambda sound: b"#Table1\nspectra,galaxies,fields\n"), "0 rows answer a question for one"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_without_an_answer_the_expectation_stands_and_says_so(server, tmp_path, fault):
    spoil, words = FAULTS[fault]
    server.inject("SqlSearch", spoil)
    counts, unanswered = find(server, tmp_path)
    assert counts == Counts(7, 5, "sdss.expected of the configuration, not yet counted")
    assert words in unanswered and "SELECT" not in unanswered
    assert len(server.queries) == 1 and not (tmp_path / "counts.json").exists()
    server.heal()
    assert find(server, tmp_path)[0].galaxies == 240


def test_wrong_settings_are_no_silence_of_the_server(server, tmp_path):
    with pytest.raises(InputError, match=r"sdss\.cuts\.zmax"):
        find(server, tmp_path, cuts={"zmax": 1})


def test_a_damaged_count_is_made_again(server, tmp_path):
    for text in ("", "[]", '{"selection": 1}'):
        (tmp_path / "counts.json").write_text(text)
        assert find(server, tmp_path)[0].galaxies == 240
    assert len(server.queries) == 3


def test_a_list_is_counted_as_it_is_read(tmp_path):
    table = pd.DataFrame({"ra": [1.0, 2.0, 2.0], "dec": [0.0, 0.0, 0.0]})
    table.to_csv(tmp_path / "list.csv", index=False)
    assert listed_counts(tmp_path / "list.csv") == Counts(2, 2, f"your list {tmp_path / 'list.csv'}")


def test_one_galaxy_a_field_reads_what_was_measured():
    assert bytes_fraction(1.0) == pytest.approx(0.58)
    assert 0.7 < bytes_fraction(2.5) < bytes_fraction(100.0) < 1


def corner(server, **changes):
    """Return the section `sdss` of the preset."""
    default, preset = (
        yaml.safe_load((ROOT / name).read_text())["sdss"] for name in ("config.yaml", "workflow/presets/corner.yaml")
    )
    return SdssSettings(**default | preset | {"server": server.skyserver} | changes)


def said(settings, folder):
    text = downloads(settings, STAMP_BYTES, folder / "galaxies.parquet", folder / "counts.json")
    return text, {line[:14].strip(): line[14:].strip() for line in text.splitlines()}


def test_the_corner_before_it_is_counted(server, tmp_path):
    """Worked out by hand: 810 fields x 5 bands x 3.25 MB x 0.764; 4,050 requests at 10 a second; 10 MB/s."""
    server.inject("SqlSearch", status(503))
    text, lines = said(corner(server), tmp_path)
    assert text.startswith("SkyServer gave no counts: ")
    assert lines["galaxies"] == "2,070   on 810 fields, by sdss.expected of the configuration, not yet counted"
    assert lines["frames"].split()[0] == "4,050"
    assert lines["to download"].startswith("10.1 GB   0.76 of them")
    assert lines["queries"].startswith("4   to SkyServer, 0.1 min at 60 a minute")
    assert lines["requests"] == "4,050   to the archive, 7 min at 10 a second"
    assert lines["download"].startswith("17 min   on a line of 10 MB/s; the limit allows 25 MB/s")
    assert lines["disk"].startswith("0.1 GB")


def test_the_corner_once_it_is_counted(server, tmp_path):
    everywhere = corner(server, cuts={})
    _, lines = said(everywhere, tmp_path)
    fields = json.loads((tmp_path / "counts.json").read_text())["counts"]["fields"]
    assert lines["galaxies"] == f"240   on {fields} fields, by a count by {server.skyserver}/dr17"
    assert lines["requests"].split()[0] == str(5 * fields)
    read_gb = 5 * fields * FRAME_MB * bytes_fraction(240 / fields) / 1e3
    assert lines["to download"].split()[0] == f"{read_gb:.1f}"


def test_the_whole_survey_is_to_be_announced(server, tmp_path):
    server.inject("SqlSearch", status(503))
    text, lines = said(corner(server, expected={"galaxies": 659_857, "fields": 250_000}), tmp_path)
    assert lines["to download"].startswith("3,1")
    assert text.endswith("Above 1 TB the archive asks to be told: write to the SDSS help desk before you start.")
    mirror, lines = said(corner(server, expected={"galaxies": 659_857, "fields": 250_000}, archive="/sas"), tmp_path)
    assert "requests" not in lines and "asks to be told" not in mirror


def test_other_surveys_download_nothing():
    assert SURVEYS["cube"].downloads is None and SURVEYS["embedded"].downloads is None


def test_what_was_counted_of_a_part_of_the_sky_is_known_again(tmp_path):
    """The identity of a sample is compared with one that was read from JSON, which has lists."""
    section = SdssSettings.model_validate({"cuts": {"ra": [180.0, 189.0], "z_max": None}})
    sample = Sample(**section.sample)
    assert json.loads(json.dumps(sample.identity)) == sample.identity
    counted = tmp_path / "counts.json"
    counts = {"galaxies": 3, "fields": 2, "source": "a count"}
    counted.write_text(json.dumps({"selection": sample.identity, "counts": counts}))
    assert known_counts(sample, tmp_path / "none.parquet", counted) == Counts(**counts)
