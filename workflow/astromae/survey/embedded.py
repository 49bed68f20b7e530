"""The embedded survey, an entry of `SURVEYS`: real galaxies drawn as simulated frames."""

import itertools
import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.survey.archive import strip_folder
from astromae.survey.entry import RULES, Counts, Job, Survey

#: Folder below which the frames are drawn, in the archive's layout.
ARCHIVE = "results/survey"


class EmbeddedSettings(BaseModel):
    """The embedded survey, real galaxies drawn as simulated frames."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    galaxies: int = Field(10000, ge=1, le=10000, description="How many of the sample's 10,000 galaxies to draw.")
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Seed of positions, morphologies and pixel noise.")
    release: int = Field(17, ge=9, le=18, description="Data release whose archive layout the frames are written in.")
    runs: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [9001, 9002],
        min_length=1,
        description="Imaging runs to simulate; an object identifier has 16 bits for the run.",
    )
    camcols: list[Annotated[int, Field(ge=1, le=6)]] = Field(
        [1, 2, 3, 4, 5, 6], min_length=1, description="Camera columns to simulate."
    )
    galaxies_per_field: int = Field(
        210,
        ge=1,
        le=728,
        description="Galaxies drawn on one frame of 2048 x 1489 px; more would lie on top of one another.",
    )
    populated: bool = Field(
        True, description="Whether foreground stars, background galaxies and spiral arms are drawn."
    )
    real_stamps: str | None = Field(
        None, min_length=1, description="Folder of real stamps that a figure shows beside the simulated ones."
    )

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Runs and camera columns: chunk k of the catalogue is the k-th of them."""
        return list(itertools.product(self.runs, self.camcols))

    @property
    def drawn(self) -> dict[str, object]:
        """What decides the frames, without what is only shown beside them."""
        return self.model_dump(exclude={"real_stamps"})


def frames_folder(section: EmbeddedSettings, run: int | str, camcol: int | str) -> str:
    """Return the folder of one run's and camera column's frames."""
    return f"{ARCHIVE}/{strip_folder(section.release, run, camcol)}"


def _catalog(section: EmbeddedSettings) -> Job:
    return Job("catalog", {"settings": section.drawn}, minutes=10, memory_mb=2000)


def _cut(section: EmbeddedSettings, stamps: StampFormat) -> Job:
    return Job(
        "cut",
        {"release": section.release, "size": stamps.size},
        untracked={"archive": ARCHIVE},
        inputs={"frames": lambda chunk: frames_folder(section, *section.strips[chunk])},
        threads=True,
        minutes=None,
        memory_mb=1500,
    )


def _expected(section: EmbeddedSettings) -> Counts:
    fields = math.ceil(section.galaxies / section.galaxies_per_field)
    return Counts(section.galaxies, fields, "embedded.galaxies of the configuration")


SURVEY = Survey(
    settings=EmbeddedSettings,
    title="an embedded survey",
    simulated=True,
    stamps=lambda section, size: StampFormat(BANDS, PIXEL_SCALE_ARCSEC, size or STAMP_SIZE),
    catalog=_catalog,
    cut=_cut,
    chunks=lambda section: len(section.strips),
    expected=_expected,
    frames=lambda section: ARCHIVE,
    rules=RULES / "frames.smk",
)
