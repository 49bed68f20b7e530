"""The layout of the SDSS Science Archive: where a corrected frame lies."""

from astromae.constants import BANDS
from astromae.errors import InputError

#: The photometric reprocessing that every release since DR8 publishes.
RERUN = 301


def imaging_folder(release: int) -> str:
    """Return the folder below ``dr{release}`` that holds a data release's imaging.

    Parameters
    ----------
    release
        Number of the data release, 9 to 18. Releases before DR9 are refused: DR8's astrometry is off by
        about 250 mas at high declination (corrected in DR9).

    Raises
    ------
    InputError
        If the archive has no frames under a layout known for `release`.
    """
    if 9 <= release <= 12:
        return "boss"
    if 13 <= release <= 17:
        return "eboss"
    if release == 18:
        return "prior-surveys/sdss4-dr17-eboss"
    raise InputError(f"release: {release} has no known layout of frames; use a data release from 9 to 18")


def strip_folder(release: int, run: int, camcol: int) -> str:
    """Return the folder of one run's and camera column's frames, relative to the archive's root."""
    return f"dr{release}/{imaging_folder(release)}/photoObj/frames/{RERUN}/{run}/{camcol}"


def frame_name(run: int, camcol: int, field: int, band: str) -> str:
    """Return the file name of one field's frame in one band."""
    if band not in BANDS:
        raise InputError(f"band: {band!r} is not a band of SDSS; use one of {', '.join(BANDS)}")
    return f"frame-{band}-{run:06d}-{camcol}-{field:04d}.fits.bz2"


def frame_address(archive: str, release: int, run: int, camcol: int, field: int, band: str) -> str:
    """Return the address of a frame.

    Parameters
    ----------
    archive
        Root of the archive or of a mirror of it: a folder, a ``file://`` address or
        ``https://data.sdss.org/sas``; it holds ``dr{release}``.
    release, run, camcol, field, band
        Which frame.

    Returns
    -------
    str
        `archive` followed by the frame's place in it: a path if `archive` is a folder, else a URL.

    Raises
    ------
    InputError
        If the release has no known layout, or the band is none of SDSS's.
    """
    root = str(archive).rstrip("/")
    return f"{root}/{strip_folder(release, run, camcol)}/{frame_name(run, camcol, field, band)}"
