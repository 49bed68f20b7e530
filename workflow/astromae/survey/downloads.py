"""What a run of the real survey will download, estimated before it starts."""

from pathlib import Path

from astromae.constants import BANDS
from astromae.survey.address import is_remote
from astromae.survey.counts import find_counts, listed_counts
from astromae.survey.entry import Counts
from astromae.survey.sdss import SdssSettings
from astromae.survey.sdss_catalog import Pace, Sample

#: Mean size of a frame's file, MB: of 15 frames of the archive, three fields in five bands, 2.9 to 3.7 MB.
FRAME_MB = 3.25

#: What is read of a frame for one galaxy somewhere on it: `bytes_fraction` of `astromae bench stamps`.
ONE_GALAXY_FRACTION = 0.58

#: MB of a frame's file that a core decodes in a second (x86-64).
DECODED_MB_S = 10.0

#: Download speed for which the time is stated besides the archive's limit, MB/s: a line of 80 Mbit/s.
LINE_MB_S = 10.0

#: GB above which the archive asks to be told.
TELL_GB = 1000.0


def bytes_fraction(galaxies_per_field: float) -> float:
    """Return the part of a frame that is read, on average.

    Reading stops after the rows of the last galaxy. Of n galaxies strewn at random the last one leaves 1 / (n + 1)
    of a frame unread, less the margins of its stamp and of bzip2's blocks, which are in `ONE_GALAXY_FRACTION`.
    """
    return 1 - (1 - ONE_GALAXY_FRACTION) * 2 / (1 + max(galaxies_per_field, 1.0))


def print_downloads(settings: SdssSettings, stamp_bytes: int, catalog: Path, counted: Path) -> None:
    """Print the estimate of `downloads`."""
    print(downloads(settings, stamp_bytes, catalog, counted))


def downloads(settings: SdssSettings, stamp_bytes: int, catalog: Path, counted: Path) -> str:
    """Estimate what a run of the configured sample downloads, after asking SkyServer how large it is.

    SkyServer is asked only if the counts are not known yet.

    Parameters
    ----------
    settings
        The configuration's section `sdss`.
    stamp_bytes
        Bytes that are kept of a galaxy.
    catalog, counted
        Catalogue of the run and the file of its counts, whether or not they exist.

    Raises
    ------
    InputError
        If the list of galaxies cannot be read, or the selection or a cut is unknown.
    """
    unanswered = None
    if settings.table is None:
        expected = settings.expected.model_dump()
        sample, pace = Sample(**settings.sample), Pace(**settings.pace)
        counts, unanswered = find_counts(sample, pace, expected, catalog, counted)
    else:
        counts = listed_counts(Path(settings.table))
    lines = [f"SkyServer gave no counts: {unanswered}"] if unanswered else []
    return "\n".join([*lines, *_lines(counts, settings, stamp_bytes)])


def _lines(counts: Counts, settings: SdssSettings, stamp_bytes: int) -> list[str]:
    """Return the lines of the report."""
    frames = counts.fields * len(BANDS)
    fraction = bytes_fraction(counts.galaxies / counts.fields) if counts.fields else 0.0
    read_gb = frames * FRAME_MB * fraction / 1e3
    kept_gb = counts.galaxies * stamp_bytes / 1e9
    remote, rate = is_remote(settings.archive), settings.download.requests_per_second
    rows = [
        ("galaxies", f"{counts.galaxies:,}", f"on {counts.fields:,} fields, by {counts.source}"),
        ("frames", f"{frames:,}", f"of {len(BANDS)} bands, {frames * FRAME_MB / 1e3:,.1f} GB if read whole"),
        ("to download" if remote else "to read", f"{read_gb:,.1f} GB", f"{fraction:.2f} of them, to the last galaxy"),
    ]
    if settings.table is None:
        queries = 2 * settings.partitions
        per_minute = settings.queries_per_minute
        rows.append(
            ("queries", f"{queries:,}", f"to SkyServer, {queries / per_minute:,.1f} min at {per_minute:g} a minute")
        )
    if remote:
        limit_min = frames / rate / 60
        rows += [
            ("requests", f"{frames:,}", f"to the archive, {limit_min:,.0f} min at {rate} a second"),
            (
                "download",
                f"{max(limit_min, read_gb * 1e3 / LINE_MB_S / 60):,.0f} min",
                f"on a line of {LINE_MB_S:g} MB/s; the limit allows {read_gb * 1e3 / limit_min / 60:,.0f} MB/s"
                if frames
                else "",
            ),
        ]
    rows += [
        ("decoding", f"{read_gb * 1e3 / DECODED_MB_S / 3600:,.1f} h", "of one core"),
        ("disk", f"{kept_gb:,.1f} GB", "of stamps are kept, and no frame"),
    ]
    lines = [f"{name:<14}{value:>12}   {words}" for name, value, words in rows]
    if remote and read_gb > TELL_GB:
        lines.append("Above 1 TB the archive asks to be told: write to the SDSS help desk before you start.")
    return lines
