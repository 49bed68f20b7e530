import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS
from astromae.errors import InputError
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.embedded_catalog import (
    EDGE_MARGIN,
    build_catalog,
    fields_of,
    observed_flux,
    read_sample,
    write_embedded_catalog,
)
from astromae.survey.geometry import field_astrometry
from astromae.survey.objid import decode_objid

CONTRACT = {
    "objid": "int64",
    "ra": "float64",
    "dec": "float64",
    **dict.fromkeys(["run", "rerun", "camcol", "field"], "int32"),
    **dict.fromkeys(["z", "z_err"], "float"),
    **{f"mag_{band}": "float" for band in BANDS},
    **{f"extinction_{band}": "float" for band in BANDS},
    "petro_r": "float",
    "chunk": "int32",
}
SETTINGS = EmbeddedSettings(
    galaxies=600,
    seed=1,
    release=17,
    runs=[9001, 9002],
    camcols=[2, 5],
    galaxies_per_field=120,
    populated=True,
).simulation


@pytest.fixture(scope="module")
def catalog():
    return build_catalog(SETTINGS)


def test_columns_and_types_are_the_contract(small_survey):
    catalog = pd.read_parquet(small_survey.catalog)
    assert list(catalog.columns[: len(CONTRACT)]) == list(CONTRACT)
    for name, kind in CONTRACT.items():
        assert str(catalog[name].dtype).startswith(kind)
    metadata = json.loads(pq.read_schema(small_survey.catalog).metadata[b"astromae"])
    assert metadata["survey"] == "embedded" and metadata["release"] == 17
    assert metadata["counts"]["galaxies"] == len(catalog)
    prefixes = {name.split("_")[0] + "_*" for name in catalog.columns} | {"bulge_fraction_*", "arm_fraction_*"}
    assert set(metadata["units"]) <= set(catalog.columns) | prefixes


def test_identifiers_are_unique_and_say_where(catalog):
    assert catalog["objid"].is_unique
    parts = decode_objid(catalog["objid"].to_numpy())
    for name in ("run", "camcol", "field", "rerun"):
        assert np.array_equal(parts[name], catalog[name])
    assert np.all(parts["sky_version"] == 2) and np.all(parts["first_field"] == 0)


def test_galaxies_are_real(catalog):
    sample = read_sample().iloc[catalog["source_row"]]
    assert len(set(catalog["source_row"])) == SETTINGS.galaxies
    assert np.array_equal(catalog["z"], sample["z"])
    assert np.array_equal(catalog["source_ra"], sample["ra"])
    flux = sample[[f"modelflux_{band}" for band in BANDS]].to_numpy()
    assert np.allclose(observed_flux(catalog), flux, rtol=1e-9)
    # Dereddened: brighter than observed, by the extinction.
    colour = catalog["mag_g"] - catalog["mag_r"]
    assert 0.5 < colour.median() < 1.1
    assert catalog["z_err"].isna().all()


def test_negative_u_fluxes_survive():
    flux = observed_flux(build_catalog(replace(SETTINGS, **{"galaxies": 10000, "galaxies_per_field": 210})))
    assert (flux[:, 0] < 0).sum() == 12
    assert np.all(flux[:, 1:] > 0)


def test_the_sample_is_not_dereddened_already():
    """Colours redden with the colour excess at given redshift and magnitude, as only observed fluxes do."""
    sample = read_sample()
    magnitude = {band: -2.5 * np.log10(sample[f"modelflux_{band}"]) for band in "gri"}
    for blue, red in ("gr", "ri"):
        excess = (sample[f"extinction_{blue}"] - sample[f"extinction_{red}"]).to_numpy()
        z, r = sample["z"].to_numpy(), magnitude["r"].to_numpy()
        design = np.stack([np.ones_like(z), z, z**2, z**3, r, r**2, excess], axis=1)
        colour = (magnitude[blue] - magnitude[red]).to_numpy()
        good = np.isfinite(colour)
        for _ in range(5):
            slope = np.linalg.lstsq(design[good], colour[good], rcond=None)[0]
            residual = colour - design @ slope
            good = np.abs(residual) < 4.4 * np.median(np.abs(residual))
        assert 0.7 < slope[-1] < 1.5


def test_fields_are_dealt_evenly(catalog):
    assert len(fields_of(SETTINGS)) == 5
    sizes = catalog.groupby(["run", "camcol", "field"]).size()
    assert sizes.max() - sizes.min() <= 1 and sizes.max() <= 120
    order = [(run, camcol) for run in SETTINGS.runs for camcol in SETTINGS.camcols]
    chunks = [order.index(strip) for strip in zip(catalog["run"], catalog["camcol"], strict=True)]
    assert np.array_equal(catalog["chunk"], chunks)
    assert sorted(catalog["chunk"].unique()) == [0, 1, 2, 3]
    few = fields_of(replace(SETTINGS, **{"galaxies": 10}))
    assert len({field[:2] for field in few}) == 4


def test_galaxies_stand_apart_and_inside(catalog):
    for (run, camcol, field), galaxies in catalog.groupby(["run", "camcol", "field"]):
        wcs = field_astrometry(SETTINGS, run, camcol, field, "r").wcs()
        pixel = np.stack(wcs.all_world2pix(galaxies["ra"].to_numpy(), galaxies["dec"].to_numpy(), 0), axis=1)
        assert np.all(pixel >= EDGE_MARGIN - 1e-3)
        assert np.all(pixel <= np.array([FRAME_COLUMNS, FRAME_ROWS]) - 1 - EDGE_MARGIN + 1e-3)
        distance = np.linalg.norm(pixel[:, None] - pixel[None], axis=2)
        assert distance[np.triu_indices(len(pixel), 1)].min() > 60


def test_few_galaxies_fall_off_a_band(tmp_path):
    """Of the default survey, under 1 % of the stamps, turned and with their kernel, leave a band's frame."""
    settings = EmbeddedSettings(
        **yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["embedded"]
    ).simulation
    write_embedded_catalog(settings, tmp_path / "galaxies.parquet")
    catalog = pd.read_parquet(tmp_path / "galaxies.parquet")
    off = 0
    for (run, camcol, field), galaxies in catalog.groupby(["run", "camcol", "field"]):
        leaves = np.zeros(len(galaxies), bool)
        for band in BANDS:
            wcs = field_astrometry(settings, run, camcol, field, band).wcs()
            column, row = wcs.all_world2pix(galaxies.ra, galaxies.dec, 0)
            angle = np.arctan2(wcs.wcs.cd[0, 1], wcs.wcs.cd[1, 1])
            reach = 31.5 * (abs(np.cos(angle)) + abs(np.sin(angle))) + 3
            leaves |= (column < reach) | (column > FRAME_COLUMNS - 1 - reach)
            leaves |= (row < reach) | (row > FRAME_ROWS - 1 - reach)
        off += leaves.sum()
    assert 0 < off / len(catalog) < 0.01


def test_a_galaxy_looks_the_same_however_many_are_drawn(catalog):
    fewer = build_catalog(replace(SETTINGS, **{"galaxies": 300})).set_index("source_row")
    more = catalog.set_index("source_row").loc[fewer.index]
    assert np.array_equal(fewer["half_light_arcsec"], more["half_light_arcsec"])


def test_same_seed_same_bytes(small_survey, tmp_path):
    write_embedded_catalog(small_survey.settings, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == small_survey.catalog.read_bytes()
    write_embedded_catalog(replace(small_survey.settings, **{"seed": 8}), tmp_path / "other.parquet")
    assert (tmp_path / "other.parquet").read_bytes() != small_survey.catalog.read_bytes()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"galaxies": 10001}, "embedded.galaxies: 10001"),
        ({"galaxies": 3}, "embedded.galaxies: 3"),
        ({"galaxies_per_field": 2000}, "embedded.galaxies_per_field: 2000"),
    ],
)
def test_impossible_surveys_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        build_catalog(replace(SETTINGS, **change))
