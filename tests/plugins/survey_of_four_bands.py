"""A survey of four bands, smaller pixels and smaller stamps, whose galaxies and stamps two functions make."""

from pathlib import Path

import numpy as np
import pandas as pd
from astromae.contracts.catalog import read_catalog, write_catalog
from astromae.contracts.stamp_format import StampFormat
from astromae.seeds import generator
from astromae.settings.base import Count, Seed, setting
from astromae.stamps.chunk_writer import ChunkWriter
from astromae.steps import STEPS
from astromae.survey import SURVEYS
from astromae.survey.entry import Counts, Job, Survey
from astromae.typed import Typed

STAMPS = StampFormat(bands=("g", "r", "i", "z"), pixel_scale_arcsec=0.2, size=48)


class FourBands(Typed):
    """Galaxies of four bands."""

    galaxies: Count = setting("How many to make.", 300)
    chunks: Count = setting("Shards that they are dealt to.", 3)
    seed: Seed = setting("Seed of the galaxies and of the noise.", 1)


def write_galaxies(galaxies: int, chunks: int, seed: int, output: Path) -> None:
    """Make galaxies that are redder and fainter the further they are."""
    random = generator(seed, "galaxies")
    z = random.uniform(0.02, 0.3, galaxies)
    table = pd.DataFrame({"objid": np.arange(galaxies) + 1, "z": z, "chunk": np.arange(galaxies) * chunks // galaxies})
    table["ra"], table["dec"] = random.uniform(0, 360, galaxies), random.uniform(-60, 60, galaxies)
    for index, band in enumerate(STAMPS.bands):
        table[f"mag_{band}"] = 17 + 2 * z + (3 - index) * z + random.normal(0, 0.05, galaxies)
    write_catalog(output, table, STAMPS.bands, {"survey": "four_bands", "selection": f"{galaxies} made galaxies"})


def write_stamps(catalog: Path, chunk: int, seed: int, output: Path, missing: Path) -> None:
    """Draw a chunk's galaxies, round and in the middle; of the first of each chunk there is no stamp."""
    galaxies = read_catalog(catalog, ["objid", *(f"mag_{band}" for band in STAMPS.bands)], chunk)
    objid, magnitudes = galaxies["objid"].to_numpy(), galaxies.drop(columns="objid").to_numpy()
    rows = np.arange(len(objid))
    radius = np.hypot(*np.mgrid[-23.5:24, -23.5:24])
    profile = np.exp(-radius / 4) / np.exp(-radius / 4).sum()
    flux = 10 ** (0.4 * (22.5 - magnitudes))
    noise = generator(seed, "noise", chunk).normal(0, 0.02, (len(rows), *STAMPS.shape))
    with ChunkWriter(objid, STAMPS, output.parent) as writer:
        writer.add(rows, flux[:, :, None, None] * profile + noise, np.where(rows == 0, "no image", ""))
        writer.write(output, missing, "four_bands", "none")


STEPS.register("four-bands-catalog", write_galaxies)
STEPS.register("four-bands-stamps", write_stamps)
SURVEYS.register(
    "four_bands",
    Survey(
        settings=FourBands,
        title="a survey of four bands",
        simulated=True,
        stamps=lambda section, size: STAMPS,
        catalog=lambda section: Job("four-bands-catalog", section.model_dump()),
        cut=lambda section, stamps: Job("four-bands-stamps", {"seed": section.seed}),
        chunks=lambda section: section.chunks,
        expected=lambda section: Counts(section.galaxies, 0, "four_bands.galaxies of the configuration"),
    ),
)
