"""Files of stamps: every format gives the same galaxies, in bounded memory, and a wrong file one clear line."""

import bz2
import gzip
import os
import tracemalloc
import warnings
from pathlib import Path

import astromae.asking.stamp_files as module
import h5py
import numpy as np
import pytest
from astromae.asking.batches import BATCH
from astromae.asking.stamp_files import NOT_FINITE, TOO_BRIGHT, UNITS, open_stamp_file
from astromae.asking.stamp_formats import is_stamp_file
from astromae.contracts.shards import StampSet, write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.training.views import centre
from astropy.io import fits
from astropy.table import Table

REAL = Path(__file__).parents[3] / "shared/data/sdss-real"
COUNT, SIZE = 11, 16
WANTED = StampFormat(tuple("ugriz"), 0.396, 64)
OBJID = 1237648720000000001 + np.arange(COUNT) * 7


def images_of(count=COUNT, size=SIZE, bands=5, seed=1):
    return np.random.default_rng(seed).normal(0, 3, (count, bands, size, size)).astype(np.float32)


def opened(path, wanted=WANTED, crop=SIZE, **options):
    return open_stamp_file(path, wanted, crop, **options)


def read(source, first=0):
    """Return images, reasons and table of all batches."""
    batches = list(source.batches(first))
    tables = [batch.table for batch in batches]
    for batch in batches:
        assert batch.images.dtype == np.float32 and batch.images.shape[1:] == source.format.shape
        assert len(batch.images) == batch.has_stamp.sum() and len(batch.reasons) == len(batch.table) <= BATCH
        assert batch.table["objid"].dtype == np.int64 and next(iter(batch.table)) == "objid"
    images = np.concatenate([batch.images for batch in batches])
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return images, np.concatenate([batch.reasons for batch in batches]), columns


def write_hdf5(path, images, attributes=(), dataset="images", **columns):
    with h5py.File(path, "w") as file:
        file.create_dataset(dataset, data=images, chunks=(3, *images.shape[1:]), compression="gzip")
        for key, values in columns.items():
            file[key] = values
        file.attrs.update(dict(attributes))
    return path


def write_fits(path, images, **cards):
    hdu = fits.PrimaryHDU(images)
    hdu.header.update(cards)
    hdu.writeto(path)
    return path


def write_npy(path, images):
    np.save(path, images)
    return path


def write_npz(path, images, **others):
    # By its name, numpy would give it another suffix.
    with open(path, "wb") as file:
        np.savez(file, images=images, **others)
    return path


def write_packed_npz(path, images):
    np.savez_compressed(path, images=images)
    return path


def write_tiled_fits(path, images):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(images, compression_type="GZIP_1", quantize_level=0)]).writeto(
        path
    )
    return path


def write_folder(path, images):
    path.mkdir()
    for number, stamp in enumerate(images):
        np.save(path / f"galaxy_{number:03d}.npy", stamp)
    (path / "manifest.json").write_text("[]")
    (path / ".galaxy_000.npy").write_text("half written")
    return path


WRITERS = {
    "hdf5": (write_hdf5, "mine.h5"),
    "npz": (write_npz, "mine.npz"),
    "packed npz": (write_packed_npz, "mine.npz"),
    "npy": (write_npy, "mine.npy"),
    "fits": (write_fits, "mine.fits"),
    "fits.gz": (write_fits, "mine.fits.gz"),
    "tiled fits": (write_tiled_fits, "mine.fits"),
    "folder": (write_folder, "mine"),
}


@pytest.fixture(params=list(WRITERS))
def written(request, tmp_path):
    """Write images in each of the formats."""
    write, name = WRITERS[request.param]
    return lambda images: write(tmp_path / name, images)


@pytest.mark.parametrize("last", [False, True], ids=["bands first", "bands last"])
def test_every_format_gives_the_same_stamps(written, last):
    images = images_of()
    path = written(np.moveaxis(images, 1, 3) if last else images)
    source = opened(path)
    assert len(source) == COUNT and source.format == StampFormat(tuple("ugriz"), 0.396, SIZE)
    found, reasons, columns = read(source)
    np.testing.assert_array_equal(found, images)
    assert (reasons == "").all() and reasons.dtype.kind in "UO"
    np.testing.assert_array_equal(columns["objid"], np.arange(COUNT))
    assert is_stamp_file(path)


def test_batches_of_every_format_begin_where_they_are_asked_to(written, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    monkeypatch.setattr(module, "BLOCK", 2)
    images = images_of()
    images[[0, 5, 6, 10], 2, 3, 3] = np.nan
    source = opened(written(images))
    good = np.isfinite(images).all(axis=(1, 2, 3))
    batches = list(source.batches())
    assert [len(batch.table) for batch in batches] == [4, 4, 3]
    for first in (0, 1, 2):
        found, reasons, columns = read(source, first)
        np.testing.assert_array_equal(found, images[4 * first :][good[4 * first :]])
        np.testing.assert_array_equal(reasons == "", good[4 * first :])
        assert set(reasons) == {"", NOT_FINITE}
        np.testing.assert_array_equal(columns["objid"], np.arange(4 * first, COUNT))
    assert not list(source.batches(3))


@pytest.mark.parametrize("name", ["hdf5", "npz", "npy", "fits", "fits.gz", "tiled fits"])
def test_one_stamp_needs_no_axis_of_its_own(name, tmp_path):
    write, file = WRITERS[name]
    if name == "hdf5":
        with h5py.File(tmp_path / file, "w") as one:
            one["images"] = images_of()[0]
    else:
        write(tmp_path / file, images_of()[0])
    source = opened(tmp_path / file)
    found, _, columns = read(source)
    assert len(source) == 1 and columns["objid"].tolist() == [0]
    np.testing.assert_array_equal(found, images_of()[:1])


def test_shards_are_read_as_a_set_of_stamps_is(tmp_path):
    stamps = StampFormat(tuple("ugriz"), 0.396, SIZE)
    (tmp_path / "stamps").mkdir()
    for name, rows in {"0000": slice(6, None), "0001": slice(6)}.items():
        write_shard(tmp_path / f"stamps/{name}.h5", OBJID[rows], images_of()[rows], stamps, "sdss", "lanczos3")
    (tmp_path / "stamps/0000.missing.csv").write_text("objid,reason\n")
    paths = sorted((tmp_path / "stamps").glob("*.h5"))
    both = StampSet(paths)
    found, _, columns = read(opened(tmp_path / "stamps"))
    np.testing.assert_array_equal(columns["objid"], both.objid)
    np.testing.assert_array_equal(found, both.read(both.objid))
    found, _, columns = read(opened(paths[1]))
    np.testing.assert_array_equal(columns["objid"], OBJID[:6])
    np.testing.assert_array_equal(found, both.read(OBJID[:6]))
    with pytest.raises(InputError, match=r"0001\.h5.*its unit is 'nanomaggies per pixel', but unit is jansky"):
        opened(paths[1], unit="jansky")
    with pytest.raises(InputError, match="its bands are u, g, r, i, z, but bands is z, i, r, g, u"):
        opened(tmp_path / "stamps", bands="zirgu")


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("name", ["hdf5", "npz", "npy", "folder"])
def test_every_type_of_flux(name, dtype, tmp_path):
    write, file = WRITERS[name]
    images = images_of().astype(dtype)
    found, _, _ = read(opened(write(tmp_path / file, images)))
    np.testing.assert_array_equal(found, images.astype(np.float32))


def test_arrays_stored_column_by_column(tmp_path):
    np.save(tmp_path / "mine.npy", np.asfortranarray(images_of()))
    np.testing.assert_array_equal(read(opened(tmp_path / "mine.npy"))[0], images_of())
    np.savez(tmp_path / "mine.npz", images=np.asfortranarray(images_of()))
    with pytest.raises(InputError, match=r"mine\.npz.*not stored row by row"):
        opened(tmp_path / "mine.npz")


def test_scaled_integers_of_fits_are_fluxes_and_plain_ones_are_not(tmp_path):
    counts = np.arange(COUNT * 5 * SIZE * SIZE, dtype=np.int16).reshape(COUNT, 5, SIZE, SIZE)
    with pytest.raises(InputError, match=r"plain\.fits: its stamps are int16"):
        opened(write_fits(tmp_path / "plain.fits", counts))
    write_fits(tmp_path / "scaled.fits", counts, BSCALE=0.25, BZERO=3.0)
    found, _, _ = read(opened(tmp_path / "scaled.fits"))
    np.testing.assert_array_equal(found, counts.astype(np.float32) * 0.25 + 3)


def columns_of():
    rng = np.random.default_rng(3)
    columns = {"objid": OBJID, "RA": np.linspace(-20, 300, COUNT).astype(">f4"), "dec": rng.uniform(-9, 60, COUNT)}
    columns |= {f"mag_{band}": rng.uniform(15, 20, COUNT).astype(np.float32) for band in "ugriz"}
    columns["mag_u"][3], columns["mag_z"][4] = -9999, np.nan
    columns |= {"redshift": rng.uniform(0, 0.4, COUNT).astype(">f4"), "plate": np.arange(COUNT, dtype=np.int32)}
    columns |= {"name": np.array([f"galaxy {row}".encode() for row in range(COUNT)]), "is_red": np.arange(COUNT) > 4}
    return columns


@pytest.mark.parametrize("write", [write_hdf5, write_npz])
def test_columns_come_along(write, tmp_path):
    given = columns_of()
    others = {"spectra": np.zeros((COUNT, 7)), "wavelength": np.arange(7.0), "answer": np.float64(42)}
    source = opened(write(tmp_path / "mine.x", images_of(), **given, **others))
    (batch,) = source.batches()
    mags = [f"mag_{band}" for band in "ugriz"]
    assert list(batch.table)[:8] == ["objid", "ra", "dec", *mags]
    assert set(batch.table) == {"objid", "ra", "dec", *mags, "redshift", "plate", "name", "is_red"}
    assert all(batch.table[name].dtype == np.float64 for name in ("ra", "dec", *mags))
    np.testing.assert_array_equal(batch.table["objid"], OBJID)
    np.testing.assert_array_equal(batch.table["ra"], given["RA"].astype(np.float64) % 360)
    np.testing.assert_array_equal(batch.table["dec"], given["dec"])
    np.testing.assert_array_equal(np.flatnonzero(batch.table["mag_u"].isna()), [3])
    np.testing.assert_array_equal(np.flatnonzero(batch.table["mag_z"].isna()), [4])
    np.testing.assert_array_equal(batch.table["mag_g"], given["mag_g"])
    np.testing.assert_array_equal(batch.table["redshift"], given["redshift"])
    assert batch.table["redshift"].sum() > 0 and batch.table["plate"].dtype == np.int32
    assert batch.table["name"].tolist() == [f"galaxy {row}" for row in range(COUNT)]
    assert batch.table["is_red"].sum() == COUNT - 5


def test_texts_of_any_length_in_hdf5(tmp_path):
    names = [f"Hänge {'x' * row}" for row in range(COUNT)]
    write_hdf5(tmp_path / "mine.h5", images_of(), title=names, objid=[str(number) for number in OBJID])
    _, _, columns = read(opened(tmp_path / "mine.h5"))
    assert columns["title"].tolist() == names
    np.testing.assert_array_equal(columns["objid"], OBJID)


@pytest.mark.parametrize("write", [write_hdf5, write_npz])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"objid": OBJID.astype(np.float64)}, r"row 1: objid is .*lost its last digits"),
        ({"objid": OBJID[:-1]}, r"objid has the shape \(10,\) beside 11 stamps"),
        ({"objid": np.full(COUNT, 2**63, np.uint64)}, r"row 1: objid is 9223372036854775808"),
        ({"mag_r": np.ones((COUNT, 2))}, r"mag_r has the shape \(11, 2\)"),
        ({"mag_r": np.linspace(0.5, 20, COUNT)}, r"row 1: mag_r is 0\.5; use a magnitude"),
        ({"dec": np.linspace(0, 91, COUNT)}, r"row 11: dec is 91; use degrees from -90 to 90"),
        ({"ra": np.full(COUNT, -9999.0)}, r"row 1: ra is -9999"),
        ({"ra": np.zeros(COUNT), "RA": np.zeros(COUNT)}, r"have one name"),
        ({"dec": np.array([b"north"] * COUNT)}, r"row 1: dec is .*use a number"),
    ],
)
def test_wrong_columns_are_named(write, columns, message, tmp_path):
    write(tmp_path / "mine.x", images_of(), **columns)
    with pytest.raises(InputError, match=rf"mine\.x: .*{message}") as error:
        opened(tmp_path / "mine.x")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [write_hdf5, write_npz])
def test_an_objid_may_come_twice(write, tmp_path):
    objid = np.r_[OBJID[:-1], OBJID[2]]
    write(tmp_path / "mine.x", images_of(), objid=objid)
    source = opened(tmp_path / "mine.x")
    np.testing.assert_array_equal(source.objid, objid)
    np.testing.assert_array_equal(read(source)[2]["objid"], objid)


def test_magnitudes_of_bands_that_are_left_out_are_magnitudes(tmp_path):
    magnitudes = np.full(COUNT, 20, np.float32)
    magnitudes[2] = -99
    write_npz(tmp_path / "mine.npz", images_of(bands=6), bands=np.array("ugrizy"), MAG_Y=magnitudes)
    (batch,) = opened(tmp_path / "mine.npz").batches()
    assert batch.table["mag_y"].dtype == np.float64 and np.flatnonzero(batch.table["mag_y"].isna()).tolist() == [2]


def test_small_and_unsigned_objids(tmp_path):
    for objid in (np.arange(COUNT), np.arange(COUNT, dtype=np.uint64), np.arange(COUNT, dtype=np.uint8), -OBJID):
        np.savez(tmp_path / "mine.npz", images=images_of(), objid=objid)
        np.testing.assert_array_equal(read(opened(tmp_path / "mine.npz"))[2]["objid"], objid.astype(np.int64))


def test_bands_in_another_order(written):
    images = images_of(bands=7)
    source = opened(written(np.moveaxis(images, 1, 3)), bands=["y", "z", "i", "r", "nuv", "g", "u"])
    np.testing.assert_array_equal(read(source)[0], images[:, [6, 5, 3, 2, 1]])
    assert source.format.bands == tuple("ugriz")


def saying(path, images, kind, key, value):
    """Write a file that says something of itself."""
    if kind == "hdf5":
        return write_hdf5(path, images, {key: value})
    if kind == "npz":
        return write_npz(path, images, **{key: np.array(value)})
    card = {"bands": "BANDS", "pixel_scale_arcsec": "PIXSCALE", "unit": "BUNIT"}[key]
    return write_fits(path, images, **{card: value})


@pytest.mark.parametrize("kind", ["hdf5", "npz", "fits"])
def test_a_file_that_says_its_bands_is_believed(kind, tmp_path):
    path = saying(tmp_path / "mine.x", images_of(bands=6), kind, "bands", "zirguy")
    np.testing.assert_array_equal(read(opened(path))[0], images_of(bands=6)[:, [4, 3, 2, 1, 0]])
    assert opened(path, bands="zirguy").identity() == opened(path).identity()
    with pytest.raises(InputError, match=r"mine\.x: says that its bands are z, i, r, g, u, y, but bands is u, g, r"):
        opened(path, bands="ugrizy")


@pytest.mark.parametrize("write", [write_hdf5, write_npz])
def test_bands_of_several_letters(write, tmp_path):
    wanted = StampFormat(("F606W", "F814W"), 0.05, 64)
    for number, said in enumerate(("F814W,F606W,", "F814W, F606W", ["F814W", "F606W"], [b"F814W", b"F606W"])):
        path = tmp_path / f"{number}.x"
        if write is write_npz:
            write(path, images_of(bands=2), bands=np.array(said))
        else:
            write(path, images_of(bands=2), {"bands": said})
        np.testing.assert_array_equal(read(opened(path, wanted))[0], images_of(bands=2)[:, ::-1])


@pytest.mark.parametrize("kind", ["hdf5", "npz", "fits"])
def test_the_pixel_scale_must_be_the_models(kind, tmp_path):
    for number, scale in enumerate((0.396, 0.3995)):
        assert len(opened(saying(tmp_path / f"{number}.x", images_of(), kind, "pixel_scale_arcsec", scale))) == COUNT
    for number, scale in enumerate((0.262, 0.401, float("inf") if kind != "fits" else 1e30, 0.0, -0.396)):
        path = saying(tmp_path / f"wrong{number}.x", images_of(), kind, "pixel_scale_arcsec", scale)
        with pytest.raises(InputError, match=r"wrong\d\.x: says that its pixels are .* trained on 0\.396"):
            opened(path)
    path = saying(tmp_path / "word.x", images_of(), kind, "pixel_scale_arcsec", "small")
    with pytest.raises(InputError, match=r"word\.x: its pixel_scale_arcsec is 'small'; use a number"):
        opened(path)


def test_the_pixel_scale_of_celestial_coordinates(tmp_path):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -0.262 / 3600, "CD2_2": 0.262 / 3600}
    with pytest.raises(InputError, match=r"its pixels are 0\.262 arcsec"):
        opened(write_fits(tmp_path / "legacy.fits", images_of(), **cards))
    cards |= {"CD1_1": -0.396 / 3600, "CD2_2": 0.396 / 3600}
    assert len(opened(write_fits(tmp_path / "sdss.fits", images_of(), **cards))) == COUNT
    cards |= {"CTYPE2": "RA---TAN"}
    assert len(opened(write_fits(tmp_path / "none.fits", images_of(), **cards))) == COUNT


@pytest.mark.parametrize(("unit", "factor"), [("maggies", 1e9), ("microjansky", 1 / 3.631), ("jansky", 1 / 3.631e-6)])
def test_units(unit, factor, written):
    images = images_of()
    source = opened(written(images.astype(np.float64) / factor), unit=unit)
    found, reasons, _ = read(source)
    assert (reasons == "").all()
    np.testing.assert_allclose(found, images, rtol=2e-7)


def test_the_units_are_one_flux_of_the_ab_system():
    """AB magnitude 22.5 is a nanomaggie and 10^(-22.5/2.5) of 3631 Jy."""
    jansky = 3631 * 10 ** (-22.5 / 2.5)
    assert jansky * UNITS["jansky"] == pytest.approx(1, rel=1e-12)
    assert jansky * 1e6 * UNITS["microjansky"] == pytest.approx(1, rel=1e-12)
    assert 1e-9 * UNITS["maggies"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("spelt", "unit"),
    [
        *(
            (spelt, "nanomaggies")
            for spelt in ("nanomaggy", "nanomaggies", "nmgy", "NMgy / pixel", "nmgy per pix", " ")
        ),
        *((spelt, "maggies") for spelt in ("maggy", "Maggies", "mgy")),
        *((spelt, "microjansky") for spelt in ("uJy", "ujy", "microJansky", "uJy/pix")),
        *((spelt, "jansky") for spelt in ("Jy", "JY", "Jansky")),
    ],
)
def test_a_file_that_says_its_unit_is_believed(spelt, unit, tmp_path):
    path = write_fits(tmp_path / "mine.fits", images_of(), BUNIT=spelt)
    assert opened(path).unit == unit
    np.testing.assert_allclose(read(opened(path))[0], images_of()[read(opened(path))[1] == ""] * UNITS[unit], rtol=2e-7)
    if spelt.strip():
        assert opened(path, unit=unit).unit == unit
        other = "jansky" if unit != "jansky" else "maggies"
        with pytest.raises(InputError, match=rf"mine\.fits: says that its unit is .*, but unit is {other}"):
            opened(path, unit=other)


@pytest.mark.parametrize("kind", ["hdf5", "npz", "fits"])
def test_a_unit_that_is_not_known_is_not_guessed(kind, tmp_path):
    for unit in ("adu", "mJy", "MJy", "nanomaggies/arcsec2"):
        path = saying(tmp_path / f"{unit[:3]}.x", images_of(), kind, "unit", unit)
        with pytest.raises(InputError, match=rf"its unit is '{unit}'; use nanomaggies, maggies, microjansky, jansky"):
            opened(path)
    with pytest.raises(
        InputError, match=r"unit: 'uJy' is not understood; use nanomaggies, maggies, microjansky, jansk"
    ):
        opened(path, unit="uJy")


def test_pixels_that_no_network_reads(tmp_path):
    images = images_of().astype(np.float64)
    for row, value in enumerate((np.nan, np.inf, -np.inf, 1e300, 7e4, -7e4, 65504.0)):
        images[row, row % 5, 2, 2] = value
    found, reasons, columns = read(opened(write_npy(tmp_path / "mine.npy", images)))
    # What float32 cannot hold is not finite in it.
    assert reasons.tolist() == [NOT_FINITE] * 4 + [TOO_BRIGHT] * 2 + [""] * 5 and "65504" in TOO_BRIGHT
    np.testing.assert_array_equal(found, images[6:].astype(np.float32))
    assert len(columns["objid"]) == COUNT
    # Of bands that are left out nothing is asked.
    wanted = StampFormat(tuple("uz"), 0.396, 64)
    images[:] = 1
    images[:, 2] = np.nan
    assert (read(opened(write_npy(tmp_path / "two.npy", images), wanted, bands="ugriz"))[1] == "").all()
    images[:] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, reasons, _ = read(opened(write_npy(tmp_path / "none.npy", images)))
    assert found.shape == (0, 5, SIZE, SIZE) and (reasons == NOT_FINITE).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 5, 16, 15), r"16 x 15 px; use squares of an even number"),
        ((3, 15, 15, 5), r"15 x 15 px; use squares of an even number"),
        ((3, 5, 10, 10), r"10 px on a side, but the model sees 16"),
        ((3, 4, 16, 16), r"\(4, 16, 16\): no axis fits the bands u, g, r, i, z; use \(5, size, size\)"),
        ((3, 16, 5, 16), r"\(16, 5, 16\): no axis fits the bands"),
        ((3, 5, 16, 5), r"\(5, 16, 5\): it is not clear which axis the bands are"),
        ((5, 5, 5), r"it is not clear"),
        ((16, 16), r"the shape \(16, 16\); use \(n, bands, size, size\)"),
        ((2, 3, 5, 16, 16), r"the shape \(2, 3, 5, 16, 16\); use \(n, bands, size, size\)"),
        ((0, 5, 16, 16), r"holds no stamps"),
        ((3, 5, 0, 0), r"holds no stamps"),
        ((), r"the shape \(\); use"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "hdf5", "npz", "fits"])
def test_shapes_that_are_none_of_stamps(kind, shape, message, tmp_path):
    images, path = np.zeros(shape, np.float32), tmp_path / f"mine.{kind}"
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["images"] = images
    elif kind == "fits":
        fits.ImageHDU(images if shape else None).writeto(path)
        message = message if len(shape) in (3, 4) and 0 not in shape else r"(no HDU is an image with three|no stamps)"
    else:
        WRITERS[kind][0](path, images)
        if kind == "npz" and not shape:
            message = "images"
    with pytest.raises(InputError, match=rf"mine\.{kind}: .*{message}") as error:
        opened(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bands", ["ugri", "ugrizu", "uuuuu", "abcde", ()])
def test_the_files_bands_must_have_every_wanted_one_once(bands, tmp_path):
    path = write_npy(tmp_path / "mine.npy", images_of())
    if not bands:
        assert len(opened(path, bands=bands)) == COUNT
        return
    with pytest.raises(InputError, match=r"mine\.npy: has the band . [025] times among .* each of u, g, r, i, z once"):
        opened(path, bands=bands)


@pytest.mark.parametrize("dtype", [np.complex64, np.int16, np.uint8, bool, "U3", "f4,f4", object])
@pytest.mark.parametrize("name", ["hdf5", "npz", "npy", "folder"])
def test_types_that_are_no_flux(name, dtype, tmp_path):
    images = np.zeros((3, 5, SIZE, SIZE), dtype)
    if name == "hdf5" and dtype in (object, "U3"):
        images = np.full(images.shape, b"1", "S1")
    write, file = WRITERS[name]
    path = write(tmp_path / file, images)
    with pytest.raises(InputError, match=r"/mine") as error:
        opened(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_unpickled(tmp_path):
    traps = np.array([Trap(tmp_path / "sprung")] * COUNT)
    np.savez(tmp_path / "other.npz", images=images_of(), notes=traps)
    assert list(read(opened(tmp_path / "other.npz"))[2]) == ["objid"]
    np.savez(tmp_path / "objid.npz", images=images_of(), objid=traps)
    np.savez(tmp_path / "bands.npz", images=images_of(), bands=traps)
    np.savez(tmp_path / "images.npz", images=traps)
    np.save(tmp_path / "mine.npy", traps)
    for name in ("objid.npz", "bands.npz", "images.npz", "mine.npy"):
        with pytest.raises(InputError, match=name):
            opened(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_truncated_files_are_named(written):
    path = written(images_of())
    file = max(path.glob("galaxy*.npy")) if path.is_dir() else path
    data = file.read_bytes()
    for kept in (0, 3, 100, len(data) // 2, len(data) - 3000 if len(data) > 9000 else len(data) - 9):
        file.write_bytes(data[:kept])
        with pytest.raises(InputError, match=file.name) as error:
            list(opened(path).batches())
        assert "\n" not in str(error.value)
        assert is_stamp_file(path) in (True, False)


@pytest.mark.parametrize("name", ["hdf5", "npz", "packed npz", "npy", "fits", "fits.gz", "tiled fits"])
def test_damaged_bytes_never_raise_anything_else(name, tmp_path):
    write, file = WRITERS[name]
    path = write(tmp_path / file, images_of(3))
    data, rng = path.read_bytes(), np.random.default_rng(5)
    for _ in range(60):
        damaged = bytearray(data)
        # The first bytes say what is where.
        start = int(rng.integers(0, len(data) if rng.random() < 0.3 else min(len(data), 1500)))
        damaged[start : start + 8] = rng.bytes(8)
        path.write_bytes(damaged[: len(data)])
        is_stamp_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for batch in opened(path).batches():
                    assert len(batch.images) <= len(batch.table)
            except InputError as error:
                assert path.name in str(error)


@pytest.mark.parametrize("name", ["mine.h5", "mine.npz", "mine.npy", "mine.fits", "mine"])
def test_texts_and_empty_files_are_refused(name, tmp_path):
    (tmp_path / name).write_text("objid,ra,dec\n1,2,3\n" * 1000)
    with pytest.raises(InputError, match=rf"{name}: is no .*; use HDF5, \.npz, \.npy or FITS, or a folder"):
        opened(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=rf"{name}: is empty"):
        opened(tmp_path / name)
    with pytest.raises(InputError, match=r"nowhere\.npz: there is no such file"):
        opened(tmp_path / "nowhere.npz")


def test_formats_are_known_by_content(tmp_path):
    write_hdf5(tmp_path / "a.dat", images_of())
    write_fits(tmp_path / "b", images_of())
    (tmp_path / "c.bz2").write_bytes(bz2.compress((tmp_path / "b").read_bytes()))
    write_npz(tmp_path / "d.npz", images_of())
    (tmp_path / "d.npz").rename(tmp_path / "d.zip")
    for name in ("a.dat", "b", "c.bz2", "d.zip"):
        np.testing.assert_array_equal(read(opened(tmp_path / name))[0], images_of())


def test_files_without_images_say_what_they_hold(tmp_path):
    write_hdf5(tmp_path / "mine.h5", images_of(), dataset="cube")
    with pytest.raises(InputError, match=r"mine\.h5: has no dataset `images`; it has cube"):
        opened(tmp_path / "mine.h5")
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("images")
        file["gone"] = h5py.SoftLink("/nowhere")
    with pytest.raises(InputError, match=r"group\.h5: has no dataset `images`"):
        opened(tmp_path / "group.h5")
    np.savez(tmp_path / "mine.npz", stamps=images_of())
    with pytest.raises(InputError, match=r"mine\.npz: has no array 'images'; it has stamps\.npy"):
        opened(tmp_path / "mine.npz")
    Table({"ra": [1.0]}).write(tmp_path / "table.fits")
    with pytest.raises(InputError, match=r"table\.fits: no HDU is an image with three or four axes"):
        opened(tmp_path / "table.fits")


def test_the_first_image_of_a_fits_file_is_read(tmp_path):
    first, second = images_of(seed=7), images_of(seed=8)
    hdus = [fits.PrimaryHDU(np.zeros((4, 4), np.float32)), fits.ImageHDU(first), fits.ImageHDU(second)]
    hdus[0].header["BANDS"] = "zirgu"
    fits.HDUList(hdus).writeto(tmp_path / "mine.fits")
    np.testing.assert_array_equal(read(opened(tmp_path / "mine.fits"))[0], first[:, ::-1])


def test_folders_hold_one_kind(tmp_path):
    folder = write_folder(tmp_path / "mine", images_of(3))
    _, _, columns = read(opened(folder))
    assert columns["file"].tolist() == ["galaxy_000.npy", "galaxy_001.npy", "galaxy_002.npy"]
    np.save(folder / "galaxy_001.npy", images_of(1, 20)[0])
    with pytest.raises(InputError, match=r"galaxy_001\.npy: is float32 \(5, 20, 20\), but galaxy_000\.npy is float32"):
        opened(folder)
    # As many bytes, and another shape.
    np.save(folder / "galaxy_001.npy", np.moveaxis(images_of(1)[0], 0, 2))
    with pytest.raises(InputError, match=r"galaxy_001\.npy: is float32 \(16, 16, 5\)"):
        read(opened(folder))
    np.save(folder / "galaxy_000.npy", images_of(2))
    with pytest.raises(InputError, match=r"galaxy_000\.npy: has the shape \(2, 5, 16, 16\); in a folder"):
        opened(folder)
    (folder / "0000.h5").write_text("")
    with pytest.raises(InputError, match=r"mine: a folder .* holds both"):
        opened(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: a folder .* holds neither"):
        opened(tmp_path / "empty")


def test_what_is_a_file_of_stamps(tmp_path):
    Table({"ra": [1.0], "dec": [2.0]}).write(tmp_path / "table.fits")
    (tmp_path / "packed.fits.gz").write_bytes(gzip.compress((tmp_path / "table.fits").read_bytes()))
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    (tmp_path / "list.csv.gz").write_bytes(gzip.compress(b"ra,dec\n1,2\n"))
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04 a spreadsheet")
    (tmp_path / "empty").write_bytes(b"")
    hdus = [fits.PrimaryHDU(images_of()), fits.BinTableHDU(Table({"ra": [1.0]}))]
    fits.HDUList(hdus).writeto(tmp_path / "both.fits")
    for name in (
        "table.fits",
        "packed.fits.gz",
        "list.csv",
        "list.csv.gz",
        "list.xlsx",
        "empty",
        "nowhere",
        "both.fits",
    ):
        assert not is_stamp_file(tmp_path / name), name
    write_fits(tmp_path / "image.fits", images_of())
    write_tiled_fits(tmp_path / "tiled.fits", images_of())
    write_hdf5(tmp_path / "hdf5.dat", images_of())
    for name in (
        "image.fits",
        "tiled.fits",
        "hdf5.dat",
        ".",
        "nowhere.h5",
        "nowhere.hdf5",
        "nowhere.npy",
        "nowhere.npz",
    ):
        assert is_stamp_file(tmp_path / name), name


def test_the_identity_is_that_of_the_content_and_not_of_the_place(written, tmp_path):
    images = images_of()
    path = written(images)
    before = opened(path).identity()
    assert opened(path).identity() == before and len(before) == 64
    assert opened(path, unit="maggies").identity() != before
    assert opened(path, bands="zirgu").identity() != before
    assert opened(path, StampFormat(tuple("zirgu"), 0.396, 64), bands="ugriz").identity() != before
    moved = path.rename(tmp_path / f"moved{''.join(path.suffixes)}")
    assert opened(moved).identity() == before
    file = max(moved.glob("galaxy*.npy")) if moved.is_dir() else moved
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert opened(moved).identity() != before


def sparse_npy(path, count, size):
    """Write an .npy file of zeros that takes no place on the disk; the last stamps are ones."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (count, 5, size, size)}
        )
        file.truncate(file.tell() + count * 5 * size * size * 4)
    np.lib.format.open_memmap(path, mode="r+")[-3:] = 1


def sparse_hdf5(path, count, size):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (count, 5, size, size), np.float32, chunks=(64, 5, size, size))[-3:] = 1


@pytest.mark.parametrize("write", [sparse_npy, sparse_hdf5])
def test_memory_is_that_of_a_batch(write, tmp_path):
    """Of a million stamps, 6 GB, the first and the last batch are read in the memory of a few of them."""
    count, size = 1_000_000, 18
    write(tmp_path / "mine.dat", count, size)
    batch_bytes = BATCH * 5 * size * size * 4
    tracemalloc.start()
    try:
        source = opened(tmp_path / "mine.dat")
        assert len(next(source.batches()).images) == BATCH
        last = list(source.batches(count // BATCH))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(batch.table) for batch in last] == [count % BATCH]
    assert last[0].table["objid"].iloc[-1] == count - 1 and last[0].images[-4:, 0, 0, 0].tolist() == [0, 1, 1, 1]
    assert peak < 3.5 * batch_bytes + 3 * 8 * count


@pytest.mark.skipif(not (REAL / "stamps").is_dir(), reason="genuine stamps are not there")
def test_genuine_stamps():
    files = sorted((REAL / "stamps").glob("*.npy"))
    source = opened(REAL / "stamps", crop=64)
    assert is_stamp_file(REAL / "stamps") and source.format == WANTED and len(source) == len(files)
    found, reasons, columns = read(source)
    assert (reasons == "").all() and columns["file"].tolist() == [file.name for file in files]
    np.testing.assert_array_equal(columns["objid"], np.arange(len(files)))
    for stamp, file in zip(found, files, strict=True):
        np.testing.assert_array_equal(stamp, np.moveaxis(np.load(file), 2, 0))
    one, _, _ = read(opened(files[3], crop=64))
    np.testing.assert_array_equal(one[0], found[3])
    with pytest.raises(InputError, match="64 px on a side, but the model sees 66"):
        opened(REAL / "stamps", crop=66)


@pytest.mark.skipif(not REAL.is_dir(), reason="genuine files are not there")
def test_genuine_files_that_are_no_stamps():
    for path in sorted(REAL.glob("*.fit*")):
        assert not is_stamp_file(path)
        with pytest.raises(InputError, match=f"{path.name}: no HDU is an image with three or four axes"):
            opened(path)


@pytest.mark.parametrize(("crop", "kept"), [(12, 12), (11, 12), (1, 2), (16, 16)])
def test_no_more_is_read_than_a_network_sees(tmp_path, crop, kept):
    images = images_of().astype(np.float32)
    # What lies beyond may be anything.
    images[2, 0, 0, 0] = images[3, 1, -1, 5] = np.nan
    source = opened(write_npy(tmp_path / "mine.npy", images), crop=crop)
    found, reasons, _ = read(source)
    assert source.format.size == kept
    if crop < SIZE:
        assert (reasons == "").all()
        # The centre of a centre is the centre, whatever the parities.
        np.testing.assert_array_equal(centre(found, crop), centre(images, crop))
        np.testing.assert_array_equal(centre(found, 1), centre(images, 1))
    last = np.moveaxis(images, 1, 3)
    np.testing.assert_array_equal(read(opened(write_npy(tmp_path / "last.npy", last), crop=crop))[0], found)
