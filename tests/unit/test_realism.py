"""What is measured of stamps: right for galaxies that are known, and alike for simulated and real ones."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.evaluation.appearance import STATISTICS, measure, pixel_noise
from astromae.evaluation.realism import (
    REAL,
    match,
    read_real_stamps,
    realism_table,
    sample_realism,
    write_measurements,
    write_realism_table,
)
from astromae.stamps.resample import resample
from astromae.survey.archive import strip_folder
from astromae.survey.embedded import EmbeddedSettings
from astromae.survey.embedded_catalog import write_embedded_catalog
from astromae.survey.render import render_strip

SHARED = Path(__file__).parents[3] / "shared/data/sdss-real/stamps"
NOISE = 0.02


def stamp(flux=100.0, scale=3.0, blob=0.0, seed=0):
    """An exponential disc, with sky noise, and with a blob far from its centre where asked for."""
    y, x = np.indices((64, 64)) - 31.5
    disc = np.exp(-np.hypot(x, y) / scale)
    image = flux * disc / disc.sum()
    image += blob * np.exp(-((x - 24) ** 2 + (y + 12) ** 2) / (2 * 1.5**2)) / (2 * np.pi * 1.5**2)
    return image + NOISE * np.random.default_rng(seed).standard_normal((5, 64, 64))


def test_an_exponential_disc_has_its_numbers():
    """20 and 80 % of an exponential disc's light lie within 0.824 and 2.994 scale lengths: C = 2.80."""
    measured = measure(stamp(scale=4.0))
    assert measured["mag_r"] == pytest.approx(17.5, abs=0.05)
    assert measured["concentration"] == pytest.approx(2.80, abs=0.15)
    assert abs(measured["asymmetry"]) < 0.03
    assert abs(measured["neighbour_flux"]) < 0.01
    for band in "ugriz":
        assert measured[f"noise_{band}"] == pytest.approx(NOISE, rel=0.06)


def test_noise_is_that_of_the_pixels_after_a_shift_and_in_whole_counts():
    """Half a pixel each way is the worst shift for the scatter of single pixels, which it lowers by a quarter."""
    image = NOISE * np.random.default_rng(0).standard_normal((410, 410)).astype(np.float32)
    where = np.ones((400, 400), bool)
    assert pixel_noise(image[:400, :400], where) == pytest.approx(NOISE, rel=0.02)
    moved = resample(image, 0, np.array([[[1, 0, 4.5], [0, 1, 4.5], [0, 0, 1.0]]]), 400)[0].astype(np.float64)
    assert moved.std() < 0.9 * NOISE
    assert pixel_noise(moved, where) == pytest.approx(NOISE, rel=0.12)
    for count in (0.2 * NOISE, 0.3 * NOISE):
        assert pixel_noise((np.rint(image / count) * count)[:400, :400], where) == pytest.approx(NOISE, rel=0.02)


def test_a_neighbour_is_counted_and_moves_nothing_else():
    alone, beside = measure(stamp()), measure(stamp(blob=20.0))
    assert beside["neighbour_flux"] == pytest.approx(0.2, abs=0.03)
    for name in ("mag_r", "concentration", "asymmetry"):
        assert beside[name] == pytest.approx(alone[name], abs=0.04)


def test_a_lopsided_galaxy_is_asymmetric():
    image = stamp()
    image[:, 31:34, 37:41] += 1.0
    assert measure(image)["asymmetry"] > measure(stamp())["asymmetry"] + 0.1


def test_an_empty_stamp_has_noise_only():
    measured = measure(NOISE * np.random.default_rng(0).standard_normal((5, 64, 64)))
    assert list(measured) == list(STATISTICS)
    assert np.isfinite(measured["noise_r"])


def test_magnitudes_are_matched_and_none_is_taken_twice():
    real = pd.DataFrame({"mag_r": [16.0, 17.0]})
    simulated = pd.DataFrame({"mag_r": [17.1, 15.9, np.nan, 16.1, 16.9, 17.2, 16.2, 14.0]})
    chosen = match(real, simulated)
    assert sorted(chosen) == [0, 1, 3, 4, 5, 6]


def test_a_folder_without_stamps_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no stamps"):
        read_real_stamps(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros((32, 32, 5), np.float32))
    with pytest.raises(InputError, match=r"a\.npy: its shape is \(32, 32, 5\)"):
        read_real_stamps(tmp_path)


FILES = {"catalog": "galaxies.parquet", "archive": "", "output": "0000.h5", "missing": "0000.csv"}


@pytest.mark.skipif(not SHARED.exists(), reason="real SDSS stamps are not beside this repository")
def test_the_measurements_that_are_kept_are_those_of_the_real_stamps(tmp_path):
    write_measurements(SHARED, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == REAL.read_bytes()


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Stamps of two populated fields of 150 galaxies, cut as the workflow does."""
    folder = tmp_path_factory.mktemp("populated")
    settings = EmbeddedSettings(
        galaxies=300, seed=42, release=17, runs=[9001], camcols=[3], galaxies_per_field=150
    ).simulation
    write_embedded_catalog(settings, folder / "galaxies.parquet")
    render_strip(folder / "galaxies.parquet", 9001, 3, settings, folder / strip_folder(17, 9001, 3))
    told = {name: str(folder / file) for name, file in FILES.items()} | {"chunk": 0, "release": 17, "size": 64}
    command = [sys.executable, "-m", "astromae", "cut", "--params", json.dumps(told)]
    subprocess.run(command, check=True, capture_output=True)
    sample_realism([folder / "0000.h5"], folder / "realism.h5")
    assert len(StampSet([folder / "0000.h5"]).objid) > 290
    return folder / "realism.h5"


def test_simulated_stamps_look_like_real_ones(sample, tmp_path):
    """At the same r magnitudes the simulated median lies in the central 68 % of the real stamps."""
    table = realism_table(sample).set_index("statistic")
    print(table.to_string())
    assert abs(table.loc["mag_r", "real_median"] - table.loc["mag_r", "simulated_median"]) < 0.15
    for name in ("concentration", "asymmetry", "neighbour_flux", *(f"noise_{band}" for band in "ugriz")):
        row = table.loc[name]
        assert row["real_low"] < row["simulated_median"] < row["real_high"], name
    write_realism_table(sample, tmp_path / "r.csv", tmp_path / "r.tex")
    assert "asymmetry" in (tmp_path / "r.tex").read_text()
