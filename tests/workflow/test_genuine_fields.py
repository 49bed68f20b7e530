"""Genuine fields of the archive, from a list of galaxies to their stamps."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC
from astromae.contracts.shards import StampSet
from astromae.survey.archive import strip_folder

REAL = Path(__file__).parents[3] / "shared/data/sdss-real"
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here"),
]

#: Radius of the apertures of field_galaxies.csv.
RADIUS_PX = 5.0 / PIXEL_SCALE_ARCSEC


def lay_out(folder, place=Path.symlink_to):
    """Put the genuine frames into the archive's layout."""
    for frame in sorted((REAL / "frames").iterdir()):
        _, _, run, camcol, _ = frame.name.partition(".")[0].split("-")
        link = folder / strip_folder(17, int(run), int(camcol)) / frame.name
        link.parent.mkdir(parents=True, exist_ok=True)
        place(link, frame)


def listed():
    """Return the galaxies of the fields, and the list that a person would make of them."""
    galaxies = pd.read_csv(REAL / "tables/field_galaxies.csv")
    parts = galaxies["field"].str.split("-", expand=True).astype(int)
    columns = {"run": parts[0], "camcol": parts[1], "field": parts[2]}
    return galaxies, galaxies[["ra", "dec", "z"]].assign(**columns, objid=np.arange(len(galaxies)) + 1)


def aperture_magnitude(stamp, parts=10):
    """Pogson magnitude within the aperture around the stamp's centre; pixels on its edge count in parts."""
    fine = (np.arange(64 * parts) + 0.5) / parts - 0.5 - 31.5
    inside = (fine[:, None] ** 2 + fine**2 < RADIUS_PX**2).reshape(64, parts, 64, parts).mean(axis=(1, 3))
    return 22.5 - 2.5 * np.log10((stamp * inside).sum())


def centroid(stamp):
    """Return column and row of the nucleus, by moments in a window that follows it and is too small for spiral arms."""
    y, x = np.indices(stamp.shape) - 31.5
    column = row = 0.0
    for _ in range(20):
        weight = stamp * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 1.2**2))
        column += ((x - column) * weight).sum() / weight.sum()
        row += ((y - row) * weight).sum() / weight.sum()
    return column, row


def make_stamps(project, archive, table, expect=0):
    table.to_csv(project.folder / "galaxies.csv", index=False)
    settings = {"table": "galaxies.csv", "chunks": 1, "archive": str(archive)}
    (project.folder / "mine.yaml").write_text(yaml.safe_dump({"survey": "sdss", "sdss": settings}))
    ran = project.snakemake("--cores", "all", "stamps", "--configfile", "mine.yaml")
    assert ran.returncode == expect, ran.stdout[-4000:]
    return ran.stdout


def test_genuine_fields_give_stamps(fresh_project, tmp_path):
    lay_out(tmp_path / "archive")
    galaxies, table = listed()
    make_stamps(fresh_project, tmp_path / "archive", table)
    fits = galaxies["stamp64_fits_r"].to_numpy()
    stamps = StampSet([fresh_project.folder / "results/stamps/0000.h5"])
    missing = pd.read_csv(fresh_project.folder / "results/stamps/0000.missing.csv").set_index("objid")["reason"]
    assert set(stamps.objid) == set(table["objid"][fits]) and len(stamps.objid) == 4
    assert set(missing.index) == set(table["objid"][~fits])
    assert missing.str.startswith("off the edge in band").all()
    for row in np.flatnonzero(fits):
        pixels = stamps.read([table["objid"][row]])[0].astype(np.float64)
        for band, stamp in zip(BANDS, pixels, strict=True):
            assert aperture_magnitude(stamp) == pytest.approx(galaxies[f"ap_{band}"][row], abs=0.05), (row, band)
            # In u, where these galaxies have a signal of a few sigma a pixel, the centre is noise and young arms too.
            assert np.hypot(*centroid(stamp)) < (0.85 if band == "u" else 0.5), (row, band)


def test_a_mirror_may_be_compressed_otherwise_and_given_by_its_release(fresh_project, tmp_path):
    """Frames of a mirror that holds gzip files and plain ones give the same stamps as the archive's."""

    def place(link, frame):
        data = bz2.decompress(frame.read_bytes())
        plain = link.name.startswith(("frame-r", "frame-z"))
        data = data if plain else gzip.compress(data, 1)
        link.with_name(link.name.replace(".bz2", "" if plain else ".gz")).write_bytes(data)

    lay_out(tmp_path / "mirror", place)
    lay_out(tmp_path / "archive")
    _, table = listed()
    make_stamps(fresh_project, tmp_path / "archive", table)
    shard = fresh_project.folder / "results/stamps/0000.h5"
    whole = shard.read_bytes()
    shard.unlink()
    make_stamps(fresh_project, tmp_path / "mirror/dr17", table)
    assert shard.read_bytes() == whole


def test_an_archive_without_frames_is_refused_before_the_first_job(fresh_project, tmp_path):
    _, table = listed()
    said = make_stamps(fresh_project, "/nonexistent/sas", table, expect=1)
    assert "/nonexistent/sas" in said and "does not exist; allowed: a folder that holds dr17/eboss" in said
    assert not (fresh_project.folder / "results/catalog").exists()
    ran = fresh_project.snakemake("--dry-run", "stamps", "--configfile", "mine.yaml")
    assert ran.returncode == 1 and "does not exist" in ran.stdout
