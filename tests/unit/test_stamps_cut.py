"""Cutting a chunk: positions, fluxes, and no galaxy lost without a reason, through every damage of a frame."""

import bz2
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.stamps.cut import cut_chunk
from astromae.stamps.fetch import Archive, Download
from astromae.survey.archive import frame_address
from astromae.survey.geometry import field_astrometry
from astropy.io import fits
from astropy.wcs import WCS
from strip import CAMCOL, FLUX_NMGY, QUICK, RELEASE, RUN, SURVEY, Strip, cut, write_catalog


def centroid(stamp):
    """Centroid in a Gaussian window as wide as the source, moved until it stays (as SExtractor's WIN positions)."""
    y, x = np.indices(stamp.shape)
    column = row = 31.5
    for _ in range(30):
        weight = stamp * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 2.0**2))
        step = (weight * (x - column)).sum() / weight.sum(), (weight * (y - row)).sum() / weight.sum()
        column, row = column + 2 * step[0], row + 2 * step[1]
    return np.array([column, row])


def window_flux(image, column, row, sigma=6.0):
    """Flux in a wide Gaussian window, which no pixel grid matters to."""
    top, left = max(0, round(row) - 31), max(0, round(column) - 31)
    image = image[top : top + 63, left : left + 63]
    y, x = np.indices(image.shape, sparse=True)
    y, x = y + top, x + left
    return (image * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))).sum()


def test_centroids_and_fluxes(strip, tmp_path):
    shard, missing = cut(strip, tmp_path)
    kept = strip.galaxies[~strip.galaxies["objid"].isin(list(missing))]
    stamps = StampSet([shard]).read(kept["objid"].to_numpy()).astype(np.float64)
    assert len(stamps) == 4
    for galaxy in stamps:
        centroids = np.array([centroid(band) for band in galaxy])
        assert np.abs(centroids - 31.5).max() < 0.1
        assert np.abs(centroids - centroids[2]).max() < 0.1
        np.testing.assert_allclose(galaxy.sum(axis=(1, 2)), list(FLUX_NMGY.values()), rtol=0.01)


def test_flux_of_bright_rendered_galaxies(small_survey, tmp_path):
    """Within 1 % between frame and stamp in a window, and positions within 0.1 px, with the survey's noise."""
    shard, missing = tmp_path / "0000.h5", tmp_path / "0000.missing.csv"
    frames = Archive(str(small_survey.archive), small_survey.release, Download(), tmp_path)
    cut_chunk(small_survey.catalog, 0, frames, 64, shard, missing)
    galaxies = pd.read_parquet(small_survey.catalog)
    stamps = StampSet([shard])
    galaxies = galaxies[galaxies["objid"].isin(stamps.objid)].sort_values("mag_r").head(8)
    images = stamps.read(galaxies["objid"].to_numpy()).astype(np.float64)
    field = galaxies.iloc[0][["run", "camcol", "field"]].astype(int)
    for band in "gri":
        with fits.open(frame_address(str(small_survey.archive), small_survey.release, *field, band)) as file:
            frame, wcs = file[0].data.astype(np.float64), WCS(file[0].header)
        columns, rows = wcs.all_world2pix(galaxies["ra"], galaxies["dec"], 0)
        for image, column, row in zip(images[:, BANDS.index(band)], columns, rows, strict=True):
            assert window_flux(image, 31.5, 31.5) == pytest.approx(window_flux(frame, column, row), rel=0.01)
            assert np.abs(centroid(image) - 31.5).max() < 0.1


def test_edge_galaxies_are_missing_with_the_band(strip, tmp_path):
    _, missing = cut(strip, tmp_path)
    expected = {}
    corners = np.array([[0, 0], [0, 63], [63, 0], [63, 63.0]])
    for galaxy in strip.galaxies.itertuples():
        stamp = WCS(naxis=2)
        stamp.wcs.ctype, stamp.wcs.crpix = ["RA---TAN", "DEC--TAN"], [32.5, 32.5]
        stamp.wcs.crval, stamp.wcs.cdelt = [galaxy.ra, galaxy.dec], [-0.396 / 3600, 0.396 / 3600]
        for band in BANDS:
            wcs = field_astrometry(SURVEY, RUN, CAMCOL, galaxy.field, band).wcs()
            on_frame = wcs.all_world2pix(stamp.all_pix2world(corners, 0), 0)
            if (on_frame < 2).any() or (on_frame >= [FRAME_COLUMNS - 3, FRAME_ROWS - 3]).any():
                expected.setdefault(galaxy.objid, f"off the edge in band {band}")
    assert missing == expected
    assert sorted(missing.values()) == ["off the edge in band g", "off the edge in band u"]


def test_stamps_and_missing_are_the_chunk(strip, tmp_path):
    shard, missing = cut(strip, tmp_path)
    stamps = StampSet([shard])
    assert not set(stamps.objid) & set(missing)
    assert set(stamps.objid) | set(missing) == set(strip.galaxies["objid"])
    in_catalog_order = strip.galaxies["objid"][strip.galaxies["objid"].isin(stamps.objid)]
    np.testing.assert_array_equal(stamps.objid, in_catalog_order)
    with h5py.File(shard) as file:
        assert (file.attrs["kernel"], file.attrs["survey"]) == ("lanczos3", "test")


def test_same_bytes_again(strip, tmp_path):
    for name in ("a", "b"):
        cut(strip, tmp_path / name, archive=strip.archive if name == "a" else strip.archive.as_uri())
    for name in ("0000.h5", "0000.missing.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def flip_bit(path):
    data = bytearray(path.read_bytes())
    # The first block's stored checksum: it stays a bzip2 file that decodes to the right bytes.
    data[12] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:200])


def spoil_pixel(path):
    image = bytearray(bz2.decompress(path.read_bytes()))
    with fits.open(path) as file:
        start, header = file[0].fileinfo()["datLoc"], file[0].header.copy()
    row, column = 200, 300
    offset = start + 4 * (row * header["NAXIS1"] + column)
    image[offset : offset + 4] = np.array(np.nan, ">f4").tobytes()
    path.write_bytes(bz2.compress(bytes(image)))


def another_field(path):
    shutil.copy(str(path).replace("-0011", "-0012"), path)


DAMAGES = {
    "bit": (flip_bit, "corrupt frame in band i: a bzip2 block is damaged"),
    "truncated": (truncate, "corrupt frame in band i: the file is truncated"),
    "absent": (Path.unlink, "no frame in band i"),
    "other": (another_field, "corrupt frame in band i: its header says FRAME = 14, not 13"),
    "html": (
        lambda path: path.write_text("<html>"),
        "corrupt frame in band i: it is neither a bzip2, a gzip nor a FITS",
    ),
    "empty": (lambda path: path.write_bytes(b""), "corrupt frame in band i: "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_frame_costs_its_field_only(strip, tmp_path, damage):
    whole, edges = cut(strip, tmp_path / "whole")
    archive = tmp_path / "archive"
    shutil.copytree(strip.archive, archive)
    spoil, reason = DAMAGES[damage]
    spoil(Path(str(strip.frame(11, "i")).replace(str(strip.archive), str(archive))))
    shard, missing = cut(strip, tmp_path / "damaged", archive)
    of_field = set(strip.galaxies["objid"][strip.galaxies["field"] == 11])
    assert set(missing) == of_field | set(edges)
    for objid in of_field - set(edges):
        assert missing[objid].startswith(reason)
    rest = StampSet([shard]).objid
    assert set(rest) == set(strip.galaxies["objid"]) - set(missing)
    np.testing.assert_array_equal(StampSet([shard]).read(rest), StampSet([whole]).read(rest))


def test_several_streams_give_the_same_stamps(strip, tmp_path):
    whole, _ = cut(strip, tmp_path / "whole")
    archive = tmp_path / "archive"
    shutil.copytree(strip.archive, archive)
    path = Path(str(strip.frame(12, "z")).replace(str(strip.archive), str(archive)))
    data = bz2.decompress(path.read_bytes())
    path.write_bytes(b"".join(bz2.compress(data[a : a + 1_000_000]) for a in range(0, len(data), 1_000_000)))
    shard, _ = cut(strip, tmp_path / "streams", archive)
    assert shard.read_bytes() == whole.read_bytes()


def test_pixels_that_are_not_finite(strip, tmp_path):
    archive = tmp_path / "archive"
    shutil.copytree(strip.archive, archive)
    spoil_pixel(Path(str(strip.frame(11, "r")).replace(str(strip.archive), str(archive))))
    _, edges = cut(strip, tmp_path / "whole")
    _, missing = cut(strip, tmp_path / "spoilt", archive)
    lost = strip.galaxies["objid"].iloc[0]
    assert set(missing) == {lost} | set(edges)
    assert "not finite" in missing[lost] and missing[lost].endswith("in band r")


def test_chunk_without_galaxies(strip, tmp_path):
    shard, missing = cut(strip, tmp_path, chunk=5)
    assert len(StampSet([shard])) == 0 and missing == {}


def test_bad_input(strip, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        cut(strip, tmp_path, archive=tmp_path / "nowhere")
    twice = pd.concat([strip.galaxies, strip.galaxies.head(1)])
    doubled = Strip(strip.archive, write_catalog(tmp_path / "twice.parquet", twice), twice)
    with pytest.raises(InputError, match=f"{twice['objid'].iloc[0]} stands in more than one row"):
        cut(doubled, tmp_path)
    lacking = Strip(strip.archive, write_catalog(tmp_path / "lacking.parquet", strip.galaxies.drop(columns="ra")), None)
    with pytest.raises(InputError, match=r"lacking\.parquet.*ra"):
        cut(lacking, tmp_path)
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match=r"text\.parquet"):
        cut(Strip(strip.archive, tmp_path / "text.parquet", None), tmp_path)


@pytest.mark.parametrize("size", [46, 80])
def test_other_sizes_have_the_same_pixels_about_the_galaxy(strip, tmp_path, size):
    """The galaxy stands in the centre of a stamp of any even size, so that a larger stamp holds a smaller one."""
    found = {}
    for each in (size, 64):
        frames = Archive(str(strip.archive), RELEASE, QUICK, tmp_path)
        cut_chunk(strip.catalog, 0, frames, each, tmp_path / f"{each}.h5", tmp_path / f"{each}.csv")
        found[each] = StampSet([tmp_path / f"{each}.h5"])
    both = np.intersect1d(found[size].objid, found[64].objid)
    assert len(both) and found[size].size == size
    side = min(size, 64)
    np.testing.assert_allclose(
        found[size].read(both, side).astype(float), found[64].read(both, side).astype(float), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("size", [0, 63])
def test_odd_sizes_are_refused(strip, tmp_path, size):
    frames = Archive(str(strip.archive), RELEASE, QUICK, tmp_path)
    with pytest.raises(InputError, match=rf"stamps\.size: {size}; a stamp has an even number"):
        cut_chunk(strip.catalog, 0, frames, size, tmp_path / "0.h5", tmp_path / "0.csv")
