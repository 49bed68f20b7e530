"""The SDSS corrected frame: its four parts, and how to write one as the archive stores it."""

import bz2
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astromae import __version__
from astromae.constants import FRAME_COLUMNS, FRAME_ROWS
from astromae.survey.archive import FRAME_MINUS_FIELD, RERUN, frame_number
from astromae.survey.geometry import CRPIX, Astrometry

#: Rows and columns of the sky grid in the third part of a frame.
SKY_SHAPE = (192, 256)

#: Where the frame's columns and rows lie on the sky grid, as in real frames. Columns run past its sides, where the sky
#: stays constant.
SKY_COLUMNS = (np.arange(FRAME_COLUMNS, dtype=np.float32) + np.float32(0.5)) / 8 - np.float32(0.5)
SKY_ROWS = (np.arange(FRAME_ROWS, dtype=np.float32) + np.float32(0.5)) / 8 + np.float32(0.5)

#: Bits of a float32's mantissa that real frames keep; the rest are zero, for the sake of compression.
MANTISSA_BITS = 10

# bzip2 with blocks of 100 kB: on frames it is faster both ways than larger blocks and compresses no worse.
_BZ2_LEVEL = 1


@dataclass(frozen=True)
class Frame:
    """A corrected frame.

    Attributes
    ----------
    run, camcol, field, band
        Which frame.
    image_nmgy
        Sky-subtracted image, nanomaggies a pixel, float32, shape (1489, 2048).
    calibration_nmgy
        Nanomaggies a count for every column, float32, shape (2048,).
    sky_counts
        Sky on its coarse grid, counts a pixel, float32, shape (192, 256).
    astrometry
        Where its pixels lie on the sky.
    """

    run: int
    camcol: int
    field: int
    band: str
    image_nmgy: NDArray[np.float32]
    calibration_nmgy: NDArray[np.float32]
    sky_counts: NDArray[np.float32]
    astrometry: Astrometry


def interpolate_sky(
    sky_counts: NDArray[np.float32],
    columns: NDArray[np.float32] = SKY_COLUMNS,
    rows: NDArray[np.float32] = SKY_ROWS,
) -> NDArray[np.float32]:
    """Interpolate the coarse sky grid to pixels, bilinearly, constant beyond the grid's edges.

    Parameters
    ----------
    sky_counts
        Sky grid (ALLSKY), shape (192, 256).
    columns, rows
        Places on the grid of the image's columns (XINTERP) and rows (YINTERP).

    Returns
    -------
    ndarray
        Sky in the grid's unit, float32, shape (rows, columns).
    """

    def between(values: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
        places = np.clip(places, 0, len(values) - 1)
        low = np.minimum(places.astype(int), len(values) - 2)
        weight = (places - low).astype(np.float32)[:, None]
        return values[low] * (1 - weight) + values[low + 1] * weight

    return np.ascontiguousarray(between(between(sky_counts, rows).T, columns).T)


def round_mantissa(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round float32 values to the nearest with `MANTISSA_BITS` significant bits: at most 1 part in 1024 away."""
    # Of the 24 significant bits, the first is implied; a carry out of the mantissa rightly bumps the exponent.
    dropped = 24 - MANTISSA_BITS
    bits = values.astype(np.float32).view(np.uint32) + np.uint32(1 << (dropped - 1))
    return (bits & np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)).view(np.float32)


def write_frame(path: Path, frame: Frame) -> None:
    """Write a frame as the archive stores it: four FITS parts, compressed with bzip2.

    Layout of the SDSS data model page "frame": the image with 10 significant bits; the calibration vector; the
    sky table ALLSKY, XINTERP, YINTERP; the astrometric table asTrans. The file names no time, so equal frames are
    equal bytes.

    Parameters
    ----------
    path
        File to write.
    frame
        What to write.
    """
    parts = fits.HDUList(
        [
            fits.PrimaryHDU(round_mantissa(frame.image_nmgy).astype(">f4"), header=_header(frame)),
            fits.ImageHDU(frame.calibration_nmgy.astype(">f4")),
            _sky_table(frame),
            _astrans_table(frame),
        ]
    )
    file = io.BytesIO()
    parts.writeto(file)
    Path(path).write_bytes(bz2.compress(file.getbuffer(), _BZ2_LEVEL))


def _header(frame: Frame) -> fits.Header:
    """Return the header of the image, with the keywords of real frames that a simulation can fill."""
    astrometry = frame.astrometry
    # Two frames are read out while a field drifts from filter to filter, so FRAME counts the camera's rows.
    camera_row = 1 + FRAME_MINUS_FIELD[frame.band] // 2
    cards = [
        ("ORIGIN", "AstroMAE", "simulated in the layout of SDSS"),
        ("SIMVERS", __version__, "version of the simulation"),
        ("TELESCOP", "2.5m", ""),
        ("RUN", frame.run, "Run number"),
        ("FRAME", frame_number(frame.field, frame.band), "Frame sequence number within the run"),
        ("CCDLOC", 10 * camera_row + frame.camcol, "Survey location of CCD (e.g., rowCol)"),
        ("STRIPE", astrometry.stripe, "Stripe index number (23 <--> eta=0)"),
        ("STRIP", "N", "Strip in the stripe being tracked."),
        ("FLAVOR", "simulated", "Flavor of this run"),
        ("SYS_SCN", "mean", "System of the scan great circle (e.g., mean)"),
        ("EQNX_SCN", 2000.0, "Equinox of the scan great circle. (years)"),
        ("NODE", astrometry.node_deg, "RA of the great circle's ascending node (deg)"),
        ("INCL", astrometry.inclination_deg, "Great circle's inclination wrt cel. eq. (deg)"),
        ("OBJECT", f"{astrometry.stripe} N", "e.g., 'stripe 50.6 degrees, north strip'"),
        ("EXPTIME", "53.907456", "Exposure time (seconds)"),
        ("SYSTEM", "FK5", "System of the TCC coordinates (e.g., mean)"),
        ("CCDMODE", "DRIFT", "'STARING' or 'DRIFT'"),
        ("C_OBS", 26322, "CCD row clock rate (usec/row)"),
        ("COLBIN", 1, "Binning factor perpendicular to the columns"),
        ("ROWBIN", 1, "Binning factor perpendicular to the rows"),
        ("CAMROW", camera_row, "Row in the imaging camera"),
        ("BADLINES", 0, "Number of bad lines in frame"),
        ("EQUINOX", 2000.0, ""),
        ("SOFTBIAS", 1000, 'software "bias" added to all DN'),
        ("FILTER", frame.band, "filter used"),
        ("CAMCOL", frame.camcol, "column in the imaging camera"),
        ("RADECSYS", "ICRS", "International Celestial Ref. System"),
        ("CTYPE1", "RA---TAN", "Coordinate type"),
        ("CTYPE2", "DEC--TAN", "Coordinate type"),
        ("CUNIT1", "deg", "Units"),
        ("CUNIT2", "deg", "Units"),
        ("CRPIX1", CRPIX[0], "X of reference pixel"),
        ("CRPIX2", CRPIX[1], "Y of reference pixel"),
        ("CRVAL1", astrometry.crval[0], "RA of reference pixel (deg)"),
        ("CRVAL2", astrometry.crval[1], "Dec of reference pixel (deg)"),
        ("CD1_1", astrometry.cd[0, 0], "RA deg per column pixel"),
        ("CD1_2", astrometry.cd[0, 1], "RA deg per row pixel"),
        ("CD2_1", astrometry.cd[1, 0], "Dec deg per column pixel"),
        ("CD2_2", astrometry.cd[1, 1], "Dec deg per row pixel"),
        ("BUNIT", "nanomaggy", "1 nanomaggy = 3.631e-6 Jy"),
        ("NMGY", float(frame.calibration_nmgy.mean(dtype=np.float64)), "Calibration factor [nMgy per count]"),
        ("RERUN", str(RERUN), "rerun"),
    ]
    return fits.Header(cards)


def _sky_table(frame: Frame) -> fits.BinTableHDU:
    """Return the one-row table of the sky grid and of the pixels' places on it."""
    rows, columns = SKY_SHAPE
    return fits.BinTableHDU.from_columns(
        [
            fits.Column("ALLSKY", f"{rows * columns}E", dim=f"({columns},{rows})", array=frame.sky_counts[None]),
            fits.Column("XINTERP", f"{FRAME_COLUMNS}E", array=SKY_COLUMNS[None]),
            fits.Column("YINTERP", f"{FRAME_ROWS}E", array=SKY_ROWS[None]),
        ]
    )


def _astrans_table(frame: Frame) -> fits.BinTableHDU:
    """Return the one-row table asTrans. The camera has no distortion here, and no air above it."""
    astrometry = frame.astrometry
    values = [
        ("RUN", "J", frame.run),
        ("RERUN", "3A", str(RERUN)),
        ("CAMCOL", "J", frame.camcol),
        ("FILTER", "1A", frame.band),
        ("NODE", "D", astrometry.node_deg),
        ("INCL", "D", astrometry.inclination_deg),
        ("NAXIS", "2J", (FRAME_COLUMNS, FRAME_ROWS)),
        ("FIELD", "J", frame.field),
        *((name.upper(), "D", getattr(astrometry, name)) for name in "abcdef"),
        *((f"D{axis}{order}", "D", 0.0) for axis in ("ROW", "COL") for order in range(4)),
        *((name, "D", 0.0) for name in ("CSROW", "CSCOL", "CCROW", "CCCOL")),
        ("RICUT", "D", 100.0),
        ("MJD", "D", np.nan),
        ("AIRMASS", "D", np.nan),
        ("MUERR", "E", 0.0),
        ("NUERR", "E", 0.0),
    ]
    return fits.BinTableHDU.from_columns(
        [fits.Column(name, form, array=np.array([value])) for name, form, value in values]
    )
