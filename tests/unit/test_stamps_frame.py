"""Frames as streams: early stop, several bzip2 streams, damage that is noticed and named."""

import bz2
import gzip
import io
import itertools

import numpy as np
import pytest
from astromae.stamps.frame import FrameError, FrameId, FrameReader, read_contents
from astropy.io import fits

SHAPE = (200, 2048)
FRAME = FrameId(run=1000, camcol=1, field=100, band="r")


def frame_bytes(pixels=None, **keywords):
    """A frame in the archive's form, uncompressed; pixels hard to compress, as noise is."""
    if pixels is None:
        pixels = np.random.default_rng(1).normal(0, 0.02, SHAPE).astype(np.float32)
    primary = fits.PrimaryHDU(pixels)
    primary.header.update({"RUN": 1000, "CAMCOL": 1, "FRAME": 100, "FILTER": "r", "RERUN": "301"} | keywords)
    file = io.BytesIO()
    fits.HDUList([primary, fits.ImageHDU(np.ones(2048, np.float32))]).writeto(file)
    return file.getvalue(), pixels


def pieces_of(data, size=4096, taken=None):
    for start in range(0, len(data), size):
        if taken is not None:
            taken.append(start)
        yield data[start : start + size]


def read_all(data, size=4096):
    reader = FrameReader(pieces_of(data, size), FRAME, SHAPE)
    return reader.read_rows(0, SHAPE[0])


@pytest.mark.parametrize("size", [1, 999, 4096, 10**9])
def test_pixels_are_those_that_astropy_reads(size):
    data, pixels = frame_bytes(np.random.default_rng(2).normal(size=(20, 2048)).astype(np.float32))
    reader = FrameReader(pieces_of(bz2.compress(data), size), FRAME, (20, 2048))
    rows = reader.read_rows(0, 20)
    np.testing.assert_array_equal(rows, fits.getdata(io.BytesIO(data)))
    np.testing.assert_array_equal(rows, pixels)
    assert rows.dtype == np.float32 and rows.dtype.isnative
    assert reader.header["RUN"] == 1000


def test_rows_are_read_in_parts():
    data, pixels = frame_bytes()
    reader = FrameReader(pieces_of(bz2.compress(data)), FRAME, SHAPE)
    np.testing.assert_array_equal(reader.read_rows(10, 20), pixels[10:20])
    np.testing.assert_array_equal(reader.read_rows(20, 21), pixels[20:21])
    np.testing.assert_array_equal(reader.read_rows(150, 200), pixels[150:])


def test_nothing_is_fetched_after_the_last_needed_row():
    data, pixels = frame_bytes()
    compressed = bz2.compress(data, 1)
    taken = []
    reader = FrameReader(pieces_of(compressed, 4096, taken), FRAME, SHAPE)
    np.testing.assert_array_equal(reader.read_rows(30, 60), pixels[30:60])
    # Up to the block of 100 kB (12 rows) that holds row 59, and the one that the header's piece began.
    assert len(taken) * 4096 < (60 + 2 * 13) / 200 * len(compressed)


def test_several_streams():
    data, pixels = frame_bytes()
    cuts = [0, 100, 2880, 500_000, 500_001, len(data)]
    streams = b"".join(bz2.compress(data[a:b]) for a, b in itertools.pairwise(cuts))
    np.testing.assert_array_equal(read_all(streams), pixels)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_truncated(share):
    data, _ = frame_bytes()
    compressed = bz2.compress(data)
    with pytest.raises(FrameError, match="truncated"):
        read_all(compressed[: int(share * len(compressed))])


def test_stream_that_ends_early():
    data, _ = frame_bytes()
    with pytest.raises(FrameError, match="early"):
        read_all(bz2.compress(data[:600_000]))


def test_empty_file():
    with pytest.raises(FrameError):
        read_all(b"")


@pytest.mark.parametrize("size", [500, 4096, 10**9])
def test_no_flipped_bit_gets_through(size):
    """Every block that a pixel comes from has its checksum compared before the pixel is handed out."""
    data, pixels = frame_bytes()
    compressed = bz2.compress(data, 1)
    rng = np.random.default_rng(5)
    noticed = 0
    for _ in range(40):
        damaged = bytearray(compressed)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        stop = int(rng.integers(1, SHAPE[0] + 1))
        try:
            rows = FrameReader(pieces_of(bytes(damaged), size), FRAME, SHAPE).read_rows(0, stop)
        except FrameError:
            noticed += 1
        else:
            np.testing.assert_array_equal(rows, pixels[:stop])
    assert noticed > 0


def test_block_that_ends_with_a_piece_is_still_checked():
    """A piece may end with a block's last bit while part of the block waits in the decompressor."""
    compressed = bytearray(bz2.compress(np.random.default_rng(6).bytes(90_000), 1))
    # The block's stored checksum follows the file's 4 and the block's 6 identifying bytes; 10 bytes end the file.
    compressed[10] ^= 1
    for end in range(len(compressed) - 14, len(compressed)):
        with pytest.raises(FrameError, match="damaged"):
            next(read_contents([bytes(compressed[:end]), bytes(compressed[end:])]))


def test_rubbish_is_no_frame():
    with pytest.raises(FrameError, match="neither a bzip2, a gzip nor a FITS file"):
        read_all(b"<html>503 Service Unavailable</html>" * 100)
    with pytest.raises(FrameError, match="no FITS header"):
        read_all(bz2.compress(b"<html>" + b" " * 100_000))
    with pytest.raises(FrameError, match="no FITS header"):
        read_all(bz2.compress(b"SIMPLE  = " + b" " * 1_000_000))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"RUN": 1001}, "RUN = 1001, not 1000"),
        ({"CAMCOL": 2}, "CAMCOL = 2, not 1"),
        ({"FRAME": 99}, "FRAME = 99, not 100"),
        ({"FILTER": "g"}, "FILTER = g, not r"),
    ],
)
def test_another_frame_under_this_name(keywords, message):
    data, _ = frame_bytes(**keywords)
    with pytest.raises(FrameError, match=message):
        read_all(bz2.compress(data))


def test_wrong_shape_and_type():
    data, _ = frame_bytes(np.zeros((100, 2048), np.float32))
    with pytest.raises(FrameError, match="NAXIS2 = 100, not 200"):
        read_all(bz2.compress(data))
    data, _ = frame_bytes(np.zeros(SHAPE, np.int16))
    with pytest.raises(FrameError, match="BITPIX = 16, not -32"):
        read_all(bz2.compress(data))


@pytest.mark.parametrize("size", [1000, 10**9])
def test_gzip_and_plain_files_are_read_as_well(size):
    data, pixels = frame_bytes()
    members = gzip.compress(data[:400_000]) + gzip.compress(data[400_000:])
    for contents in (gzip.compress(data), members, data):
        np.testing.assert_array_equal(read_all(contents, size), pixels)


def test_no_flipped_bit_of_a_gzip_file_gets_through():
    """Its one checksum comes last, so it counts only when the reader has finished."""
    data, pixels = frame_bytes()
    compressed = gzip.compress(data, 1)
    rng = np.random.default_rng(7)
    for place in rng.integers(20, len(compressed) - 8, 20):
        damaged = bytearray(compressed)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(FrameError, match=r"damaged|early|truncated|header"):
            reader = FrameReader(pieces_of(bytes(damaged)), FRAME, SHAPE)
            reader.read_rows(0, 50)
            reader.finish()
    reader = FrameReader(pieces_of(compressed), FRAME, SHAPE)
    np.testing.assert_array_equal(reader.read_rows(0, 50), pixels[:50])
    reader.finish()
