"""Planted anomalies and false labels are found."""

import numpy as np
import pytest
from astromae.asking import oddities
from astromae.asking.oddities import anomalies, mislabels, neighbours
from astromae.contracts.embeddings import Embeddings, EmbeddingsWriter
from astromae.errors import InputError

WIDTH, CLUSTERS, EACH = 24, 4, 60
N = CLUSTERS * EACH


def write(path, vectors, **columns):
    with EmbeddingsWriter(path, {"encoder": "planted"}) as writer:
        writer.append(np.arange(1000, 1000 + len(vectors)), vectors, columns)
    return Embeddings(path)


def clusters(spread=0.05, seed=0):
    """Return vectors around the first axes, and the cluster of each."""
    cluster = np.arange(N) % CLUSTERS
    random = np.random.default_rng(seed)
    return np.eye(WIDTH)[cluster] + spread * random.standard_normal((N, WIDTH)), cluster


def float64_neighbours(vectors, k):
    units = vectors.astype(np.float16).astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, 1 - np.take_along_axis(cosines, order, axis=1)


def test_anomalies_are_those_that_were_planted_with_their_distances(tmp_path):
    vectors, _ = clusters()
    vectors[[17, 101]] = np.eye(WIDTH)[[20, 21]]
    embeddings = write(tmp_path / "e.h5", vectors, z=np.linspace(0, 1, N), score=np.zeros(N))
    found = anomalies(embeddings, 5)
    assert set(found["objid"][:2]) == {1017, 1101}
    rows, distances = float64_neighbours(vectors, 10)
    order = np.argsort(-distances.mean(axis=1))[:5]
    np.testing.assert_array_equal(found["objid"], 1000 + order)
    np.testing.assert_allclose(found["score"], distances.mean(axis=1)[order], atol=1e-12)
    np.testing.assert_array_equal(found["nearest"], 1000 + rows[order, 0])
    np.testing.assert_array_equal(found["z"], np.linspace(0, 1, N)[order])
    assert len(anomalies(embeddings, 10_000)) == N


def test_few_galaxies_have_fewer_neighbours(tmp_path):
    vectors, _ = clusters()
    found = anomalies(write(tmp_path / "e.h5", vectors[:3]), 10)
    np.testing.assert_allclose(sorted(found["score"]), sorted(float64_neighbours(vectors[:3], 2)[1].mean(axis=1)))
    with pytest.raises(InputError, match="two are needed"):
        anomalies(write(tmp_path / "f.h5", vectors[:1]), 1)
    with pytest.raises(InputError, match="expected 1 or more"):
        anomalies(write(tmp_path / "g.h5", vectors[:3]), 0)


def test_all_neighbours_in_parts_are_those_of_float64(tmp_path, monkeypatch):
    monkeypatch.setattr(oddities, "_STEP", 50)
    vectors, cluster = clusters(0.5)
    embeddings = write(tmp_path / "e.h5", vectors)
    for chosen in (None, cluster != 2):
        part = vectors if chosen is None else vectors[chosen]
        rows, distances = neighbours(embeddings, 12, chosen)
        np.testing.assert_array_equal(rows, float64_neighbours(part, 12)[0])
        np.testing.assert_allclose(distances, float64_neighbours(part, 12)[1], atol=1e-12)


def test_false_redshifts_are_found_with_what_neighbours_say(tmp_path):
    vectors, cluster = clusters()
    random = np.random.default_rng(3)
    true = 0.1 + 0.2 * cluster + 0.005 * random.standard_normal(N)
    z = true.copy()
    z[[8, 33]] += 0.3
    z[50], z[51] = -9999, np.nan
    found = mislabels(write(tmp_path / "e.h5", vectors, z=z), "z", 6)
    assert set(found["objid"][:3]) == {1008, 1033, 1050} and 1051 not in set(found["objid"])
    assert found["score"].is_monotonic_decreasing and found["score"][2] > 3 * found["score"][3]
    rows = found["objid"][:3] - 1000
    np.testing.assert_allclose(found["neighbours_say"][:3], true[rows], atol=0.03)
    np.testing.assert_array_equal(found["z"][:3], z[rows])


def test_the_score_of_a_number_is_what_is_said(tmp_path):
    vectors, _ = clusters(0.3)
    values = np.random.default_rng(1).uniform(0, 2, N)
    rows, _ = float64_neighbours(vectors, 10)
    for column in ("z", "z_spec", "mag_z"):
        median = np.median(values[rows], axis=1)
        scale = 1 + median if column != "mag_z" else 1
        scatter = 1.4826 * np.median(np.abs(values[rows] - median[:, None]), axis=1) / scale
        residual = np.abs(values - median) / scale
        score = residual / np.sqrt(scatter**2 + (1.4826 * np.median(residual)) ** 2)
        found = mislabels(write(tmp_path / f"{column}.h5", vectors, **{column: values}), column, N)
        rows_found = found["objid"].to_numpy() - 1000
        np.testing.assert_allclose(found["score"], np.sort(score)[::-1])
        np.testing.assert_allclose(found["support"], scatter[rows_found])


def test_numbers_without_scatter(tmp_path):
    vectors, _ = clusters()
    values = np.full(N, 0.5)
    values[3] = 0.6
    found = mislabels(write(tmp_path / "e.h5", vectors, z=values), "z", 2)
    assert found["objid"][0] == 1003 and found["score"].tolist() == [np.inf, 0]


@pytest.mark.parametrize("text", [True, False])
def test_false_types_are_found_with_what_neighbours_say(tmp_path, text):
    vectors, cluster = clusters()
    names = np.array(["E", "S0", "Sb", "Irr"]) if text else np.array([3, 5, 7, 9])
    types = names[cluster]
    types[[12, 90]] = names[[1, 3]]  # of clusters 0 and 2
    if text:
        types[40] = ""
    found = mislabels(write(tmp_path / "e.h5", vectors, type=types), "type", 5)
    assert set(found["objid"][:2]) == {1012, 1090}
    assert found["score"][:2].tolist() == [1, 1] and found["distance"][0] <= found["distance"][1]
    assert found["score"][2] < 0.5
    said = dict(zip(found["objid"], found["neighbours_say"], strict=True))
    assert said[1012] == names[0] and said[1090] == names[2]
    assert 1040 not in set(mislabels(write(tmp_path / "f.h5", vectors, type=types), "type", N)["objid"]) or not text


def test_the_score_of_a_type_is_what_is_said(tmp_path):
    vectors, cluster = clusters(0.6)
    rows, distances = float64_neighbours(vectors, 10)
    weights = np.exp(-distances / distances.mean(axis=1, keepdims=True))
    score = (weights * (cluster[rows] != cluster[:, None])).sum(axis=1) / weights.sum(axis=1)
    found = mislabels(write(tmp_path / "e.h5", vectors, type=cluster), "type", N)
    np.testing.assert_allclose(found["score"], np.sort(score)[::-1], atol=1e-10)
    sums = np.stack([(weights * (cluster[rows] == c)).sum(axis=1) for c in range(CLUSTERS)], axis=1)
    rows_found = found["objid"].to_numpy() - 1000
    np.testing.assert_allclose(found["support"], (sums.max(axis=1) / weights.sum(axis=1))[rows_found])
    np.testing.assert_array_equal(found["neighbours_say"], sums.argmax(axis=1)[rows_found])


def test_labels_that_nobody_has(tmp_path):
    vectors, _ = clusters()
    embeddings = write(tmp_path / "e.h5", vectors, z=np.full(N, np.nan))
    with pytest.raises(InputError, match="0 galaxies to compare"):
        mislabels(embeddings, "z", 3)
    with pytest.raises(InputError, match="has no column type; it has z"):
        mislabels(embeddings, "type", 3)
