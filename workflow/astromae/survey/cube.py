"""A cube of stamps on disk, an entry of `SURVEYS`: a published one, or a person's own."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.settings.base import SomeOf, Text, setting
from astromae.survey.entry import MOST_CHUNKS, Counts, Job, Survey
from astromae.typed import Typed

#: Stamps of the published cube (Pasquet et al. 2019), which plans reckon with.
PUBLISHED = 659_857


class CubeSettings(Typed):
    """A published cube of stamps on disk, or one of your own."""

    path: Text = setting("The cube's file, .npz or HDF5.", "data/sdss.npz")
    chunks: int = setting("Shards that the cube is streamed into.", 64, ge=1, le=MOST_CHUNKS)
    bands: SomeOf[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]] | None = setting(
        "Names of the cube's bands, in their order; null where it says them or has SDSS's.", None
    )
    pixel_scale_arcsec: float | None = setting(
        "Side of one of the cube's pixels on the sky; null where it says it or has SDSS's.", None, unit="arcsec", gt=0
    )


def _described(section: CubeSettings) -> dict[str, Any]:
    return section.model_dump(mode="json", include={"path", "bands"}, exclude_none=True)


def _stamps(section: CubeSettings, size: int | None) -> StampFormat:
    """Return the format of the stamps: as the cube says it, or as it is configured where there is no cube yet."""
    if not Path(section.path).is_file():
        scale = section.pixel_scale_arcsec or PIXEL_SCALE_ARCSEC
        return StampFormat(tuple(section.bands or BANDS), scale, size or STAMP_SIZE)
    from astromae.survey.cube_file import open_cube

    return open_cube(section.path, section.bands).format(section.pixel_scale_arcsec, size)


def _catalog(section: CubeSettings) -> Job:
    # The cube is a parameter, not an input: a plan needs no data, and the step says which file it wants and where it
    # is published.
    return Job("cube-catalog", {**_described(section), "chunks": section.chunks})


def _cut(section: CubeSettings, stamps: StampFormat) -> Job:
    settings = {"pixel_scale_arcsec": stamps.pixel_scale_arcsec, "size": stamps.size}
    return Job("cube-shard", {**_described(section), **settings}, minutes=120, memory_mb=2000)


SURVEY = Survey(
    settings=CubeSettings,
    title="a cube of stamps",
    simulated=False,
    stamps=_stamps,
    catalog=_catalog,
    cut=_cut,
    chunks=lambda section: section.chunks,
    expected=lambda section: Counts(PUBLISHED, 0, "the published cube"),
    addresses=lambda section: [section.path],
)
