"""Splits: exact, disjoint, seeded, and made only when no galaxy was lost on the way."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astromae.contracts.missing import write_missing
from astromae.contracts.shards import write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.stamps.deal import SUBSETS, check_fractions, deal, write_split

STAMPS = StampFormat(tuple("ugriz"), 0.396, 64)
FRACTIONS = {"pretrain": 0.45, "pretrain_val": 0.05, "train": 0.30, "val": 0.05, "test": 0.15}
FIRST = 1237648720000000000


@pytest.fixture
def inputs(tmp_path):
    """A catalogue of 60 galaxies: two shards with 40 and 18 stamps, and two galaxies without."""
    objid = FIRST + np.random.default_rng(1).permutation(60)
    pq.write_table(pa.table({"objid": objid}), tmp_path / "galaxies.parquet")
    rows = np.split(objid, [40, 58])
    for chunk in (0, 1):
        images = np.zeros((len(rows[chunk]), *STAMPS.shape), np.float16)
        write_shard(tmp_path / f"{chunk}.h5", rows[chunk], images, STAMPS, "test", "lanczos3")
    write_missing(tmp_path / "0.missing.csv", rows[2][:0], [])
    write_missing(tmp_path / "1.missing.csv", rows[2], ["no frame in band g, alas", "off the edge in band u"])
    return tmp_path


def split(folder, fractions=FRACTIONS, seed=42, limit=0.1, stamps="01", missing="01", name="split.parquet"):
    write_split(
        folder / "galaxies.parquet",
        [folder / f"{chunk}.h5" for chunk in stamps],
        [folder / f"{chunk}.missing.csv" for chunk in missing],
        fractions,
        seed,
        limit,
        folder / name,
    )
    return pd.read_parquet(folder / name)


def test_contract_of_the_file(inputs):
    table = split(inputs)
    assert list(table.columns) == ["objid", "subset"]
    assert table["objid"].dtype == np.int64 and table["objid"].is_unique
    assert len(table) == 58
    in_catalog_order = pd.read_parquet(inputs / "galaxies.parquet")["objid"]
    np.testing.assert_array_equal(table["objid"], in_catalog_order[in_catalog_order.isin(table["objid"])])
    metadata = json.loads(pq.read_schema(inputs / "split.parquet").metadata[b"astromae"])
    assert metadata["seed"] == 42 and metadata["fractions"] == FRACTIONS and metadata["missing"] == 2
    assert metadata["counts"] == dict(Counter(table["subset"]))


@pytest.mark.parametrize("count", [1000, 1001, 9997, 659_857])
def test_counts_are_exact_and_subsets_disjoint(count):
    subset = deal(FIRST + np.arange(count), check_fractions(FRACTIONS), 1)
    counts = Counter(subset.tolist())
    assert sum(counts.values()) == count and "" not in counts
    for name, fraction in FRACTIONS.items():
        assert abs(counts[name] - fraction * count) < 1


def test_fractions_may_leave_galaxies_out():
    counts = Counter(deal(np.arange(1000), check_fractions({"train": 0.1, "test": 0.05}), 1).tolist())
    assert counts == {"train": 100, "test": 50, "": 850}


def test_zero_fraction_gives_no_subset():
    fractions = {"pretrain": 0.0, "pretrain_val": 0, "train": 0.8, "val": 0.05, "test": 0.15}
    assert Counter(deal(np.arange(100), check_fractions(fractions), 1).tolist()) == {"train": 80, "val": 5, "test": 15}


def test_decimals_that_add_up_to_one_only_nearly():
    assert sum([0.7, 0.2, 0.1]) != 1
    counts = Counter(deal(np.arange(1000), check_fractions({"train": 0.7, "val": 0.2, "test": 0.1}), 1).tolist())
    assert counts == {"train": 700, "val": 200, "test": 100}


def test_order_does_not_matter_and_the_seed_does(inputs):
    first = split(inputs).set_index("objid")["subset"]
    other_order = split(inputs, stamps="10", missing="10").set_index("objid")["subset"]
    pd.testing.assert_series_equal(first, other_order)
    assert (first != split(inputs, seed=43).set_index("objid")["subset"]).any()
    split(inputs, name="again.parquet")
    split(inputs)
    assert (inputs / "again.parquet").read_bytes() == (inputs / "split.parquet").read_bytes()


def test_losing_a_galaxy_moves_few_others():
    objid = FIRST + np.arange(10_000)
    fractions = check_fractions(FRACTIONS)
    whole = deal(objid, fractions, 1)
    rest = deal(objid[:-5], fractions, 1)
    assert (whole[:-5] != rest).sum() <= 5 * len(FRACTIONS)


def test_subsets_are_a_fair_draw():
    """Neither position in the catalogue nor parity of the object decides over the subset."""
    objid = FIRST + np.arange(20_000)
    subset = deal(objid, check_fractions(FRACTIONS), 1)
    for part in (objid % 2 == 0, np.arange(len(objid)) < 10_000):
        share = (subset[part] == "train").mean()
        assert abs(share - 0.30) < 4 * np.sqrt(0.3 * 0.7 / part.sum())


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"train": 0.9, "test": 0.2}, "add up to 1.1"),
        ({"train": -0.1, "test": 0.2}, "fractions.train: -0.1"),
        ({"train": float("nan")}, "fractions.train: nan"),
        ({"train": "much"}, "fractions.train: 'much'"),
        ({"train": True}, "fractions.train: True"),
        ({"training": 0.5}, "fractions.training: no such subset; there are pretrain"),
        ({"train": 0.0}, "all are 0"),
        ({"train": 0.9, "val": 0.001}, "fractions.val: 0.001 of 58 galaxies is none"),
    ],
)
def test_impossible_fractions(inputs, fractions, message):
    with pytest.raises(InputError, match=message):
        split(inputs, fractions)
    assert not (inputs / "split.parquet").exists()


def test_too_many_missing(inputs):
    with pytest.raises(InputError, match=r"2 of 60 galaxies.*max_missing_fraction = 0\.01.*no frame in band g, alas"):
        split(inputs, limit=0.01)


def test_galaxy_without_stamp_or_reason(inputs):
    with pytest.raises(InputError, match=r"18 galaxies of .*galaxies\.parquet have neither"):
        split(inputs, stamps="0")
    with pytest.raises(InputError, match=r"2 galaxies of .*neither"):
        split(inputs, missing="0")


def test_galaxy_with_both_or_twice(inputs):
    objid = pd.read_parquet(inputs / "galaxies.parquet")["objid"].to_numpy()
    write_missing(inputs / "0.missing.csv", objid[:1], ["off the edge in band u"])
    with pytest.raises(InputError, match=f"1 galaxies have a stamp and are missing.*{objid[0]}"):
        split(inputs)
    with pytest.raises(InputError, match="more than one stamp"):
        split(inputs, stamps="001")


def test_stranger(inputs):
    write_missing(inputs / "0.missing.csv", np.array([99]), ["off the edge in band u"])
    with pytest.raises(InputError, match=r"not in .*galaxies\.parquet; the first are objid 99"):
        split(inputs)


def test_lists_that_are_none(inputs):
    (inputs / "0.missing.csv").write_text("objid,reason\n12a,off\n")
    with pytest.raises(InputError, match=r"0\.missing\.csv, line 2: '12a,off'"):
        split(inputs)
    (inputs / "0.missing.csv").write_text("something else\n")
    with pytest.raises(InputError, match=r"0\.missing\.csv.*objid,reason"):
        split(inputs)


def test_order_of_subsets_is_fixed():
    assert list(check_fractions(dict(reversed(FRACTIONS.items())))) == list(SUBSETS)
