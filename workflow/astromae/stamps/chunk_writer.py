"""Writing one chunk: stamps come in any order, and become a shard and a list of the galaxies that got none."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from astromae.contracts.missing import write_missing
from astromae.contracts.shards import BLOCK, write_shard
from astromae.contracts.stamp_format import PIXEL_TYPE, StampFormat
from astromae.progress import log


class ChunkWriter:
    """Collects the galaxies of one chunk, each with a stamp or a reason for having none, and writes them.

    Stamps wait in a file that has no name and is gone with the process, so memory does not grow with the
    chunk. Use it in a `with` statement.

    Parameters
    ----------
    objid : array of int64, shape (N,)
        The chunk's galaxies, in the catalogue's order.
    stamps
        Bands, pixel scale and size of their stamps.
    folder
        Where the waiting stamps are kept; made if it does not exist.
    """

    def __init__(self, objid: np.ndarray, stamps: StampFormat, folder: Path):
        self.objid, self.format = objid, stamps
        self._reasons = np.full(len(objid), None, dtype=object)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._spool = tempfile.TemporaryFile(dir=folder)

    def __enter__(self) -> "ChunkWriter":
        """Return the writer."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Discard the waiting stamps."""
        self._spool.close()

    def add(self, rows: np.ndarray, stamps: np.ndarray, reasons: Sequence[str] | None = None) -> None:
        """Add galaxies.

        Parameters
        ----------
        rows : array of int, shape (n,)
            Which galaxies of the chunk, as rows of `objid`.
        stamps : array, shape (n, bands, size, size)
            Nanomaggies a pixel; ignored where there is a reason.
        reasons
            Why a galaxy has no stamp, empty if it has one; None if all have one. A stamp with a pixel that is no
            finite float16 gets such a reason here.
        """
        with np.errstate(over="ignore"):
            pixels = np.asarray(stamps, dtype=PIXEL_TYPE)
        finite = np.isfinite(pixels).all(axis=(2, 3))
        for place, row in enumerate(rows):
            reason = reasons[place] if reasons is not None else ""
            if not reason and not finite[place].all():
                # Beyond float16 lie pixels that are marked as bad, and stars brighter than magnitude 10.5.
                band = self.format.bands[int(np.argmin(finite[place]))]
                reason = f"pixels that are not finite or above 65504 nanomaggies in band {band}"
            self._reasons[row] = reason
            if not reason:
                self._spool.seek(int(row) * self.format.stamp_bytes)
                self._spool.write(pixels[place].tobytes())

    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the stamps (k, bands, size, size), float16, of galaxies that have one, and why the others have none.

        The second is of all n galaxies, str, empty for those that have one; both are in the order of `objid`.
        """
        self._spool.flush()
        blocks = [np.empty((0, *self.format.shape), PIXEL_TYPE), *self._blocks(np.flatnonzero(self._reasons == ""))]
        return np.concatenate(blocks), self._reasons

    def write(self, output: Path, missing: Path, survey: str, kernel: str) -> None:
        """Write the shard and the list of galaxies without a stamp.

        Parameters
        ----------
        output
            Shard to write.
        missing
            List to write.
        survey, kernel
            Where the pixels come from, and how they were resampled; see `write_shard`.

        Raises
        ------
        RuntimeError
            If a galaxy of the chunk was never added.
        """
        forgotten = [row for row, reason in enumerate(self._reasons) if reason is None]
        if forgotten:
            raise RuntimeError(
                f"{len(forgotten)} galaxies of the chunk, first {self.objid[forgotten[0]]}, were never added"
            )
        self._spool.flush()
        have, lost = np.flatnonzero(self._reasons == ""), np.flatnonzero(self._reasons != "")
        write_shard(output, self.objid[have], self._blocks(have), self.format, survey, kernel)
        write_missing(missing, self.objid[lost], self._reasons[lost])
        log(f"{output}: {len(self.objid)} galaxies, {len(have)} stamps, {len(lost)} missing")
        for reason, count in Counter(self._reasons[lost]).most_common(5):
            log(f"{output}: {count} missing: {reason}")

    def _blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        length = self.format.stamp_bytes
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            data = b"".join(os.pread(self._spool.fileno(), length, int(row) * length) for row in part)
            yield np.frombuffer(data, dtype=PIXEL_TYPE).reshape(-1, *self.format.shape)
