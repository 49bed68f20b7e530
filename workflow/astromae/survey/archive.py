"""The layout of the SDSS Science Archive: where a corrected frame lies, and how it is numbered."""

import itertools
import json

from astromae.constants import BANDS
from astromae.errors import InputError
from astromae.survey.address import is_remote, local_path

#: The photometric reprocessing that every release since DR8 publishes.
RERUN = 301

#: The header's keyword FRAME, less the field. A field drifts over the filters r, i, u, z, g, whose frames are counted
#: as they are read out, two of them from filter to filter; measured on 67 frames of 15 fields of the archive.
FRAME_MINUS_FIELD = {"r": 0, "i": 2, "u": 4, "z": 6, "g": 8}

#: How the files of frames end: as the archive has them, and as mirrors do that compressed them otherwise or not at all.
FRAME_SUFFIXES = (".fits.bz2", ".fits.gz", ".fits")


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


def frames_folder(release: int) -> str:
    """Return the folder of all runs' frames, relative to the archive's root."""
    return f"dr{release}/{imaging_folder(release)}/photoObj/frames/{RERUN}"


def strip_folder(release: int, run: int, camcol: int) -> str:
    """Return the folder of one run's and camera column's frames, relative to the archive's root."""
    return f"{frames_folder(release)}/{run}/{camcol}"


def frame_number(field: int, band: str) -> int:
    """Return what the header of a field's frame in one band says as FRAME: the frame's number within its own CCD."""
    return field + FRAME_MINUS_FIELD[band]


def frame_name(run: int, camcol: int, field: int, band: str) -> str:
    """Return the file name of one field's frame in one band, as the archive has it."""
    if band not in BANDS:
        raise InputError(f"band: {band!r} is not a band of SDSS; use one of {', '.join(BANDS)}")
    return f"frame-{band}-{run:06d}-{camcol}-{field:04d}{FRAME_SUFFIXES[0]}"


def frame_address(archive: str, release: int, run: int, camcol: int, field: int, band: str) -> str:
    """Return the address of a frame.

    Parameters
    ----------
    archive
        Root of the archive or of a mirror of it: a folder, a ``file://`` address or ``https://data.sdss.org/sas``; it
        holds ``dr{release}``. Any folder on the way from there to the runs will do as well, such as ``dr{release}``
        itself.
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
    return f"{_runs_of(archive, release)}/{run}/{camcol}/{frame_name(run, camcol, field, band)}"


def check_archive(archive: str, release: int) -> None:
    """Check that a folder holds frames in the archive's layout; an address on the network is not looked at.

    Parameters
    ----------
    archive
        The configuration's `sdss.archive`.
    release
        Data release.

    Raises
    ------
    InputError
        If the folder does not exist or holds no frame where frames should lie: one line that says what was found, and
        what would be right.
    """
    if is_remote(archive):
        return
    root, right = local_path(archive), f"{frames_folder(release)}/{{run}}/{{camcol}}/frame-*{FRAME_SUFFIXES[0]}"
    right = f"a folder that holds {right} (or .fits.gz, .fits), or an https:// address"
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise InputError(f"configuration: sdss.archive is {json.dumps(str(archive))}, which {what}; allowed: {right}")
    runs = local_path(_runs_of(archive, release))
    # The first frame suffices: a mirror has a million.
    if any(path.name.endswith(FRAME_SUFFIXES) for path in runs.glob("*/*/frame-?-*.fits*")):
        return
    names = sorted(itertools.islice((path.name for path in root.iterdir()), 1000))
    found = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing"
    raise InputError(
        f"configuration: sdss.archive is {json.dumps(str(archive))}, which holds {found}, but no frame below "
        f"{runs}/{{run}}/{{camcol}}; allowed while sdss.release is {release}: {right}"
    )


def _runs_of(archive: str, release: int) -> str:
    """Return the folder or address of an archive's runs, wherever on the way there `archive` points."""
    root, parts = str(archive).rstrip("/"), frames_folder(release).split("/")
    within = f"{root}/{'/'.join(parts)}"
    if not is_remote(root) and local_path(within).is_dir():
        return within
    for known in range(len(parts), 0, -1):
        if root.endswith("/" + "/".join(parts[:known])):
            return "/".join([root, *parts[known:]])
    return within
