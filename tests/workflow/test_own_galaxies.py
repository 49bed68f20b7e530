"""The documents' walk-through with a list of one's own galaxies, against a server and an archive of our own."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from astromae.constants import BANDS
from astromae.contracts.shards import StampSet
from servers.sdss import Server

pytestmark = pytest.mark.workflow

DOCUMENT = Path(__file__).parents[2] / "docs/your-own-galaxies.md"


def walk_through():
    """Return the document's configuration and the arguments of its first command."""
    text = DOCUMENT.read_text()
    settings = re.search(r"```yaml\n(.*?)```", text, flags=re.S)[1]
    command = re.search(r"^\.venv/bin/snakemake (.*?)(?: +#.*)?$", text, flags=re.M)[1]
    return settings, command.split()


@pytest.fixture
def galaxies(small_survey):
    """Return the small survey's galaxies."""
    return pd.read_parquet(small_survey.catalog)


@pytest.fixture
def server(small_survey, galaxies):
    """Run SkyServer and the archive with the small survey's galaxies and frames."""
    known = galaxies.iloc[1:]  # the first is not in SDSS
    photo = {name: known[name].tolist() for name in ("ra", "dec", "run", "rerun", "camcol", "field")}
    photo |= {"objID": known["objid"].tolist(), "mode": [1] * len(known)}
    for band in BANDS:
        extinction = known[f"extinction_{band}"].astype(float)
        photo[f"extinction_{band}"] = extinction.tolist()
        photo[f"modelMag_{band}"] = (known[f"mag_{band}"] + extinction).astype(float).tolist()
    photo["petroMag_r"] = known["petro_r"].astype(float).tolist()
    with Server(tables={"PhotoObjAll": photo}, archive=small_survey.archive) as running:
        yield running


def run(project, server, listed):
    settings, arguments = walk_through()
    read = yaml.safe_load(settings)
    listed.to_csv(project.folder / read["sdss"]["table"], index=False)
    (project.folder / "mine.yaml").write_text(settings)
    (project.folder / "test.yaml").write_text(
        yaml.safe_dump({"sdss": {"server": server.skyserver, "archive": server.sas}})
    )
    ran = project.snakemake(*arguments, "test.yaml")
    assert ran.returncode == 0, ran.stdout[-4000:]
    results = project.folder / "results"
    return pd.read_parquet(results / "catalog/galaxies.parquet"), StampSet([results / "stamps/0000.h5"]), results


def test_positions_become_a_catalogue_and_stamps(fresh_project, server, galaxies):
    catalog, stamps, results = run(fresh_project, server, galaxies[["ra", "dec", "z"]])
    assert set(catalog["objid"]) == set(galaxies["objid"].iloc[1:])
    both = catalog.merge(galaxies, on="objid", suffixes=("", "_listed"))
    pd.testing.assert_series_equal(both["z"], both["z_listed"], check_names=False, check_dtype=False)
    for band in BANDS:
        assert (both[f"mag_{band}"] - both[f"mag_{band}_listed"]).abs().max() < 1e-4
    left_out = pd.read_csv(results / "catalog/galaxies.left_out.csv")
    assert left_out["row"].tolist() == [1] and "within 2.0 arcsec" in left_out["reason"][0]
    missing = pd.read_csv(results / "stamps/0000.missing.csv")
    assert len(stamps.objid) + len(missing) == len(catalog) and len(stamps.objid) > 30


def test_a_list_with_fields_asks_no_server(fresh_project, server, galaxies):
    catalog, stamps, _ = run(fresh_project, server, galaxies[["objid", "ra", "dec", "run", "camcol", "field"]])
    assert set(catalog["objid"]) == set(galaxies["objid"])
    assert len(stamps.objid) > 30
    assert server.requests and not server.queries
