"""What stands between stages is checked where it is written and where it is read."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astromae.contracts.catalog import catalog_columns, read_catalog, read_provenance, write_catalog
from astromae.contracts.shards import StampSet, write_shard
from astromae.contracts.splits import read_split, write_split
from astromae.contracts.stamp_format import StampFormat, join_bands, split_bands
from astromae.errors import InputError

GRIZ = ("g", "r", "i", "z")


def galaxies(count=5):
    objid = np.arange(count) + 7
    return pd.DataFrame({"objid": objid, "ra": 10.0 * objid, "dec": 1.0, "z": 0.1, "mag_r": 18.0, "chunk": 0})


def test_a_catalogue_has_all_columns_of_its_bands(tmp_path):
    write_catalog(tmp_path / "g.parquet", galaxies().assign(depth_mag=24.0), GRIZ, {"survey": "x"})
    table = pd.read_parquet(tmp_path / "g.parquet")
    assert list(table) == [*catalog_columns(GRIZ), "chunk", "depth_mag"]
    assert "mag_u" not in table and table["mag_i"].isna().all() and (table["field"] == 0).all()
    assert read_provenance(tmp_path / "g.parquet") == {"survey": "x"}
    assert (tmp_path / "g.parquet.sha256").exists()
    assert len(read_catalog(tmp_path / "g.parquet", ["objid", "mag_g"], chunk=0)) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objid": [1, 1, 2, 3, 4]}, "objid 1 stands in more than one row"),
        ({"ra": [0.0, 1, 2, 3, 361]}, "1 galaxies have no ra from 0.0 to 360.0; the first, 11, has 361.0"),
        ({"dec": [0.0, np.nan, 2, 3, 4]}, "no dec from"),
    ],
)
def test_a_wrong_catalogue_is_not_written(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        write_catalog(tmp_path / "g.parquet", galaxies().assign(**changes), GRIZ, {})
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_missing_is_named(tmp_path):
    write_catalog(tmp_path / "g.parquet", galaxies(), GRIZ, {})
    with pytest.raises(InputError, match=r"g\.parquet: has no column mag_u; here a catalogue needs objid, mag_u"):
        read_catalog(tmp_path / "g.parquet", ["objid", "mag_u"])
    with pytest.raises(InputError, match="at least the columns objid and chunk"):
        write_catalog(tmp_path / "h.parquet", galaxies().drop(columns="chunk"), GRIZ, {})


def test_no_galaxy_is_in_two_subsets(tmp_path):
    path = tmp_path / "split.parquet"
    write_split(path, pd.DataFrame({"objid": [1, 2], "subset": ["train", "test"]}), {"seed": 1})
    assert read_split(path)["subset"].tolist() == ["train", "test"]
    assert json.loads(pq.read_schema(path).metadata[b"astromae"]) == {"seed": 1}
    for table, message in (
        ({"objid": [1, 1], "subset": ["train", "test"]}, "objid 1 is in two subsets"),
        ({"objid": [1, 2], "subset": ["train", "tets"]}, "no such subset: tets"),
    ):
        with pytest.raises(InputError, match=message):
            write_split(path, pd.DataFrame(table), {})
        pd.DataFrame(table).to_parquet(tmp_path / "other.parquet")
        with pytest.raises(InputError, match=message):
            read_split(tmp_path / "other.parquet")


@pytest.mark.parametrize("bands", [("u", "g", "r", "i", "z"), ("r",), ("F606W", "F814W"), ("VIS",), ("g", "NUV")])
def test_names_of_bands_survive_in_a_shard(tmp_path, bands):
    assert split_bands(join_bands(bands)) == bands
    stamps = StampFormat(bands, 0.1, 12)
    write_shard(tmp_path / "0.h5", np.arange(3), np.zeros((3, *stamps.shape), np.float32), stamps, "x", "none")
    read = StampSet([tmp_path / "0.h5"])
    assert (read.bands, read.pixel_scale_arcsec, read.size) == (bands, 0.1, 12)
    assert read.read(np.array([2]), 6).shape == (1, len(bands), 6, 6)


@pytest.mark.parametrize(
    "other", [StampFormat(("g", "r"), 0.1, 12), StampFormat(("g", "i"), 0.1, 12), StampFormat(("g",), 0.1, 12)]
)
def test_shards_of_different_formats_are_refused(tmp_path, other):
    for number, stamps in enumerate((StampFormat(("g", "r"), 0.2, 12), other)):
        images = np.zeros((2, *stamps.shape), np.float32)
        write_shard(tmp_path / f"{number}.h5", np.arange(2) + 2 * number, images, stamps, "x", "none")
    with pytest.raises(InputError, match=r"1\.h5: holds stamps of 12 px of 0\.1 arcsec .*0\.h5 holds .* 0\.2 arcsec"):
        StampSet([tmp_path / "0.h5", tmp_path / "1.h5"])
    with pytest.raises(InputError, match="no shards"):
        StampSet([])


def test_stamps_have_an_even_side(tmp_path):
    stamps = StampFormat(("g",), 0.2, 11)
    write_shard(tmp_path / "0.h5", np.arange(2), np.zeros((2, 1, 11, 11), np.float32), stamps, "x", "none")
    with pytest.raises(InputError, match="even size"):
        StampSet([tmp_path / "0.h5"])
