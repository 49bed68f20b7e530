"""A cube of stamps on disk, an entry of `SURVEYS`: a published one, or a person's own."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.survey.entry import Counts, Job, Survey

#: Stamps of the published cube (Pasquet et al. 2019), which plans reckon with.
PUBLISHED = 659_857


class CubeSettings(BaseModel):
    """A published cube of stamps on disk, or one of your own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field("data/sdss.npz", min_length=1, description="The cube's .npz file.")
    chunks: int = Field(64, ge=1, le=9999, description="Shards that the cube is streamed into.")
    bands: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]] = Field(
        list(BANDS), min_length=1, description="Names of the cube's bands, in their order."
    )
    pixel_scale_arcsec: float = Field(
        PIXEL_SCALE_ARCSEC,
        gt=0,
        description="Side of one of the cube's pixels on the sky.",
        json_schema_extra={"unit": "arcsec"},
    )


def _described(section: CubeSettings) -> dict[str, object]:
    return section.model_dump(include={"path", "bands"})


def _catalog(section: CubeSettings) -> Job:
    # The cube is a parameter, not an input: a plan needs no data, and the step says which file it wants and where it
    # is published.
    return Job("cube-catalog", {**_described(section), "chunks": section.chunks})


def _cut(section: CubeSettings, stamps: StampFormat) -> Job:
    settings = {"pixel_scale_arcsec": section.pixel_scale_arcsec, "size": stamps.size}
    return Job("cube-shard", {**_described(section), **settings}, minutes=120, memory_mb=2000)


SURVEY = Survey(
    settings=CubeSettings,
    title="a published cube of stamps",
    simulated=False,
    # Of smaller stamps all pixels are kept: the shards say how many.
    stamps=lambda section, size: StampFormat(tuple(section.bands), section.pixel_scale_arcsec, size or STAMP_SIZE),
    catalog=_catalog,
    cut=_cut,
    chunks=lambda section: section.chunks,
    expected=lambda section: Counts(PUBLISHED, 0, "the published cube"),
    addresses=lambda section: [section.path],
)
