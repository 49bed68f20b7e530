"""A model knows its own kind of galaxies from others."""

import numpy as np
import pytest
from astromae.errors import InputError
from astromae.familiarity.reference import KEPT, REFERENCE, make_reference, read_reference, unit, write_reference
from safetensors.numpy import save_file


def cloud(n, seed, centre=0.0, width=16):
    return np.random.default_rng(seed).normal(centre, 1, (n, width)) + np.eye(width)[0] * 8


def test_others_of_the_same_kind_are_familiar():
    reference = make_reference(cloud(1000, 0))
    assert reference.strange(cloud(2000, 1)).mean() == pytest.approx(0.01, abs=0.01)
    assert reference.strange(-cloud(50, 2)).all()


def test_distances_are_those_of_plain_arithmetic():
    reference = make_reference(cloud(30, 0))
    asked = cloud(4, 1)
    own = reference.embeddings.astype(np.float64)
    cosines = (asked / np.linalg.norm(asked, axis=1, keepdims=True)) @ own.T
    expected = 1 - np.sort(cosines, axis=1)[:, -5:].mean(axis=1)
    np.testing.assert_allclose(reference.distances(asked), expected, atol=1e-5)
    # The length of an embedding says nothing.
    np.testing.assert_allclose(reference.distances(7 * asked), expected, atol=1e-5)


def test_of_many_galaxies_some_are_kept():
    reference = make_reference(cloud(3 * KEPT + 1, 0))
    assert KEPT / 2 < len(reference.embeddings) <= KEPT
    np.testing.assert_allclose(np.linalg.norm(reference.embeddings.astype(float), axis=1), 1, atol=1e-3)
    assert np.linalg.norm(unit(np.zeros((1, 3)))) == 0


def test_few_galaxies_judge_nobody():
    assert not make_reference(cloud(1, 0)).strange(cloud(3, 1)).any()


def test_widths_are_those_of_conformal_prediction(tmp_path):
    scores = np.arange(1, 100) / 1000
    reference = make_reference(cloud(20, 0), scores)
    assert reference.widths == [0.068, 0.095]
    # Nineteen galaxies are enough for 95 %, eighteen are not.
    assert np.isnan(make_reference(cloud(20, 0), scores[:18]).widths).tolist() == [False, True]
    write_reference(tmp_path, reference)
    again = read_reference(tmp_path)
    assert again.widths == reference.widths
    assert again.limit == reference.limit
    np.testing.assert_array_equal(again.embeddings, reference.embeddings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": np.zeros((KEPT + 1, 3), np.float16)}, rf"embeddings of shape \({KEPT + 1}, 3\)"),
        ({"embeddings": np.zeros(3, np.float16)}, r"embeddings of shape \(3,\)"),
        ({"embeddings": np.zeros((4, 3), np.float32)}, "embeddings of type float32; expected float16"),
        ({"embeddings": np.full((4, 3), np.nan, np.float16)}, "expected float16, all finite"),
        ({"limit_and_widths": np.array([0.1, 0.2])}, r"and \[2\] numbers; expected .* \[1\] or \[3\]"),
        ({"limit_and_widths": np.array([np.nan])}, r"limit and widths are \[nan\]"),
        ({"limit_and_widths": np.array([0.1, 0.2, 1e9])}, "expected a distance, and 0 to 100"),
        ({"limit_and_widths": np.array([0.1, -0.2, 0.3])}, "expected a distance, and 0 to 100"),
    ],
)
def test_numbers_that_no_reference_has(changes, message, tmp_path):
    good = {"embeddings": np.ones((4, 3), np.float16), "limit_and_widths": np.array([np.inf, np.nan, 0.2])}
    save_file(good, tmp_path / REFERENCE)
    assert read_reference(tmp_path).limit == np.inf
    save_file({**good, **changes}, tmp_path / REFERENCE)
    with pytest.raises(InputError, match=message) as raised:
        read_reference(tmp_path)
    assert str(raised.value).startswith(str(tmp_path / REFERENCE))


def test_files_that_are_no_reference(tmp_path):
    assert read_reference(tmp_path) is None
    for content in (b"", b"x" * 100, (123456789).to_bytes(8, "little") + b"{}"):
        (tmp_path / "reference.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="not the reference of a model"):
            read_reference(tmp_path)
