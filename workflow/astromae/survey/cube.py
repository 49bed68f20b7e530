"""A cube of stamps on disk, an entry of `SURVEYS`: a published one, or a person's own."""

from typing import Annotated

from pydantic import Field

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.settings.base import SomeOf, Text, setting
from astromae.survey.entry import Counts, Job, Survey
from astromae.typed import Typed

#: Stamps of the published cube (Pasquet et al. 2019), which plans reckon with.
PUBLISHED = 659_857


class CubeSettings(Typed):
    """A published cube of stamps on disk, or one of your own."""

    path: Text = setting("The cube's .npz file.", "data/sdss.npz")
    chunks: int = setting("Shards that the cube is streamed into.", 64, ge=1, le=9999)
    bands: SomeOf[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]] = setting(
        "Names of the cube's bands, in their order.", BANDS
    )
    pixel_scale_arcsec: float = setting(
        "Side of one of the cube's pixels on the sky.", PIXEL_SCALE_ARCSEC, unit="arcsec", gt=0
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
    stamps=lambda section, size: StampFormat(section.bands, section.pixel_scale_arcsec, size or STAMP_SIZE),
    catalog=_catalog,
    cut=_cut,
    chunks=lambda section: section.chunks,
    expected=lambda section: Counts(PUBLISHED, 0, "the published cube"),
    addresses=lambda section: [section.path],
)
