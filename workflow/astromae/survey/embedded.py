"""The embedded survey, an entry of `SURVEYS`: real galaxies drawn as simulated frames."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from pydantic import Field, model_validator

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.settings.base import HERE, Seed, SomeOf, Text, problem, setting, wrong
from astromae.survey.archive import strip_folder
from astromae.survey.entry import MOST_CHUNKS, RULES, Counts, Job, Survey
from astromae.survey.simulation import Simulation
from astromae.typed import Typed

#: Folder below which the frames are drawn, in the archive's layout.
ARCHIVE = "results/survey"


# Bits of an object identifier: fields of a strip are numbered from 11 and stay below 2^12.
_MOST_FIELDS = 2**12 - 11


class EmbeddedSettings(Typed):
    """The embedded survey, real galaxies drawn as simulated frames."""

    galaxies: int = setting("How many of the sample's 10,000 galaxies to draw.", 10000, ge=1, le=10000)
    seed: Seed = setting("Seed of positions, morphologies and pixel noise.", 42)
    release: int = setting("Data release whose archive layout the frames are written in.", 17, ge=9, le=18)
    runs: SomeOf[Annotated[int, Field(ge=1, le=65535)]] = setting(
        "Imaging runs to simulate; an object identifier has 16 bits for the run.", (9001, 9002)
    )
    camcols: SomeOf[Annotated[int, Field(ge=1, le=6)]] = setting("Camera columns to simulate.", (1, 2, 3, 4, 5, 6))
    galaxies_per_field: int = setting(
        "Galaxies drawn on one frame of 2048 x 1489 px; more would lie on top of one another.", 210, ge=1, le=728
    )
    populated: bool = setting("Whether foreground stars, background galaxies and spiral arms are drawn.", True)
    real_stamps: Text | None = setting("Folder of real stamps that a figure shows beside the simulated ones.", None)

    @model_validator(mode="after")
    def _check(self) -> "EmbeddedSettings":
        """Check that the galaxies can be dealt to fields."""
        strips = len(self.simulation.strips)
        most = min(self.galaxies, MOST_CHUNKS)
        if strips > most:
            raise problem(
                f"{HERE}runs times {HERE}camcols are {strips} strips; allowed: at most {most}, so that each has a "
                f"galaxy ({HERE}galaxies) and a command can name all shards"
            )
        fields = math.ceil(self.galaxies / self.galaxies_per_field / strips)
        if fields > _MOST_FIELDS:
            least = math.ceil(self.galaxies / strips / _MOST_FIELDS)
            allowed = f"at least {least}, so that a strip's {fields} fields become at most {_MOST_FIELDS}"
            raise wrong("galaxies_per_field", self.galaxies_per_field, allowed)
        return self

    @property
    def simulation(self) -> Simulation:
        """What decides the frames, without what is only shown beside them."""
        return Simulation(**self.model_dump(mode="json", exclude={"real_stamps"}))


def frames_folder(section: EmbeddedSettings, run: int | str, camcol: int | str) -> str:
    """Return the folder of one run's and camera column's frames."""
    return f"{ARCHIVE}/{strip_folder(section.release, run, camcol)}"


def _catalog(section: EmbeddedSettings) -> Job:
    return Job("catalog", {"settings": asdict(section.simulation)}, minutes=10, memory_mb=2000)


def _cut(section: EmbeddedSettings, stamps: StampFormat) -> Job:
    return Job(
        "cut",
        {"release": section.release, "size": stamps.size},
        untracked={"archive": ARCHIVE},
        inputs={"frames": lambda chunk: frames_folder(section, *section.simulation.strips[chunk])},
        threads=True,
        minutes=None,
        memory_mb=1500,
    )


def _expected(section: EmbeddedSettings) -> Counts:
    fields = math.ceil(section.galaxies / section.galaxies_per_field)
    return Counts(section.galaxies, fields, "embedded.galaxies of the configuration")


def _votes(section: EmbeddedSettings) -> Sequence[str]:
    from astromae.survey.drawn_votes import ANSWERED

    return ANSWERED


SURVEY = Survey(
    settings=EmbeddedSettings,
    title="an embedded survey",
    simulated=True,
    stamps=lambda section, size: StampFormat(BANDS, PIXEL_SCALE_ARCSEC, size or STAMP_SIZE),
    catalog=_catalog,
    cut=_cut,
    chunks=lambda section: len(section.simulation.strips),
    expected=_expected,
    frames=lambda section: ARCHIVE,
    rules=RULES / "frames.smk",
    votes=_votes,
)
