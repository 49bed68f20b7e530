"""The embedded survey's catalogue: real SDSS galaxies, dealt to simulated fields."""

import importlib.metadata
import importlib.util
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from astromae.constants import BANDS, FRAME_COLUMNS, FRAME_ROWS
from astromae.contracts.catalog import extinction_columns, magnitude_columns, write_catalog
from astromae.errors import InputError
from astromae.photometry import asinh_flux, asinh_magnitude
from astromae.progress import log
from astromae.seeds import generator
from astromae.survey.archive import RERUN
from astromae.survey.arms import arm_fractions
from astromae.survey.drawn_votes import drawn_votes
from astromae.survey.geometry import FIRST_FIELD, field_astrometry
from astromae.survey.morphology import draw_morphology
from astromae.survey.objid import encode_objid
from astromae.survey.simulation import Simulation

#: The sample inside the package kcorrect (Blanton & Roweis 2007, AJ 133, 734).
SAMPLE_PACKAGE, SAMPLE_FILE = "kcorrect", "data/test/gst_tests_small.fits"

#: Distance of the outermost galaxies from the edges of the r frame, pixels. A stamp of 64 pixels reaches up to 48
#: along a frame's axes, turned and with its kernel; in the bands whose grids are offset the most, fewer than
#: one galaxy in a hundred falls off, as happens in the survey.
EDGE_MARGIN = 54

#: Galaxies stand on a grid, each displaced by up to this share of the grid's spacing, so that no two come
#: closer than 1 - 2 * 0.2 of it; and the smallest spacing that keeps neighbours apart, pixels.
JITTER, SMALLEST_SPACING = 0.2, 60

_UNITS = {
    "objid": "SDSS object identifier (sky version 2, rerun 301, simulated run, camera column and field)",
    "ra": "deg, ICRS, simulated position",
    "dec": "deg, ICRS, simulated position",
    "z": "spectroscopic redshift",
    "z_err": "NaN: the sample gives no redshift errors",
    "mag_*": "SDSS asinh magnitude (AB) of MODELFLUX minus the Galactic extinction",
    "extinction_*": "mag, as in SDSS DR12",
    "petro_r": "SDSS asinh magnitude (AB) of PETROFLUX in r minus the Galactic extinction",
    "chunk": "index of (run, camcol) in the order of runs times camcols",
    "source_row": "row of the galaxy in the sample, from 0",
    "source_ra": "deg, real position of the galaxy",
    "source_dec": "deg, real position of the galaxy",
    "absolute_mag_r": "mag, rest frame, H0 = 70 km/s/Mpc",
    "hubble_type": "drawn Hubble type T",
    "half_light_kpc": "kpc, drawn, of circular apertures",
    "half_light_arcsec": "arcsec, the same at the galaxy's redshift",
    "bulge_sersic": "Sersic index of the bulge; discs have 1",
    "bulge_half_light_arcsec": "arcsec, geometric mean of the axes",
    "disc_half_light_arcsec": "arcsec, geometric mean of the axes",
    "bulge_axis_ratio": "minor over major axis",
    "disc_axis_ratio": "minor over major axis",
    "position_angle_deg": "deg of the major axis, north through east",
    "bulge_fraction_*": "bulge's share of the flux",
    "arm_fraction_*": "spiral arms' share of the flux, taken from the disc's; 0 on a bare sky",
    "arm_seed": "seed of the places of the arms' knots",
    "vote_*": "1 for yes and 0 for no, by what is drawn; NaN where an answer before rules the question out",
}


def read_sample() -> pd.DataFrame:
    """Read the real galaxies.

    MODELFLUX is as observed, not corrected for Galactic extinction: regressing the sample's colours at fixed redshift
    and magnitude on the colour excess gives slopes near 1 in all four colours, where corrected fluxes would give 0.

    Returns
    -------
    DataFrame
        One row a galaxy, in the order of the file: ra, dec (deg), z, modelflux_{u,g,r,i,z} and petroflux_r
        (nanomaggies, observed), extinction_{u,g,r,i,z} (mag).

    Raises
    ------
    InputError
        If the package or its file is missing, or holds something else.
    """
    # find_spec does not import the package, which takes seconds.
    spec = importlib.util.find_spec(SAMPLE_PACKAGE)
    if spec is None:
        raise InputError(f"the package {SAMPLE_PACKAGE} is not installed; `make env` installs it")
    path = Path(spec.submodule_search_locations[0]) / SAMPLE_FILE
    if not path.exists():
        raise InputError(f"{path}: missing; install the {SAMPLE_PACKAGE} of envs/requirements.lock")
    table = fits.getdata(path, 1)
    needed = ("RA", "DEC", "MODELFLUX", "PETROFLUX", "EXTINCTION", "Z")
    absent = [name for name in needed if name not in table.names]
    if absent:
        raise InputError(f"{path}: has no column {', '.join(absent)}; it should hold {', '.join(needed)}")
    column = {name: np.asarray(table[name], dtype=np.float64) for name in needed}
    sample = {"ra": column["RA"], "dec": column["DEC"], "z": column["Z"], "petroflux_r": column["PETROFLUX"][:, 2]}
    sample |= {f"modelflux_{band}": column["MODELFLUX"][:, index] for index, band in enumerate(BANDS)}
    sample |= {f"extinction_{band}": column["EXTINCTION"][:, index] for index, band in enumerate(BANDS)}
    return pd.DataFrame(sample)


def observed_flux(catalog: pd.DataFrame) -> NDArray[np.float64]:
    """Return the fluxes that a catalogue's galaxies show on the sky, Galactic extinction included.

    Parameters
    ----------
    catalog
        Columns mag_{u,g,r,i,z} (dereddened SDSS asinh magnitudes) and extinction_{u,g,r,i,z}.

    Returns
    -------
    ndarray
        Nanomaggies, shape (n, 5), bands u, g, r, i, z.
    """
    magnitude = catalog[magnitude_columns(BANDS)].to_numpy(np.float64)
    extinction = catalog[extinction_columns(BANDS)].to_numpy(np.float64)
    return asinh_flux(magnitude + extinction)


def fields_of(settings: Simulation) -> list[tuple[int, int, int]]:
    """Return (run, camcol, field) of every field, strip after strip.

    As many fields as hold `galaxies` at `galaxies_per_field`, dealt evenly to the strips of `runs` times
    `camcols`, at least one to each.
    """
    strips = settings.strips
    count = max(math.ceil(settings.galaxies / settings.galaxies_per_field), len(strips))
    fields = []
    for index, (run, camcol) in enumerate(strips):
        of_strip = count // len(strips) + (index < count % len(strips))
        fields += [(run, camcol, FIRST_FIELD + number) for number in range(of_strip)]
    return fields


def place_galaxies(count: int, capacity: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Place galaxies on a jittered grid, so that they rarely overlap.

    Parameters
    ----------
    count
        Number of galaxies.
    capacity
        Most galaxies that a field of this survey holds; sets the grid's spacing.
    random
        Source of the random numbers.

    Returns
    -------
    ndarray
        Column and row in the r frame, pixels from 0, shape (count, 2).

    Raises
    ------
    InputError
        If `capacity` galaxies do not fit on a frame.
    """
    span = np.array([FRAME_COLUMNS, FRAME_ROWS]) - 1 - 2 * EDGE_MARGIN
    columns = math.ceil(math.sqrt(capacity * span[0] / span[1]))
    shape = np.array([columns, math.ceil(capacity / columns)])
    # The outermost galaxies reach the margin when they are displaced outward.
    spacing = span / (shape - 1 + 2 * JITTER)
    if spacing.min() < SMALLEST_SPACING:
        most = int(span.prod() / SMALLEST_SPACING**2)
        raise InputError(f"embedded.galaxies_per_field: {capacity} do not fit on a frame; use at most about {most}")
    cell = random.permutation(shape.prod())[:count]
    grid = np.stack([cell % shape[0], cell // shape[0]], axis=1)
    return EDGE_MARGIN + spacing * (grid + JITTER + random.uniform(-JITTER, JITTER, (count, 2)))


def build_catalog(settings: Simulation) -> pd.DataFrame:
    """Build the catalogue of the embedded survey.

    Parameters
    ----------
    settings
        What is simulated.

    Returns
    -------
    DataFrame
        The catalogue's columns, then those special to this survey (see the units in the written file), in the
        order of chunk, field and object.

    Raises
    ------
    InputError
        If more galaxies are asked for than the sample holds, or than fit, or fewer than there are fields.
    """
    sample = read_sample()
    seed, wanted = settings.seed, settings.galaxies
    fields = fields_of(settings)
    if not len(fields) <= wanted <= len(sample):
        raise InputError(
            f"embedded.galaxies: {wanted}; use {len(fields)} (one for each field of runs times camcols) "
            f"to {len(sample)} (the sample)"
        )
    flux = sample[[f"modelflux_{band}" for band in BANDS]].to_numpy()
    extinction = sample[[f"extinction_{band}" for band in BANDS]].to_numpy()
    # Drawn for the whole sample, so that a galaxy looks the same however many others are drawn.
    morphology = draw_morphology(flux * 10 ** (0.4 * extinction), sample["z"].to_numpy(), generator(seed, "morphology"))
    bulge = morphology[[f"bulge_fraction_{band}" for band in BANDS]].to_numpy()
    arms = arm_fractions(morphology["hubble_type"].to_numpy(), 1 - bulge) * settings.populated
    morphology = morphology.assign(
        **{f"arm_fraction_{band}": arms[:, index] for index, band in enumerate(BANDS)},
        arm_seed=generator(seed, "arms").integers(0, 2**31, len(sample), dtype=np.int64),
    )
    morphology = morphology.join(drawn_votes(morphology))
    chosen = generator(seed, "selection").permutation(len(sample))[:wanted]
    strips = list(dict.fromkeys((run, camcol) for run, camcol, _ in fields))
    parts = []
    for (run, camcol, field), rows in zip(fields, np.array_split(chosen, len(fields)), strict=True):
        pixel = place_galaxies(len(rows), settings.galaxies_per_field, generator(seed, "positions", run, camcol, field))
        ra, dec = field_astrometry(settings, run, camcol, field, "r").wcs().all_pix2world(*pixel.T, 0)
        number = np.arange(1, len(rows) + 1)
        part = {
            "objid": encode_objid(run, camcol, field, number),
            "ra": ra,
            "dec": dec,
            "run": np.int32(run),
            "rerun": np.int32(RERUN),
            "camcol": np.int32(camcol),
            "field": np.int32(field),
            "z": sample["z"].to_numpy()[rows],
            "z_err": np.nan,
        }
        magnitude = asinh_magnitude(flux[rows]) - extinction[rows]
        part |= {f"mag_{band}": magnitude[:, index] for index, band in enumerate(BANDS)}
        part |= {f"extinction_{band}": extinction[rows, index] for index, band in enumerate(BANDS)}
        part["petro_r"] = asinh_magnitude(sample["petroflux_r"].to_numpy()[rows], "r") - extinction[rows, 2]
        part["chunk"] = np.int32(strips.index((run, camcol)))
        part["source_row"] = rows.astype(np.int32)
        part["source_ra"], part["source_dec"] = sample["ra"].to_numpy()[rows], sample["dec"].to_numpy()[rows]
        parts.append(pd.DataFrame(part, index=rows).join(morphology.loc[rows]))
    return pd.concat(parts, ignore_index=True)


def write_embedded_catalog(settings: Simulation, output: Path) -> None:
    """Write the embedded survey's catalogue as Parquet, with units and provenance in its metadata.

    Parameters
    ----------
    settings
        What is simulated.
    output
        File to write.

    Raises
    ------
    InputError
        As `build_catalog`.
    """
    catalog = build_catalog(settings)
    metadata = {
        "survey": "embedded",
        "release": settings.release,
        "selection": f"{len(catalog)} galaxies drawn with the seed {settings.seed} from {SAMPLE_FILE}",
        "counts": {"galaxies": len(catalog), "fields": len(fields_of(settings))},
        "source": f"{SAMPLE_PACKAGE} {importlib.metadata.version(SAMPLE_PACKAGE)}, {SAMPLE_FILE}",
        "real": "fluxes, Galactic extinctions, redshifts",
        "simulated": "positions in the drawn fields, morphologies, and the pixels that are drawn from them",
        "settings": asdict(settings),
        "units": _UNITS,
    }
    write_catalog(output, catalog, BANDS, metadata)
    log(f"{output}: {len(catalog)} galaxies on {metadata['counts']['fields']} fields")
