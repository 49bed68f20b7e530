"""The real survey, an entry of `SURVEYS`: catalogue from SkyServer, frames from the archive."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.survey.entry import RULES, Counts, Job, Survey

#: Catalogue of a run, and SkyServer's counts of the configured selection, which `make plan` asks for.
CATALOG, COUNTED = Path("results/catalog/galaxies.parquet"), Path("results/catalog/counts.json")

#: Whole numbers stay whole, as they stand in the queries.
Number = int | float

Interval = Annotated[list[Number], Field(min_length=2, max_length=2)]


class Cuts(BaseModel):
    """Cuts that replace the selection's own; null lifts one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    z_min: Number | None = Field(None, description="Least spectroscopic redshift.")
    z_max: Number | None = Field(None, description="Largest spectroscopic redshift.")
    petro_r_max: Number | None = Field(
        None, description="Faintest dereddened r Petrosian magnitude.", json_schema_extra={"unit": "mag"}
    )
    ra: Interval | None = Field(None, description="Range of right ascension.", json_schema_extra={"unit": "deg"})
    dec: Interval | None = Field(None, description="Range of declination.", json_schema_extra={"unit": "deg"})


class Expected(BaseModel):
    """The selection's size that plans reckon with until SkyServer has counted it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    galaxies: int = Field(547199, ge=1, description="Galaxies of the selection.")
    fields: int = Field(230000, ge=1, description="Fields that they lie on.")


class DownloadSettings(BaseModel):
    """How frames are fetched from a remote archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: int = Field(8, ge=1, description="Connections open at once over all running jobs.")
    requests_per_second: int = Field(
        10, ge=1, description="Frames asked for over all running jobs.", json_schema_extra={"unit": "1/s"}
    )
    timeout_s: float = Field(
        60, gt=0, description="Silence after which a connection is given up.", json_schema_extra={"unit": "s"}
    )
    tries: int = Field(6, ge=1, description="Tries of a frame that meets a passing fault.")
    backoff_s: float = Field(
        2.0,
        gt=0,
        description="Pause before the second try; doubles from try to try.",
        json_schema_extra={"unit": "s"},
    )


class SdssSettings(BaseModel):
    """The real survey, catalogue from SkyServer and frames from the archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: int = Field(17, ge=12, le=18, description="Data release.")
    selection: Literal["pasquet2019", "spectroscopic"] = Field(
        "pasquet2019", description="Named selection of galaxies."
    )
    cuts: Cuts = Field(Cuts(), description="Cuts that replace the selection's own; null lifts one.")
    expected: Expected = Field(
        Expected(), description="The selection's size that plans reckon with until SkyServer has counted it."
    )
    table: str | None = Field(None, min_length=1, description="Your own list of galaxies instead of the selection.")
    server: str = Field("https://skyserver.sdss.org", min_length=1, description="Address of SkyServer.")
    archive: str = Field(
        "https://data.sdss.org/sas", min_length=1, description="Address or folder of the archive or of a mirror."
    )
    partitions: int = Field(72, ge=1, description="Ranges of right ascension, each its own query, job and file.")
    chunks: int = Field(1000, ge=1, le=9999, description="Stamps jobs that the fields are dealt to, at most.")
    queries_per_minute: float = Field(
        60, gt=0, le=60, description="Queries to SkyServer over all running jobs.", json_schema_extra={"unit": "1/min"}
    )
    timeout_s: float = Field(
        660, gt=0, description="Silence after which a query is given up.", json_schema_extra={"unit": "s"}
    )
    tries: int = Field(8, ge=1, description="Tries of a query that meets a passing fault.")
    backoff_s: float = Field(
        2.0,
        gt=0,
        description="Pause before the second try; doubles from try to try.",
        json_schema_extra={"unit": "s"},
    )
    download: DownloadSettings = Field(DownloadSettings(), description="How frames are fetched from a remote archive.")

    @property
    def sample(self) -> dict[str, Any]:
        """What decides the galaxies."""
        cuts = self.cuts.model_dump(exclude_unset=True)
        return {**self.model_dump(include={"server", "release", "selection"}), "cuts": cuts}

    @property
    def pace(self) -> dict[str, Any]:
        """How politely SkyServer is asked for them."""
        return self.model_dump(include={"queries_per_minute", "timeout_s", "tries", "backoff_s"})


def partition_file(number: int | str) -> str:
    """Return the file of one partition of the selection."""
    return f"results/catalog/partitions/{number}.parquet"


def _catalog(section: SdssSettings) -> Job:
    if section.table is not None:
        return Job(
            "user-catalog",
            {**section.model_dump(include={"server", "release"}), "chunks": _chunks(section)},
            untracked={"pace": section.pace},
            files={"table": section.table},
            minutes=240,
        )
    return Job(
        "sdss-merge",
        {"chunks": section.chunks},
        inputs={"partitions": [partition_file(number) for number in range(section.partitions)]},
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
)
