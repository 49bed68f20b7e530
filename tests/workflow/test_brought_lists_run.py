"""Lists of one's own galaxies through the workflow, with the default number of chunks and lists that are wrong."""

import pandas as pd
import pytest
import yaml
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from servers.sdss import Server

pytestmark = pytest.mark.workflow


@pytest.fixture
def galaxies(small_survey):
    return pd.read_parquet(small_survey.catalog)


@pytest.fixture
def server(small_survey, galaxies):
    """Run SkyServer and the archive with the small survey's galaxies and frames."""
    photo = {name: galaxies[name].tolist() for name in ("ra", "dec", "run", "rerun", "camcol", "field")}
    photo |= {"objID": galaxies["objid"].tolist(), "mode": [1] * len(galaxies)}
    for band in BANDS:
        extinction = galaxies[f"extinction_{band}"].astype(float)
        photo[f"extinction_{band}"] = extinction.tolist()
        photo[f"modelMag_{band}"] = (galaxies[f"mag_{band}"] + extinction).astype(float).tolist()
    photo["petroMag_r"] = galaxies["petro_r"].astype(float).tolist()
    with Server(tables={"PhotoObjAll": photo}, archive=small_survey.archive) as running:
        yield running


def configure(project, server, text):
    """Write a list and a configuration that names it and leaves `chunks` alone."""
    (project.folder / "mine.csv").write_text(text)
    sdss = {"table": "mine.csv", "server": server.skyserver, "archive": server.sas}
    (project.folder / "mine.yaml").write_text(yaml.safe_dump({"survey": "sdss", "sdss": sdss}))
    return "stamps", "--configfile", "mine.yaml"


def test_chunks_follow_from_the_list(fresh_project, server, galaxies):
    """A list of positions, separated by semicolons, with one galaxy twice and one redshift that is none."""
    listed = galaxies[["ra", "dec", "z"]].astype(float)
    listed.loc[3, "z"] = -9999
    listed = pd.concat([listed, listed.iloc[[0]]])
    arguments = configure(fresh_project, server, listed.to_csv(index=False, sep=";"))
    jobs = fresh_project.plan(*arguments)
    assert jobs["cut"] < 10
    ran = fresh_project.snakemake("--cores", "2", *arguments)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "z is missing where it holds a sentinel: -9999 in 1 of 49 rows" in ran.stdout
    results = fresh_project.folder / "results"
    catalog = pd.read_parquet(results / "catalog/galaxies.parquet")
    assert len(catalog) == len(galaxies) and catalog["z"].isna().sum() == 1
    assert pd.read_csv(results / "catalog/galaxies.left_out.csv")["row"].tolist() == [len(listed)]
    shards = sorted((results / "stamps").glob("*.h5"))
    assert len(shards) == jobs["cut"]
    stamps = StampSet(shards).objid
    missing = pd.concat([pd.read_csv(file) for file in (results / "stamps").glob("*.missing.csv")])
    assert len(stamps) > 30 and len(stamps) + len(missing) == len(catalog)
    # Nothing is left to do, and the number of jobs is the same now that there is a catalogue.
    again = fresh_project.snakemake("--cores", "1", *arguments)
    assert "Nothing to be done" in again.stdout, again.stdout[-2000:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ra,dec,z,RA\n150.1,2.2,0.11,10\n", "mine.csv: its columns 'ra' and 'RA' have one name; leave one out"),
        ("ra,dec,z\n150.1,2.2,0.11\n150.1,95,0.11\n", "mine.csv: row 2: dec is 95; use from -90 to 90 degrees"),
        ("ra,dec,z\n150.1,2.2,-0.99\n", "mine.csv: row 1: z is -0.99; use a redshift"),
        ("", "mine.csv: is empty"),
        (None, "mine.csv: cannot be read"),
    ],
)
def test_a_wrong_list_stops_the_run_before_its_first_job(project, server, text, expected):
    arguments = configure(project, server, text or "")
    if text is None:
        (project.folder / "mine.csv").unlink()
    catalog = project.folder / "results/catalog/galaxies.parquet"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    catalog.write_text("of an earlier run")
    try:
        ran = project.snakemake("--cores", "1", *arguments)
        assert ran.returncode != 0 and expected in ran.stdout and "Traceback" not in ran.stdout
        assert catalog.read_text() == "of an earlier run" and not server.requests
    finally:
        catalog.unlink()
        catalog.parent.rmdir()
        (project.folder / "mine.yaml").unlink()
