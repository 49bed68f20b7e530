"""The corner of the real sky, small: from SkyServer and the archive to tables, against servers of our own.

The archive serves simulated frames, on which there are galaxies enough to train on, and genuine ones where they are
present, with the six galaxies of known redshift that lie on them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from astromae.classical import METHODS
from astromae.constants import BANDS
from astromae.contracts.catalog import read_provenance
from astromae.contracts.shards import StampSet
from astromae.survey.archive import strip_folder
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.embedded_catalog import write_embedded_catalog
from astromae.survey.objid import encode_objid
from astromae.survey.render import render_strip
from project import ROOT, Project, clone
from servers.sdss import Server

pytestmark = pytest.mark.workflow

GENUINE = ROOT.parent / "shared/data/sdss-real"
RELEASE, CHUNKS = 17, 3
SIMULATED = EmbeddedSettings(
    galaxies=120, seed=7, release=RELEASE, runs=[9001], camcols=[3], galaxies_per_field=40, populated=True
).simulation

# Laid over the preset: the servers' addresses are added, and the corner's cuts lifted, since the galaxies here lie
# elsewhere. The rest makes it small.
TINY = {
    "pretraining": {"updates": 4, "batch_size": 16, "schedule": {"warmup": 1}},
    "finetuning": {"updates": 4, "batch_size": 16, "schedule": {"warmup": 1}},
    "models": ["henghes", "plain-astromae"],
}
SMALL = {
    "sdss": {"cuts": {"ra": None, "dec": None}, "chunks": CHUNKS},
    "backbones": {"plain": {"width": 48, "depth": 2}},
    "decoder": {"width": 48, "depth": 1},
    "experiments": {
        "experiment1": TINY,
        "experiment2": TINY,
        "distributions": {"finetuning": TINY["finetuning"], "classical": ["knn"]},
    },
    "evaluation": {"bootstrap_samples": 100},
}


def genuine_galaxies() -> pd.DataFrame:
    """Return the galaxies on the genuine fields; their magnitudes are those of 5" apertures, and not dereddened."""
    listed = pd.read_csv(GENUINE / "tables/field_galaxies.csv")
    galaxies = listed[["ra", "dec", "z"]].copy()
    galaxies[["run", "camcol", "field"]] = listed["field"].str.split("-", expand=True).astype(int)
    number = galaxies.groupby(["run", "camcol", "field"]).cumcount() + 1
    galaxies["objid"] = encode_objid(galaxies["run"], galaxies["camcol"], galaxies["field"], number)
    galaxies["rerun"], galaxies["petro_r"] = 301, listed["ap_r"]
    for band in BANDS:
        galaxies[f"mag_{band}"], galaxies[f"extinction_{band}"] = listed[f"ap_{band}"], 0.0
    galaxies["survey"] = np.where(listed["source"].str.contains("BOSS"), "boss", "sdss")
    galaxies["fits"] = listed["stamp64_fits_r"]
    return galaxies


def tables_of(galaxies: pd.DataFrame) -> dict[str, dict[str, list]]:
    """Return SkyServer's tables with these galaxies, one spectrum each."""
    photo = {name: galaxies[name] for name in ("ra", "dec", "run", "rerun", "camcol", "field")}
    photo |= {"objID": galaxies["objid"], "petroMag_r": galaxies["petro_r"] + galaxies["extinction_r"]}
    photo["fieldID"] = encode_objid(galaxies["run"], galaxies["camcol"], galaxies["field"], 0)
    for band in BANDS:
        photo[f"extinction_{band}"] = galaxies[f"extinction_{band}"]
        photo[f"modelMag_{band}"] = galaxies[f"mag_{band}"] + galaxies[f"extinction_{band}"]
    same = {"clean": 1, "mode": 1, "insideMask": 0, "calibStatus_r": 1}
    photo |= {name: np.full(len(galaxies), value) for name, value in same.items()}
    identifiers = np.arange(len(galaxies)) + 299489676975171584
    spectra = {"specObjID": identifiers.astype(str), "bestObjID": galaxies["objid"], "zErr": galaxies["z"] * 1e-4}
    spectra |= {name: galaxies[name] for name in ("ra", "dec", "z", "survey")}
    constant = {"class": "GALAXY", "zWarning": 0, "targetType": "SCIENCE"}
    spectra |= {name: np.full(len(galaxies), value) for name, value in constant.items()}
    tables = {
        "SpecObjAll": spectra,
        "PhotoObjAll": photo,
        "Photoz": {"objID": galaxies["objid"]},
        "galSpecInfo": {"specObjID": identifiers.astype(str), "primtarget": np.full(len(galaxies), 64)},
    }
    return {
        name: {column: list(np.asarray(values).tolist()) for column, values in table.items()}
        for name, table in tables.items()
    }


@dataclass(frozen=True)
class Corner:
    """The finished run: its clone, all galaxies that SkyServer has, what was asked, and what was said beforehand."""

    project: Project
    galaxies: pd.DataFrame
    requests: list[str]
    sent: int
    whole: int
    said: str

    @property
    def results(self) -> Path:
        return self.project.folder / "results"

    @property
    def catalog(self) -> pd.DataFrame:
        return pd.read_parquet(self.results / "catalog/galaxies.parquet")

    @property
    def stamps(self) -> StampSet:
        return StampSet([self.results / f"stamps/{chunk:04d}.h5" for chunk in range(CHUNKS)])

    @property
    def missing(self) -> pd.DataFrame:
        files = [self.results / f"stamps/{chunk:04d}.missing.csv" for chunk in range(CHUNKS)]
        return pd.concat([pd.read_csv(file) for file in files])


@pytest.fixture(scope="module")
def corner(tmp_path_factory) -> Corner:
    folder = tmp_path_factory.mktemp("archive")
    write_embedded_catalog(SIMULATED, folder / "simulated.parquet")
    render_strip(folder / "simulated.parquet", 9001, 3, SIMULATED, folder / strip_folder(RELEASE, 9001, 3))
    galaxies = pd.read_parquet(folder / "simulated.parquet").assign(survey="sdss", fits=True)
    if GENUINE.is_dir():
        known = genuine_galaxies()
        galaxies = pd.concat([galaxies, known], ignore_index=True)
        for frame in (GENUINE / "frames").iterdir():
            _, _, run, camcol, _ = frame.name.split("-")
            place = folder / strip_folder(RELEASE, int(run), int(camcol))
            place.mkdir(parents=True, exist_ok=True)
            (place / frame.name).symlink_to(frame)
    project = clone(tmp_path_factory.mktemp("corner"))
    with Server(tables=tables_of(galaxies), archive=folder) as server:
        settings = {**SMALL, "sdss": SMALL["sdss"] | {"server": server.skyserver, "archive": server.sas}}
        (project.folder / "small.yaml").write_text(yaml.safe_dump(settings))
        files = ("--configfile", "workflow/presets/corner.yaml", "small.yaml")
        said = project.snakemake("downloads", "--cores", "1", "--quiet", "all", *files)
        assert said.returncode == 0, said.stdout
        ran = project.snakemake("tables", "--cores", "2", *files)
        assert ran.returncode == 0, ran.stdout[-5000:]
        asked = [request.path for request in server.requests]
        whole = sum((folder / path.partition("/sas/")[2]).stat().st_size for path in asked if "/frame-" in path)
        return Corner(project, galaxies, asked, server.sent, whole, said.stdout)


def test_the_selections_galaxies_come_into_the_catalogue(corner):
    known = corner.galaxies
    taken = known[(known["survey"] == "sdss") & (known["z"] <= 0.4) & (known["petro_r"] <= 17.8)]
    assert set(corner.catalog["objid"]) == set(taken["objid"])
    assert 100 < len(taken) < len(known)


def test_the_plan_said_what_the_run_then_took(corner):
    counts = read_provenance(corner.results / "catalog/galaxies.parquet")["counts"]
    counted = json.loads((corner.results / "catalog/counts.json").read_text())["counts"]
    assert (counted["galaxies"], counted["fields"]) == (counts["galaxies"], counts["fields"])
    assert f"{counts['galaxies']}   on {counts['fields']} fields" in corner.said
    queries = [path for path in corner.requests if "SqlSearch" in path]
    frames = [path for path in corner.requests if "/frame-" in path]
    # One query for the counts, then two for each of two partitions; each frame is asked for once.
    assert len(queries) == 1 + 2 * 2
    assert len(frames) == len(set(frames)) == 5 * counts["fields"]
    # Frames with few galaxies are not read to their end.
    assert corner.sent < corner.whole


def test_every_galaxy_has_a_stamp_or_a_reason(corner):
    held, missing = set(corner.stamps.objid), set(corner.missing["objid"])
    assert held | missing == set(corner.catalog["objid"]) and not held & missing
    assert len(missing) <= 0.06 * len(corner.catalog)


@pytest.mark.skipif(not GENUINE.is_dir(), reason=f"{GENUINE} is not here")
def test_genuine_frames_yield_stamps(corner):
    known = genuine_galaxies().merge(corner.catalog[["objid"]], on="objid")
    held = known["objid"].isin(corner.stamps.objid)
    assert known["fits"].sum() == 4
    pd.testing.assert_series_equal(held, known["fits"], check_names=False)
    reasons = corner.missing.set_index("objid").loc[known.loc[~known["fits"], "objid"], "reason"]
    assert reasons.str.contains("edge|off the frame").all(), reasons.tolist()


@pytest.mark.parametrize("table", ["table4", "table5"])
def test_the_tables_hold_every_model(corner, table):
    rows = pd.read_csv(corner.results / f"tables/{table}.csv").set_index("model")
    models = {"henghes", "plain-astromae", *METHODS}
    assert models <= set(rows.index)
    assert np.isfinite(rows.loc[sorted(models), "mae"]).all()
