"""Corrected frames, decoded from a stream of bytes no further than they are needed."""

import bz2
import itertools
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from astromae.constants import FRAME_COLUMNS, FRAME_ROWS
from astromae.survey.archive import frame_number

#: FITS files come in blocks of this many bytes (FITS standard 4.0, section 3.1).
FITS_BLOCK = 2880

#: A frame's primary header fills three blocks; whatever has no end after this many is no frame.
MAX_HEADER_BLOCKS = 64

#: How bzip2, gzip and uncompressed FITS files begin, and the most bytes that tell them apart.
_BZIP2, _GZIP, _FITS = b"BZh", b"\x1f\x8b", b"SIMPLE"
_SIGNATURE_BYTES = len(_FITS)

#: How a block of a FITS header ends the header: the END card starts on a multiple of 80 bytes.
END_CARD = b"END".ljust(80)


class FrameError(Exception):
    """A frame that cannot be used, with the reason as its message."""


@dataclass(frozen=True)
class FrameId:
    """Which frame: imaging run, camera column, field and band."""

    run: int
    camcol: int
    field: int
    band: str


def read_contents(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress what was compressed with bzip2 or gzip, as it comes, and pass on what is a FITS file already.

    The first bytes tell which it is, whatever the file's name.

    Parameters
    ----------
    pieces
        Bytes of a file in pieces of any length.

    Yields
    ------
    bytes
        Decompressed bytes. Of bzip2, when a piece has been yielded, the checksums of all the blocks that it comes
        from, and the blocks before them, have been verified. Of gzip only the end of the iteration says so: its one
        checksum comes last.

    Raises
    ------
    FrameError
        If a checksum is wrong, the bytes are of another kind, or the compressed data end within a stream.
    """
    pieces = iter(pieces)
    beginning = b""
    while len(beginning) < _SIGNATURE_BYTES and (piece := next(pieces, b"")):
        beginning += piece
    pieces = itertools.chain([beginning], pieces)
    if beginning.startswith(_BZIP2):
        yield from _decompress(pieces, bz2.BZ2Decompressor, "a bzip2 block is damaged")
    elif beginning.startswith(_GZIP):
        # 16 more than the largest window asks zlib for gzip's header and checksum.
        yield from _decompress(pieces, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), "the gzip data are damaged")
    elif beginning.startswith(_FITS) or not beginning:
        yield from filter(None, pieces)
    else:
        raise FrameError("it is neither a bzip2, a gzip nor a FITS file")


def _decompress(pieces: Iterable[bytes], start: Callable, damaged: str) -> Iterator[bytes]:
    """Decompress pieces through as many streams as they hold; `start` makes a decompressor for one."""
    decompressor = start()
    begun = False
    for piece in pieces:
        while piece:
            begun = True
            try:
                # A bzip2 block's checksum is compared when its last byte has left the decompressor: what an
                # ending piece of input held back must be drawn out before the block can be trusted.
                parts = [decompressor.decompress(piece)]
                while parts[-1] and not decompressor.eof:
                    parts.append(decompressor.decompress(b""))
            except (OSError, zlib.error) as error:
                raise FrameError(damaged) from error
            piece = b""
            if decompressor.eof:
                piece = decompressor.unused_data
                decompressor = start()
                begun = False
            if output := b"".join(parts):
                yield output
    if begun:
        raise FrameError("the file is truncated")


class FrameReader:
    """The image of one corrected frame, read from a file's bytes row by row.

    HDU0 holds the image and comes first, so nothing after its last needed row is fetched or decoded, unless the file
    was compressed with gzip: then `finish` reads on to the checksum.

    Parameters
    ----------
    pieces
        The bytes of the file, compressed with bzip2 or gzip or not at all, in pieces of any length.
    identity
        The frame that the file must hold.
    shape
        Rows and columns that the image must have.

    Attributes
    ----------
    header : astropy.io.fits.Header
        Primary header.
    shape : (int, int)
        Rows and columns of the image.

    Raises
    ------
    FrameError
        If the bytes are damaged, end early, or hold something else than the frame asked for.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        identity: FrameId,
        shape: tuple[int, int] = (FRAME_ROWS, FRAME_COLUMNS),
    ):
        self.shape = shape
        self._is_gzip = False
        self._stream = read_contents(self._watch(pieces))
        self._pending = memoryview(b"")
        self._row = 0
        self.header = self._read_header()
        self._check(identity)

    def read_rows(self, first: int, stop: int) -> np.ndarray:
        """Read the rows from `first` up to, and without, `stop`.

        Rows pass once: `first` must not lie before a row that has been read.

        Returns
        -------
        array of float32, shape (stop - first, columns)
            Sky-subtracted flux in nanomaggies a pixel.

        Raises
        ------
        FrameError
            If the bytes are damaged or end before row `stop`.
        """
        rows, columns = self.shape
        if not self._row <= first <= stop <= rows:
            raise ValueError(f"rows {first} to {stop} of {rows}, of which {self._row} have passed")
        self._take((first - self._row) * columns * 4)
        pixels = np.empty((stop - first, columns), dtype=">f4")
        self._take(pixels.nbytes, memoryview(pixels).cast("B"))
        self._row = stop
        return pixels.astype(np.float32)

    def finish(self) -> None:
        """Check the rows if that has not been done yet: read gzip data up to their checksum.

        Raises
        ------
        FrameError
            If they are damaged or end early.
        """
        if self._is_gzip:
            for _ in self._stream:
                pass

    def _watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on the file's bytes, and note whether they are gzip data."""
        beginning = b""
        for piece in pieces:
            if len(beginning) < len(_GZIP):
                beginning += piece[: len(_GZIP)]
                self._is_gzip = beginning.startswith(_GZIP)
            yield piece

    def _take(self, count: int, target: memoryview | None = None) -> None:
        """Move `count` bytes of the stream into `target`, or past it."""
        done = 0
        while done < count:
            piece = self._pending or memoryview(next(self._stream, b""))
            if not piece:
                raise FrameError(f"the data end {count - done} bytes early")
            used = min(len(piece), count - done)
            if target is not None:
                target[done : done + used] = piece[:used]
            self._pending = piece[used:]
            done += used

    def _read_header(self) -> fits.Header:
        text = bytearray()
        for _ in range(MAX_HEADER_BLOCKS):
            block = bytearray(FITS_BLOCK)
            self._take(FITS_BLOCK, memoryview(block))
            text += block
            if not text.startswith(b"SIMPLE  ="):
                break
            if any(block[start : start + 80] == END_CARD for start in range(0, FITS_BLOCK, 80)):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", AstropyWarning)
                    try:
                        return fits.Header.fromstring(text.decode("ascii"))
                    except (ValueError, fits.VerifyError) as error:
                        raise FrameError(f"no FITS header: {error}") from error
        raise FrameError("no FITS header")

    def _check(self, identity: FrameId) -> None:
        rows, columns = self.shape
        expected = {
            "BITPIX": -32,
            "NAXIS": 2,
            "NAXIS1": columns,
            "NAXIS2": rows,
            "RUN": identity.run,
            "CAMCOL": identity.camcol,
            "FRAME": frame_number(identity.field, identity.band),
            "FILTER": identity.band,
        }
        for keyword, value in expected.items():
            found = self.header.get(keyword)
            found = found.strip() if isinstance(found, str) else found
            if found != value:
                raise FrameError(f"its header says {keyword} = {found}, not {value}")
