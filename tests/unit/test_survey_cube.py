"""Published cubes: streamed, mapped to the catalogue's columns, and never unpickled."""

import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astromae.constants import BANDS
from astromae.contracts.catalog import catalog_columns
from astromae.contracts.missing import read_missing
from astromae.contracts.shards import StampSet
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.survey.cube_catalog import write_cube_catalog, write_cube_shard
from astromae.survey.cube_file import open_cube
from astromae.survey.npz import NpzArray
from astromae.survey.objid import SPECOBJID_EMPTY_BITS, encode_objid, exact_identifiers

COUNT = 23
SPEC_OBJID = (np.arange(COUNT, dtype=np.uint64) + 266) << np.uint64(50) | np.uint64(26 << 10)


def images_of(count, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (count, 64, 64, 5)).astype(np.float32)


def labels_of(count, **changes):
    """A record array of 64 columns under the names of the published labels."""
    rng = np.random.default_rng(2)
    columns = {"specObjID": SPEC_OBJID[:count], "ra": rng.uniform(0, 360, count), "dec": rng.uniform(-10, 60, count)}
    columns |= {"z": rng.uniform(0.02, 0.4, count).astype(np.float32), "EBV": rng.uniform(0, 0.1, count)}
    columns |= {"zphot": columns["z"] + 0.01, "primtarget": np.full(count, 64, np.int32)}
    for kind in ("dered_petro", "petroMagErr", "modelMag", "cModelMag", "extinction"):
        low, high = (0.05, 1.0) if kind == "extinction" else (15, 20)
        columns |= {f"{kind}_{band}": rng.uniform(low, high, count).astype(np.float32) for band in BANDS}
    columns |= changes
    columns |= {f"other_{index}": np.zeros(count) for index in range(64 - len(columns))}
    return np.rec.fromarrays(list(columns.values()), names=list(columns))


@pytest.fixture(params=[np.savez, np.savez_compressed], ids=["stored", "deflated"])
def cube(request, tmp_path):
    images, labels = images_of(COUNT), labels_of(COUNT)
    request.param(tmp_path / "sdss.npz", cube=images, labels=labels)
    return tmp_path / "sdss.npz", images, labels


def stream(path, folder, chunks):
    """The catalogue, the stamps of all chunks, and the missing galaxies."""
    catalog = folder / "galaxies.parquet"
    write_cube_catalog(path, chunks, catalog)
    missing = {}
    for chunk in range(chunks):
        write_cube_shard(path, catalog, chunk, folder / f"{chunk}.h5", folder / f"{chunk}.missing.csv")
        objid, reasons = read_missing(folder / f"{chunk}.missing.csv")
        missing |= dict(zip(objid.tolist(), reasons, strict=True))
    return pd.read_parquet(catalog), StampSet([folder / f"{chunk}.h5" for chunk in range(chunks)]), missing


@pytest.mark.parametrize("chunks", [1, 4])
def test_every_stamp_arrives_channels_first(cube, tmp_path, chunks):
    path, images, _ = cube
    catalog, stamps, missing = stream(path, tmp_path, chunks)
    assert not missing and len(catalog) == COUNT and set(catalog["chunk"]) == set(range(chunks))
    assert catalog["chunk"].is_monotonic_increasing
    read = stamps.read(catalog["objid"].to_numpy())
    np.testing.assert_array_equal(read, images.transpose(0, 3, 1, 2).astype(np.float16))
    with h5py.File(tmp_path / "0.h5") as file:
        assert file.attrs["survey"] == "cube" and file.attrs["kernel"] == "lanczos3"


def test_labels_become_the_catalog(cube, tmp_path):
    path, _, labels = cube
    catalog, _, _ = stream(path, tmp_path, 2)
    assert list(catalog.columns) == [*catalog_columns(BANDS), "chunk", "cube_row"]
    assert {name: catalog[name].dtype for name in catalog_columns(BANDS)} == {
        name: np.dtype(kind) for name, kind in catalog_columns(BANDS).items()
    }
    np.testing.assert_array_equal(catalog["objid"], SPEC_OBJID.astype(np.int64))
    for name in ("ra", "dec", "z"):
        np.testing.assert_array_equal(catalog[name], labels[name])
    for band in BANDS:
        extinction = labels[f"extinction_{band}"].astype(np.float64)
        np.testing.assert_array_equal(catalog[f"extinction_{band}"], extinction)
        np.testing.assert_array_equal(
            catalog[f"mag_{band}"], labels[f"modelMag_{band}"].astype(np.float64) - extinction
        )
    np.testing.assert_array_equal(catalog["petro_r"], labels["dered_petro_r"])
    assert catalog["z_err"].isna().all() and (catalog["run"] == 0).all()
    metadata = json.loads(pq.read_schema(tmp_path / "galaxies.parquet").metadata[b"astromae"])
    assert metadata["survey"] == "cube" and metadata["release"] == 12
    assert metadata["counts"]["galaxies"] == COUNT
    assert {"mag_*", "objid", "cube_row"} <= set(metadata["units"])


def test_object_identifiers_and_fields_where_there_are_any(tmp_path):
    objid = encode_objid(1000, 3, 100 + np.arange(COUNT), 7)
    labels = labels_of(COUNT, objID=objid, zErr=np.full(COUNT, 1e-4))
    np.savez(tmp_path / "sdss.npz", cube=images_of(COUNT), labels=labels)
    catalog, _, _ = stream(tmp_path / "sdss.npz", tmp_path, 1)
    np.testing.assert_array_equal(catalog["objid"], objid)
    np.testing.assert_array_equal(catalog["field"], 100 + np.arange(COUNT))
    assert (catalog["run"] == 1000).all() and (catalog["camcol"] == 3).all() and (catalog["rerun"] == 301).all()
    assert (catalog["z_err"] == 1e-4).all()


def test_missing_values_and_repeated_objects(tmp_path):
    labels = labels_of(COUNT)
    labels["modelMag_u"][3] = -9999
    for name in ("specObjID", "ra", "dec"):
        labels[name][9] = labels[name][4]
    images = images_of(COUNT)
    images[5, 10, 10, 2] = np.nan
    images[6, 10, 10, 4] = 1e6
    np.savez(tmp_path / "sdss.npz", cube=images, labels=labels)
    catalog, stamps, missing = stream(tmp_path / "sdss.npz", tmp_path, 3)
    assert len(catalog) == COUNT - 1 and 9 not in set(catalog["cube_row"]) and 4 in set(catalog["cube_row"])
    assert np.isnan(catalog["mag_u"][3]) and catalog["mag_g"].notna().all()
    counts = json.loads(pq.read_schema(tmp_path / "galaxies.parquet").metadata[b"astromae"])["counts"]
    assert counts["duplicates"] == 1 and counts["missing"]["mag_u"] == 1
    assert set(missing) == {int(SPEC_OBJID[5]), int(SPEC_OBJID[6])}
    assert missing[int(SPEC_OBJID[5])].endswith("in band r") and missing[int(SPEC_OBJID[6])].endswith("in band z")
    assert set(stamps.objid) | set(missing) == set(catalog["objid"])
    np.testing.assert_array_equal(
        stamps.read(SPEC_OBJID[10:11].astype(np.int64))[0], images[10].transpose(2, 0, 1).astype(np.float16)
    )


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickled_labels_are_refused_and_not_run(tmp_path):
    sprung = tmp_path / "sprung"
    labels = np.array([Trap(sprung)] * COUNT, dtype=[("specObjID", object)])
    np.savez(tmp_path / "sdss.npz", cube=images_of(COUNT), labels=labels)
    with pytest.raises(InputError, match=r"sdss\.npz.*labels.*container without network") as refusal:
        write_cube_catalog(tmp_path / "sdss.npz", 1, tmp_path / "galaxies.parquet")
    assert not sprung.exists() and not (tmp_path / "galaxies.parquet").exists()
    with pytest.raises(FileExistsError):  # the trap works
        os.mkdir(sprung)
        pickle.loads(pickle.dumps(Trap(sprung)))
    assert "sdss.labels.npz" in str(refusal.value)


def test_the_safe_way_works(tmp_path):
    """The command of the message makes labels that are read instead."""
    plain = labels_of(COUNT)
    objects = plain.astype([(name, object) for name in plain.dtype.names])
    np.savez(tmp_path / "sdss.npz", cube=images_of(COUNT), labels=objects)
    with pytest.raises(InputError) as refusal:
        write_cube_catalog(tmp_path / "sdss.npz", 1, tmp_path / "galaxies.parquet")
    script = str(refusal.value).split('python -c "')[1].split('".')[0]
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    catalog, _, _ = stream(tmp_path / "sdss.npz", tmp_path, 1)
    np.testing.assert_array_equal(catalog["objid"], SPEC_OBJID.astype(np.int64))
    np.testing.assert_allclose(catalog["mag_r"], plain["modelMag_r"] - plain["extinction_r"], atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64, "U20", "S20"])
def test_identifiers_are_exact_in_every_form(dtype):
    read = exact_identifiers(SPEC_OBJID.astype(dtype), "x: specObjID", empty_bits=SPECOBJID_EMPTY_BITS)
    np.testing.assert_array_equal(read, SPEC_OBJID.astype(np.int64))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, 2.0]),
        np.array([np.nan, 2.0]),
        np.array([0, 2]),
        np.array(["12a"]),
        np.array([2**63 + 5], np.uint64),
        np.array(["99999999999999999999"]),
        np.array([1237648720000000001, 1237648720000000002]).astype(np.float64),
    ],
)
def test_identifiers_that_are_none(values):
    with pytest.raises(InputError, match="specObjID"):
        exact_identifiers(values, "cube.npz: specObjID")


@pytest.fixture
def hayat(tmp_path):
    rng = np.random.default_rng(4)
    images = rng.normal(0, 1, (COUNT, 5, 107, 107)).astype(np.float32)
    objid = encode_objid(2000, 4, 20 + np.arange(COUNT), 3)
    with h5py.File(tmp_path / "valid.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(4, 5, 107, 107))
        file["ObjID"], file["specObjID"] = objid, SPEC_OBJID
        file["ra"], file["dec"] = rng.uniform(0, 360, COUNT), rng.uniform(-10, 60, COUNT)
        file["specz_redshift"], file["specz_redshift_err"] = rng.uniform(0, 0.4, COUNT), np.full(COUNT, 1e-5)
        file["e_bv"] = np.outer(rng.uniform(0, 0.1, COUNT), [5.155, 3.793, 2.751, 2.086, 1.479])
    return tmp_path / "valid.h5", images, objid


def test_hayat_cube(hayat, tmp_path):
    path, images, objid = hayat
    catalog, stamps, missing = stream(path, tmp_path, 3)
    assert not missing
    np.testing.assert_array_equal(catalog["objid"], objid)
    np.testing.assert_array_equal(stamps.read(objid), images[:, :, 21:85, 21:85].astype(np.float16))
    assert (catalog["run"] == 2000).all() and (catalog["camcol"] == 4).all()
    assert catalog["extinction_u"].to_numpy() / catalog["extinction_r"].to_numpy() == pytest.approx(1.874, abs=1e-3)
    assert catalog["mag_r"].isna().all()


def test_damaged_and_foreign_files(cube, tmp_path):
    path, images, labels = cube
    with pytest.raises(InputError, match=r"nowhere\.npz.*deepdip"):
        open_cube(tmp_path / "nowhere.npz")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"cut\.npz.*no complete"):
        open_cube(tmp_path / "cut.npz")
    (tmp_path / "text.dat").write_text("hello")
    with pytest.raises(InputError, match=r"text\.dat"):
        open_cube(tmp_path / "text.dat")
    np.savez(tmp_path / "other.npz", stamps=images)
    with pytest.raises(InputError, match=r"other\.npz: has no array 'cube'; it has stamps\.npy"):
        open_cube(tmp_path / "other.npz")
    np.savez(tmp_path / "first.npz", cube=images.transpose(0, 3, 1, 2), labels=labels)
    with pytest.raises(InputError, match=r"first\.npz.*\(23, 5, 64, 64\)"):
        open_cube(tmp_path / "first.npz")
    np.savez(tmp_path / "fewer.npz", cube=images, labels=labels[:-1])
    with pytest.raises(InputError, match="22 rows of labels for 23 stamps"):
        write_cube_catalog(tmp_path / "fewer.npz", 1, tmp_path / "a.parquet")
    np.savez(tmp_path / "bare.npz", cube=images, labels=labels[["specObjID", "ra", "dec"]])
    with pytest.raises(InputError, match="no column z, modelMag_u"):
        write_cube_catalog(tmp_path / "bare.npz", 1, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"cube\.chunks: 0"):
        write_cube_catalog(path, 0, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="images"), h5py.File(tmp_path / "empty.h5", "w") as file:
        file["ra"] = [1.0]
        file.flush()
        open_cube(tmp_path / "empty.h5")


def test_damaged_stamps_are_noticed_in_compressed_cubes(tmp_path):
    np.savez_compressed(tmp_path / "sdss.npz", cube=images_of(COUNT), labels=labels_of(COUNT))
    write_cube_catalog(tmp_path / "sdss.npz", 1, tmp_path / "galaxies.parquet")
    data = bytearray((tmp_path / "sdss.npz").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    (tmp_path / "sdss.npz").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        write_cube_catalog(tmp_path / "sdss.npz", 1, tmp_path / "other.parquet")
    with pytest.raises(InputError, match="damaged"):
        write_cube_shard(
            tmp_path / "sdss.npz", tmp_path / "galaxies.parquet", 0, tmp_path / "0.h5", tmp_path / "0.missing.csv"
        )
    assert not (tmp_path / "0.h5").exists()


def bytes_read():
    """Bytes that this process has read so far."""
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


def test_a_chunk_reads_its_own_part_of_a_stored_cube(tmp_path):
    np.savez(tmp_path / "sdss.npz", cube=images_of(COUNT), labels=labels_of(COUNT))
    array = NpzArray(tmp_path / "sdss.npz", "cube")
    before = bytes_read()
    blocks = list(array.blocks(17, 21, 3))
    assert bytes_read() - before < (4 + 1) * 64 * 64 * 5 * 4
    assert [len(block) for block in blocks] == [3, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), images_of(COUNT)[17:21])


def test_memory_stays_bounded(tmp_path):
    """A cube of 600 MB is streamed in a process that never holds more than a fraction of it."""
    count = 7500
    path = tmp_path / "sdss.npz"
    stamps = images_of(500)
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        with archive.open("cube.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_2_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (count, 64, 64, 5)}
            )
            for start in range(0, count, 500):
                stamps[:, 0, 0, 0] = start
                file.write(stamps.tobytes())
        with archive.open("labels.npy", "w") as file:
            labels = labels_of(COUNT)
            many = np.resize(labels, count)
            many["ra"] = np.linspace(0, 359, count)
            many["specObjID"] = (np.arange(count, dtype=np.uint64) + 1) << np.uint64(40)
            np.lib.format.write_array(file, many)
    script = (
        "import re, sys; from pathlib import Path; "
        "from astromae.survey.cube_catalog import write_cube_catalog, write_cube_shard; folder = Path(sys.argv[1]); "
        # Not getrusage: after a fork its peak is the parent's, here that of all tests before this one.
        "peak = lambda: re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]; "
        "write_cube_catalog(folder / 'sdss.npz', 2, folder / 'g.parquet'); "
        "before = peak(); "
        "write_cube_shard(folder / 'sdss.npz', folder / 'g.parquet', 1, folder / '1.h5', folder / '1.csv'); "
        "print(before, peak())"
    )
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)
    before_kib, after_kib = map(int, result.stdout.split())
    assert after_kib - before_kib < 200 * 1024
    assert after_kib < 1024 * 1024
    stamps = StampSet([tmp_path / "1.h5"])
    assert len(stamps) == count // 2
    assert stamps.read(stamps.objid[-1:])[0, 0, 0, 0] == count - 500


def own_cube(path, side=48, **said):
    """Write a cube of four bands of somebody's own survey, with dereddened magnitudes."""
    rng = np.random.default_rng(9)
    labels = {"objid": np.arange(COUNT) + 1, "ra": np.linspace(0, 350, COUNT), "dec": rng.uniform(-9, 60, COUNT)}
    labels |= {"z": rng.uniform(0.02, 0.4, COUNT), **{f"mag_{band}": rng.uniform(15, 20, COUNT) for band in "griz"}}
    images = rng.normal(0, 1, (COUNT, side, side, 4)).astype(np.float32)
    np.savez(path, cube=images, labels=np.rec.fromarrays(list(labels.values()), names=list(labels)), **said)
    return images


@pytest.mark.parametrize(("side", "size", "kept"), [(48, None, 48), (48, 40, 40), (49, None, 48), (90, None, 64)])
def test_a_cube_of_another_survey_says_its_bands_and_pixels(tmp_path, side, size, kept):
    images = own_cube(tmp_path / "own.npz", side, bands=np.array(list("griz")), pixel_scale_arcsec=0.2)
    write_cube_catalog(tmp_path / "own.npz", 1, tmp_path / "g.parquet")
    catalog = pd.read_parquet(tmp_path / "g.parquet")
    assert list(catalog)[: len(catalog_columns("griz"))] == list(catalog_columns("griz"))
    assert (catalog["run"] == 0).all() and catalog["mag_i"].notna().all() and catalog["extinction_i"].isna().all()
    metadata = json.loads(pq.read_schema(tmp_path / "g.parquet").metadata[b"astromae"])
    assert metadata["selection"] == "all galaxies of own.npz" and "release" not in metadata
    write_cube_shard(tmp_path / "own.npz", tmp_path / "g.parquet", 0, tmp_path / "0.h5", tmp_path / "0.csv", size=size)
    stamps = StampSet([tmp_path / "0.h5"])
    assert (stamps.bands, stamps.pixel_scale_arcsec, stamps.size) == (tuple("griz"), 0.2, kept)
    start = (side - kept) // 2
    expected = np.moveaxis(images[:, start : start + kept, start : start + kept], 3, 1)
    np.testing.assert_array_equal(stamps.read(stamps.objid), expected.astype(np.float16))


def test_a_cubes_bands_and_pixels_can_be_configured(tmp_path):
    own_cube(tmp_path / "own.npz")
    cube = open_cube(tmp_path / "own.npz", tuple("griz"))
    assert cube.format(0.2, None).shape == (4, 48, 48) and not cube.is_published
    with pytest.raises(InputError, match=r"cube\.bands names other bands"):
        open_cube(tmp_path / "own.npz")
    with pytest.raises(InputError, match=r"stamps\.size is 64, but its stamps have 48 px"):
        cube.format(0.2, 64)


def test_what_a_cube_says_must_not_contradict_the_configuration(tmp_path):
    own_cube(tmp_path / "own.npz", bands=np.array(list("griz")), pixel_scale_arcsec=0.2)
    with pytest.raises(InputError, match=r"its bands are g, r, i, z, but cube\.bands is u, g, r, i"):
        open_cube(tmp_path / "own.npz", tuple("ugri"))
    with pytest.raises(InputError, match=r"its pixels are 0\.2 arcsec, but cube\.pixel_scale_arcsec is 0\.3"):
        open_cube(tmp_path / "own.npz").format(0.3, None)


def test_the_documented_cube_is_read(tmp_path, monkeypatch):
    """As docs/your-own-galaxies.md has it."""
    monkeypatch.chdir(tmp_path)
    own_cube(tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as file:
        given = {"np": np, "stamps": file["cube"], "table": file["labels"]}
    text = (Path(__file__).parents[2] / "docs/your-own-galaxies.md").read_text()
    (program,) = (block for block in re.findall(r"```python\n(.*?)```", text, flags=re.S) if "np.savez" in block)
    exec(program, given)
    cube = open_cube(tmp_path / "mine.npz")
    assert cube.format(None, None) == StampFormat(tuple("griz"), 0.2, 48)
    write_cube_catalog(tmp_path / "mine.npz", 1, tmp_path / "g.parquet")
