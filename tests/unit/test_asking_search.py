"""Searches among embeddings find what all cosines in float64 say, and their file says what is wrong with it."""

import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astromae.asking import search
from astromae.asking.oddities import anomalies, mislabels
from astromae.asking.search import bench_search, find, locate, nearest
from astromae.contracts.embeddings import Embeddings, EmbeddingsWriter
from astromae.errors import InputError

WIDTH = 16


def brute_force(vectors, queries, k, own=None):
    """Return the nearest by all cosines in float64; of equal ones, the lower index first."""
    vectors, queries = vectors.astype(np.float64), np.asarray(queries, np.float64)
    cosines = (queries[:, None] * vectors).sum(axis=2)
    cosines /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(queries, axis=1)[:, None]
    if own is not None:
        cosines[np.arange(len(queries)), own] = -np.inf
    order = np.stack([np.lexsort((np.arange(len(vectors)), -row)) for row in cosines])
    order = order[:, : min(k, len(vectors) - (own is not None))]
    return order, np.take_along_axis(cosines, order, axis=1)


def some_vectors(n, width=WIDTH, seed=0, kind=np.float16):
    return np.random.default_rng(seed).standard_normal((n, width)).astype(kind)


def write(path, vectors, objid=None, blocks=3, **columns):
    objid = np.arange(100, 100 + len(vectors)) if objid is None else objid
    with EmbeddingsWriter(path, {"encoder": "pcm", "seed": 3}) as writer:
        for part in np.array_split(np.arange(len(vectors)), blocks):
            writer.append(objid[part], vectors[part], {name: np.asarray(v)[part] for name, v in columns.items()})
    return Embeddings(path)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("block", [7, 4096])
@pytest.mark.parametrize("k", [1, 20, 498, 1000])
def test_nearest_are_those_of_float64(kind, block, k):
    vectors, queries = some_vectors(500, kind=kind), some_vectors(9, seed=1, kind=np.float64)
    indices, cosines = nearest(vectors, queries, k, block)
    expected, values = brute_force(vectors, queries, k)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(cosines, values, rtol=0, atol=1e-14)


def test_one_query_among_many_blocks():
    vectors, queries = some_vectors(10_000, 96), some_vectors(1, 96, seed=1)
    indices, cosines = nearest(vectors, queries, 20)
    expected, values = brute_force(vectors, queries, 20)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(cosines, values, rtol=0, atol=1e-14)


def test_own_entry_is_left_out_and_the_rest_stays():
    vectors = some_vectors(50)
    own = np.arange(50)
    indices, _ = nearest(vectors, vectors, 49, own=own)
    np.testing.assert_array_equal(indices, brute_force(vectors, vectors, 49, own)[0])
    assert all(sorted([*row, i]) == list(range(50)) for i, row in enumerate(indices))


def test_equal_vectors_come_by_lower_index_whatever_their_number():
    random = np.random.default_rng(0)
    few = some_vectors(4)
    vectors = few[random.integers(0, 4, 3000)]  # far more equal ones than candidates that are looked at first
    indices, cosines = nearest(vectors, few, 60, block=100)
    for query, found, values in zip(few, indices, cosines, strict=True):
        same = np.flatnonzero((vectors == query).all(axis=1))
        np.testing.assert_array_equal(found, same[:60])
        assert (values == values[0]).all()


def test_order_within_float32_rounding_is_that_of_float64():
    random = np.random.default_rng(0)
    base = np.ones(192, np.float16)
    # differences in single last bits of float16 give cosines that float32 products cannot order
    vectors = np.where(random.random((2000, 192)) < 0.05, np.float16(1.001), base).astype(np.float16)
    indices, _ = nearest(vectors, vectors[:5], 30)
    units = vectors.astype(np.longdouble)
    units /= np.sqrt((units**2).sum(axis=1, keepdims=True))
    for query, found in zip(units[:5], indices, strict=True):
        cosines = (units * query).sum(axis=1)
        np.testing.assert_allclose(cosines[found].astype(float), np.sort(cosines)[::-1][:30].astype(float), atol=1e-15)


def test_a_scale_changes_no_direction():
    vectors = some_vectors(300, kind=np.float32)
    scaled = vectors * np.float32(2.0) ** np.random.default_rng(0).integers(-20, 20, (300, 1)).astype(np.float32)
    np.testing.assert_array_equal(nearest(vectors, vectors[:5], 10)[0], nearest(scaled, scaled[:5], 10)[0])


def test_many_queries_are_answered_in_parts(monkeypatch):
    vectors = some_vectors(200)
    expected = nearest(vectors, vectors, 5)
    monkeypatch.setattr(search, "_COSINES", 1400)
    monkeypatch.setattr(search, "_EXACT", 500)
    found = nearest(vectors, vectors, 5)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_read_only_memory_is_searched_without_a_warning_and_threads_stay():
    vectors, threads = some_vectors(30), torch.get_num_threads()
    vectors.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nearest(vectors, vectors[3:4], 1)[0] == [[3]]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("value", "message"), [(0, "vector 4 is zero"), (np.nan, "vector 4 is not finite")])
def test_vectors_without_a_direction_are_refused(value, message):
    vectors = some_vectors(10)
    vectors[4] = value
    with pytest.raises(InputError, match=message):
        nearest(vectors, vectors[:1], 3)
    if value != 0:
        with pytest.raises(InputError, match=message):
            nearest(vectors, vectors[:1], 3, norms=np.ones(10))
    with pytest.raises(InputError, match="query 0"):
        nearest(some_vectors(10), vectors[4:5], 3)


def test_bad_questions_are_refused():
    vectors = some_vectors(10)
    with pytest.raises(InputError, match="expected 1 or more"):
        nearest(vectors, vectors, 0)
    with pytest.raises(InputError, match=r"queries of shape \(1, 5\)"):
        nearest(vectors, np.ones((1, 5)), 1)


def test_what_is_written_is_read_back(tmp_path):
    vectors = some_vectors(9000, kind=np.float32)
    names = np.array(["spiral", "", "élliptique"])[np.arange(9000) % 3]
    columns = {"z": np.linspace(0, 1, 9000), "type": names, "n": np.arange(9000), "star": np.arange(9000) % 2 == 0}
    embeddings = write(tmp_path / "new" / "embeddings.h5", vectors, **columns)
    np.testing.assert_array_equal(embeddings.vectors, vectors.astype(np.float16))
    assert embeddings.vectors.dtype == np.float16 and embeddings.width == WIDTH and len(embeddings) == 9000
    np.testing.assert_allclose(embeddings.norms, np.linalg.norm(embeddings.vectors.astype(float), axis=1), rtol=1e-6)
    assert embeddings.about == {"encoder": "pcm", "seed": 3}
    assert sorted(embeddings.columns) == sorted(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(embeddings.column(name), values)
    np.testing.assert_array_equal(embeddings.rows([8000, 100]), [7900, 0])
    with h5py.File(embeddings.path) as file:
        assert file["embeddings"].chunks is None
        np.testing.assert_array_equal(file["embeddings"][:], embeddings.vectors)
    assert [path.name for path in embeddings.path.parent.iterdir()] == ["embeddings.h5"]


def test_missing_text_is_empty_in_any_block_and_nothing_is_read_from_an_empty_one(tmp_path):
    path = tmp_path / "embeddings.h5"
    with EmbeddingsWriter(path, {}) as writer:
        writer.append([], np.empty((0, WIDTH)), {})
        writer.append([1, 2], some_vectors(2), {"type": [np.nan, np.nan]})
        writer.append([3, 4], some_vectors(2), {"type": pd.Series(["E", None])})
        writer.append([5], some_vectors(1), {"type": pd.Series(["Sb+"], dtype="string")})
    assert Embeddings(path).column("type").tolist() == ["", "", "E", "", "Sb+"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "embeddings.h5"
    write(path, some_vectors(5))
    before = path.read_bytes()
    with pytest.raises(RuntimeError), EmbeddingsWriter(path, {}) as writer:
        writer.append([1], some_vectors(1))
        raise RuntimeError
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("objid", "vectors", "columns", "message"),
    [
        ([1], np.zeros((1, WIDTH)), {}, "objid 1 is zero in float16"),
        ([1], np.full((1, WIDTH), 1e-9), {}, "objid 1 is zero in float16"),
        ([1], np.full((1, WIDTH), 1e9), {}, "objid 1 is not finite"),
        ([1, 2], some_vectors(1), {}, "expected .n, width."),
        ([9], some_vectors(1), {}, "objid 9 comes twice"),
        ([1], some_vectors(1, 5), {}, "vectors of 5 numbers"),
        ([1], some_vectors(1), {"z": [1.0]}, "the columns z; those before have 16, and none"),
        ([1], some_vectors(1), {"z": [1.0, 2.0]}, "column 'z' of shape"),
        ([1], some_vectors(1), {"a/b": [1.0]}, "no / in its name"),
        ([1], some_vectors(1), {"z": [{}]}, "expected numbers, or text"),
        ([1], some_vectors(1), {"z": np.array(["2020-01-01"], "datetime64[s]")}, "expected numbers, or text"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, objid, vectors, columns, message):
    with pytest.raises(InputError, match=message), EmbeddingsWriter(tmp_path / "e.h5", {}) as writer:
        writer.append([9], some_vectors(1))
        writer.append(objid, vectors, columns)
    assert not list(tmp_path.iterdir())


def test_no_galaxies_are_refused(tmp_path):
    with pytest.raises(InputError, match="no galaxy has an embedding"), EmbeddingsWriter(tmp_path / "e.h5", {}):
        pass


def replaced(name, **how):
    def change(file):
        del file[name]
        if how:
            file.create_dataset(name, **how)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("embeddings"), "no file of embeddings"),
        (replaced("norms", data=1.0), "no file of embeddings"),
        (replaced("norms"), "no file of embeddings"),
        (replaced("columns"), "no file of embeddings"),
        (replaced("embeddings", data=np.ones((5, 3), np.float32)), "expected contiguous float16"),
        (replaced("embeddings", data=np.ones((5, 3), np.float16), chunks=(2, 3)), "not contiguous"),
        (replaced("objid", data=np.arange(4)), "`objid` has the shape"),
        (replaced("objid", data=np.zeros(5, int)), "objid 0 comes twice"),
        (replaced("objid", data=np.arange(5.0)), "expected int64"),
        (replaced("columns/z", data=np.arange(6)), "`z` has the shape"),
        (replaced("norms", data=np.array([1, 1, 0, 1, 1.0])), "`norms` of row 2 is 0"),
        (lambda file: file.attrs.modify("about", "{"), "no file of embeddings"),
        (lambda file: file.attrs.__delitem__("about"), "no file of embeddings"),
    ],
)
def test_broken_files_are_named(tmp_path, change, message):
    path = write(tmp_path / "embeddings.h5", some_vectors(5), z=np.arange(5.0)).path
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message) as caught:
        Embeddings(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_none_or_cut_off_are_named(tmp_path):
    path = write(tmp_path / "embeddings.h5", some_vectors(500)).path
    path.write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "text.h5").write_text("no HDF5")
    for name in ("embeddings.h5", "text.h5", "absent.h5"):
        with pytest.raises(InputError, match=name):
            Embeddings(tmp_path / name)


def test_a_galaxy_is_found_by_objid_position_or_vector(tmp_path):
    vectors = some_vectors(400)
    random = np.random.default_rng(5)
    ra, dec = random.uniform(0, 360, 400), random.uniform(-80, 80, 400)
    ra[7], dec[7], ra[8], dec[8], ra[9] = 359.99999, 60.0, 10.0, 89.99999, np.nan
    embeddings = write(tmp_path / "e.h5", vectors, ra=ra, dec=dec, type=np.repeat(["E", "S"], 200))
    expected, cosines = brute_force(vectors, vectors[[7]], 6, [7])
    for what in (107, "107", np.int64(107), "359.99999,60", "0.00001, 60.0001"):
        found = find(embeddings, what, 6)
        assert found.columns[:2].tolist() == ["objid", "cosine"] and {"ra", "dec", "type"} <= set(found)
        np.testing.assert_array_equal(found["objid"], 100 + expected[0])
        np.testing.assert_allclose(found["cosine"], cosines[0], atol=1e-14)
    assert find(embeddings, vectors[7], 1)["objid"].tolist() == [107]
    assert locate(embeddings, "190,89.9999") == 8  # across the pole


def test_positions_and_objid_without_a_galaxy_are_answered(tmp_path):
    embeddings = write(tmp_path / "e.h5", some_vectors(2), ra=[10.0, 20.0], dec=[0.0, 0.0])
    for what, message in {
        "10,0.001": "the nearest, objid 100, is 3.60 arcsec away",
        "30,0": "the nearest, objid 101, is 10.00 degrees away",
        "10,91": "between -90 and 90",
        "10,0,0": "names no galaxy",
        "nan,0": "names no galaxy",
        "M31": "names no galaxy",
        "99": "no embedding of 1 galaxies",
        str(2**70): "64 bits",
    }.items():
        with pytest.raises(InputError, match=message):
            find(embeddings, what, 1)
    with pytest.raises(InputError, match="has no column ra"):
        find(write(tmp_path / "f.h5", some_vectors(2)), "10,0", 1)
    with pytest.raises(InputError, match="queries of shape"):
        find(embeddings, np.ones(3), 1)


def test_the_bench_checks_what_it_measures():
    assert 0 < bench_search(5000, 32, 20, repeats=2) < 5


def test_columns_of_ones_own_keep_their_values_beside_what_is_found(tmp_path):
    vectors = np.random.default_rng(3).standard_normal((30, 4))
    own = {name: np.arange(30.0) for name in ("cosine", "score", "Distance", "z")}
    with EmbeddingsWriter(tmp_path / "e.h5", {}) as writer:
        writer.append(np.arange(30), vectors, own)
    embeddings = Embeddings(tmp_path / "e.h5")
    found = find(embeddings, 4, 5)
    assert found.columns.tolist()[:2] == ["objid", "cosine"]
    assert {*found} == {"objid", "cosine", "score", "Distance", "z", "cosine_listed"}
    np.testing.assert_array_equal(found["cosine_listed"], found["objid"])
    assert anomalies(embeddings, 5)["score_listed"].tolist() == anomalies(embeddings, 5)["objid"].tolist()
    wrong = mislabels(embeddings, "z", 5)
    assert {"z", "score_listed", "Distance_listed", "cosine"} <= {*wrong} and "z_listed" not in wrong
