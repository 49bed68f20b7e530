"""Shards: what is written is read back, memory-mapped, whole or not at all."""

import subprocess
import time

import h5py
import numpy as np
import pytest
from astromae.contracts.shards import StampSet, write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError

STAMPS = StampFormat(tuple("ugriz"), 0.396, 64)
FORMAT = (STAMPS, "test", "lanczos3")


def some_images(count, seed=1):
    return np.random.default_rng(seed).normal(0, 0.1, (count, *STAMPS.shape)).astype(np.float32)


@pytest.fixture
def two_shards(tmp_path):
    images = some_images(30)
    objid = 1237648720000000000 + np.random.default_rng(2).permutation(30)
    write_shard(tmp_path / "0000.h5", objid[:17], images[:17], *FORMAT)
    write_shard(tmp_path / "0001.h5", objid[17:], iter([images[17:20], images[20:]]), *FORMAT)
    return [tmp_path / "0000.h5", tmp_path / "0001.h5"], objid, images


def test_memory_mapped_read_equals_h5py(two_shards):
    paths, objid, images = two_shards
    stamps = StampSet(paths)
    np.testing.assert_array_equal(stamps.objid, objid)
    through_h5py = []
    for path in paths:
        with h5py.File(path) as file:
            through_h5py.append(file["images"][:])
    np.testing.assert_array_equal(stamps.read(objid), np.concatenate(through_h5py))
    np.testing.assert_array_equal(stamps.read(objid), images.astype(np.float16))


def test_any_order_and_central_crop(two_shards):
    paths, objid, images = two_shards
    pick = np.array([29, 3, 3, 17, 0])
    cropped = StampSet(paths).read(objid[pick], size=46)
    np.testing.assert_array_equal(cropped, images[pick][:, :, 9:55, 9:55].astype(np.float16))


def test_contract_of_the_file(two_shards):
    paths, _, _ = two_shards
    with h5py.File(paths[0]) as file:
        assert file["images"].dtype == np.float16
        assert file["images"].chunks is None and file["images"].compression is None
        assert file["objid"].dtype == np.int64
        assert file.attrs["bands"] == "ugriz"
        assert file.attrs["pixel_scale_arcsec"] == 0.396
        assert {"kernel", "survey", "version"} <= set(file.attrs)


def test_same_input_same_bytes(tmp_path):
    for name in "ab":
        time.sleep(1.1)  # HDF5 can store when an object was made, to the second
        write_shard(tmp_path / f"{name}.h5", np.arange(5), some_images(5), *FORMAT)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_empty_shard(tmp_path):
    write_shard(tmp_path / "a.h5", np.empty(0, np.int64), some_images(0), *FORMAT)
    stamps = StampSet([tmp_path / "a.h5"])
    assert len(stamps) == 0
    assert stamps.read(np.empty(0, np.int64)).shape == (0, *STAMPS.shape)


def test_unknown_objects_are_named(two_shards):
    paths, objid, _ = two_shards
    with pytest.raises(InputError, match="objid 12345"):
        StampSet(paths).read(np.array([objid[0], 12345]))


@pytest.mark.parametrize("size", [0, 45, 66])
def test_impossible_crop(two_shards, size):
    paths, objid, _ = two_shards
    with pytest.raises(InputError, match=f"{size} px"):
        StampSet(paths).read(objid[:1], size=size)


def test_object_in_two_shards(two_shards, tmp_path):
    paths, objid, images = two_shards
    write_shard(tmp_path / "0002.h5", objid[:1], images[:1], *FORMAT)
    with pytest.raises(InputError, match=f"{objid[0]}.*0000.h5, .*0002.h5"):
        StampSet([*paths, tmp_path / "0002.h5"])


def test_files_that_are_no_shards(tmp_path):
    (tmp_path / "text.h5").write_text("not HDF5")
    with h5py.File(tmp_path / "chunked.h5", "w") as file:
        file["objid"] = np.arange(3)
        file.create_dataset("images", data=some_images(3).astype(np.float16), chunks=(1, *STAMPS.shape))
    for name in ("absent.h5", "text.h5", "chunked.h5"):
        with pytest.raises(InputError, match=name):
            StampSet([tmp_path / name])


@pytest.mark.parametrize("value", [np.nan, np.inf, 7e4])
def test_pixels_that_float16_cannot_hold_are_refused(tmp_path, value):
    images = some_images(4)
    images[2, 1, 5, 5] = value
    with pytest.raises(InputError, match="objid 12 "):
        write_shard(tmp_path / "a.h5", np.arange(10, 14), images, *FORMAT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [3, 5])
def test_wrong_number_of_stamps(tmp_path, count):
    with pytest.raises(InputError, match="4 stamps"):
        write_shard(tmp_path / "a.h5", np.arange(4), some_images(count), *FORMAT)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_the_finished_shard(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        write_shard(small / "a.h5", np.arange(20), some_images(20), *FORMAT)
        before = (small / "a.h5").read_bytes()
        with pytest.raises(InputError, match=r"a\.h5: the disk is full"):
            write_shard(small / "a.h5", np.arange(100), some_images(100), *FORMAT)
        assert (small / "a.h5").read_bytes() == before
        assert {path.name for path in small.iterdir()} == {"a.h5", "a.h5.sha256"}
    finally:
        subprocess.run(["umount", str(small)], check=True)
