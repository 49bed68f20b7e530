"""The real survey, an entry of `SURVEYS`: catalogue from SkyServer, frames from the archive."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.settings.base import Count, Pair, Text, problem, setting, wrong
from astromae.survey.entry import MOST_CHUNKS, RULES, Counts, Job, Survey
from astromae.survey.selections import cuts_of
from astromae.typed import Typed

#: Catalogue of a run, and SkyServer's counts of the configured selection, which `make plan` asks for.
CATALOG, COUNTED = Path("results/catalog/galaxies.parquet"), Path("results/catalog/counts.json")


class Cuts(Typed):
    """Cuts that replace the selection's own; null lifts one."""

    z_min: float | None = setting("Least spectroscopic redshift.", None)
    z_max: float | None = setting("Largest spectroscopic redshift.", None)
    petro_r_max: float | None = setting("Faintest dereddened r Petrosian magnitude.", None, unit="mag")
    ra: Pair[float] | None = setting("Range of right ascension.", None, unit="deg")
    dec: Pair[float] | None = setting("Range of declination.", None, unit="deg")


class Expected(Typed):
    """The selection's size that plans reckon with until SkyServer has counted it."""

    galaxies: Count = setting("Galaxies of the selection.", 547199)
    fields: Count = setting("Fields that they lie on.", 230000)


class DownloadSettings(Typed):
    """How frames are fetched from a remote archive."""

    connections: Count = setting("Connections open at once over all running jobs.", 8)
    requests_per_second: Count = setting("Frames asked for over all running jobs.", 10, unit="1/s")
    timeout_s: float = setting("Silence after which a connection is given up.", 60, unit="s", gt=0)
    tries: Count = setting("Tries of a frame that meets a passing fault.", 6)
    backoff_s: float = setting("Pause before the second try; doubles from try to try.", 2.0, unit="s", gt=0)


class SdssSettings(Typed):
    """The real survey, catalogue from SkyServer and frames from the archive."""

    release: int = setting("Data release.", 17, ge=12, le=18)
    selection: Literal["pasquet2019", "spectroscopic"] = setting("Named selection of galaxies.", "pasquet2019")
    cuts: Cuts = setting("Cuts that replace the selection's own; null lifts one.", Cuts())
    expected: Expected = setting(
        "The selection's size that plans reckon with until SkyServer has counted it.", Expected()
    )
    table: Text | None = setting("Your own list of galaxies instead of the selection.", None)
    galaxy_zoo: Text | None = setting(
        "Table of Galaxy Zoo 2 (gz2_hart16.csv) whose votes on shapes the task morphology learns.", None
    )
    server: Text = setting("Address of SkyServer.", "https://skyserver.sdss.org")
    archive: Text = setting("Address or folder of the archive or of a mirror.", "https://data.sdss.org/sas")
    partitions: Count = setting("Ranges of right ascension, each its own query, job and file.", 72)
    chunks: int = setting("Stamps jobs that the fields are dealt to, at most.", 1000, ge=1, le=MOST_CHUNKS)
    queries_per_minute: float = setting("Queries to SkyServer over all running jobs.", 60, unit="1/min", gt=0, le=60)
    timeout_s: float = setting("Silence after which a query is given up.", 660, unit="s", gt=0)
    tries: Count = setting("Tries of a query that meets a passing fault.", 8)
    backoff_s: float = setting("Pause before the second try; doubles from try to try.", 2.0, unit="s", gt=0)
    download: DownloadSettings = setting("How frames are fetched from a remote archive.", DownloadSettings())

    @model_validator(mode="after")
    def _check(self) -> "SdssSettings":
        """Check what is asked of SkyServer, and where it is."""
        try:
            cuts_of(self.selection, self.cuts.model_dump(mode="json", exclude_unset=True))
        except InputError as error:
            raise problem(str(error)) from None
        if not re.match(r"https?://[^\s/]", self.server):
            raise wrong("server", self.server, "an address that begins with https:// or http://")
        for key in ("table", "galaxy_zoo"):
            path = getattr(self, key)
            if path is not None and re.search(r"[{}]", path):
                raise wrong(key, path, "a path without braces, which Snakemake takes for wildcards")
        return self

    @property
    def sample(self) -> dict[str, Any]:
        """What decides the galaxies."""
        cuts = self.cuts.model_dump(mode="json", exclude_unset=True)
        return {**self.model_dump(include={"server", "release", "selection"}), "cuts": cuts}

    @property
    def pace(self) -> dict[str, Any]:
        """How politely SkyServer is asked for them."""
        return self.model_dump(include={"queries_per_minute", "timeout_s", "tries", "backoff_s"})


def partition_file(number: int | str) -> str:
    """Return the file of one partition of the selection."""
    return f"results/catalog/partitions/{number}.parquet"


def _catalog(section: SdssSettings) -> Job:
    votes = {} if section.galaxy_zoo is None else {"galaxy_zoo": section.galaxy_zoo}
    if section.table is not None:
        return Job(
            "user-catalog",
            {**section.model_dump(include={"server", "release"}), "chunks": _chunks(section)},
            untracked={"pace": section.pace},
            files={"table": section.table, **votes},
            minutes=240,
        )
    return Job(
        "sdss-merge",
        {"chunks": section.chunks},
        inputs={"partitions": [partition_file(number) for number in range(section.partitions)]},
        files=votes,
        outputs={"sql": "results/catalog/galaxies.sql"},
        minutes=30,
    )


def _cut(section: SdssSettings, stamps: StampFormat) -> Job:
    return Job(
        "cut",
        {"release": section.release, "size": stamps.size},
        untracked={"archive": section.archive, "download": section.download.model_dump()},
        threads=True,
        minutes=None,
        memory_mb=1500,
    )


def _chunks(section: SdssSettings) -> int:
    """Return the number of chunks: a list has no more than fields."""
    if section.table is None:
        return section.chunks
    return min(section.chunks, _listed(section.table).fields)


@functools.cache
def _listed(table: str) -> Counts:
    """Return the size of a list, which is read once for all that is asked of it."""
    from astromae.survey.counts import listed_counts

    return listed_counts(Path(table))


@functools.cache
def _voted(table: str) -> Sequence[str]:
    """Return the questions that a table of votes has, which is opened once."""
    from astromae.survey.galaxy_zoo import answered_questions

    try:
        return answered_questions(Path(table))
    except InputError as error:
        raise InputError(f"sdss.galaxy_zoo: {error}") from error


def _votes(section: SdssSettings) -> Sequence[str]:
    return () if section.galaxy_zoo is None else _voted(section.galaxy_zoo)


def _expected(section: SdssSettings) -> Counts:
    """Return the counts of the list, of the catalogue, or SkyServer's, else what the configuration expects."""
    from astromae.survey.counts import expected_counts, known_counts
    from astromae.survey.sdss_catalog import Sample

    if section.table is not None:
        return _listed(section.table)
    return known_counts(Sample(**section.sample), CATALOG, COUNTED) or expected_counts(section.expected.model_dump())


def _downloads(section: SdssSettings, stamps: StampFormat) -> Job:
    settings = section.model_dump(mode="json", exclude_unset=True)
    sizes = {"stamp_bytes": stamps.stamp_bytes}
    return Job("downloads", {"settings": settings, "catalog": str(CATALOG), "counted": str(COUNTED), **sizes})


def _check(section: SdssSettings) -> None:
    from astromae.survey.archive import check_archive

    check_archive(section.archive, section.release)
    _votes(section)


SURVEY = Survey(
    settings=SdssSettings,
    title="the Sloan Digital Sky Survey",
    simulated=False,
    stamps=lambda section, size: StampFormat(BANDS, PIXEL_SCALE_ARCSEC, size or STAMP_SIZE),
    catalog=_catalog,
    cut=_cut,
    chunks=_chunks,
    expected=_expected,
    frames=lambda section: section.archive,
    addresses=lambda section: [section.server, section.archive],
    check=_check,
    downloads=_downloads,
    rules=RULES / "partitions.smk",
    votes=_votes,
)
