"""The catalogue of galaxies that SDSS observed: fields dealt to chunks, values held to what they can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astromae.constants import BANDS
from astromae.contracts import catalog as contract
from astromae.contracts.catalog import FIELD, magnitude_columns, require_range
from astromae.errors import InputError
from astromae.photometry_checks import check_magnitudes
from astromae.progress import log
from astromae.survey.galaxy_zoo import join_votes
from astromae.survey.left_out import log_missing_values

_UNITS = {
    "objid": "SDSS object identifier",
    "ra": "deg, ICRS",
    "dec": "deg, ICRS",
    "z": "spectroscopic redshift; NaN where there is none",
    "z_err": "its error; NaN where there is none",
    "mag_*": "mag, AB, SDSS asinh model magnitude minus the Galactic extinction",
    "extinction_*": "mag, Galactic extinction",
    "petro_r": "mag, AB, SDSS asinh Petrosian magnitude in r minus the Galactic extinction",
    "chunk": "stamps job that cuts the galaxy: the fields in order of run, camcol, field, dealt to equal shares",
}

#: First and last value that can be: the identifiers' bits bound run and field (SDSS "Photometric ObjIDs").
RANGES = {**contract.RANGES, "run": (1, 65535), "rerun": (0, 2047), "camcol": (1, 6), "field": (1, 4095)}


def deal_fields(fields: pd.DataFrame, chunks: int) -> NDArray[np.int32]:
    """Deal galaxies to chunks by their field, so that every field is read by one job only.

    The fields, sorted by run, camcol and field, are cut into `chunks` runs of equal length (to one field). Chunks
    beyond the number of fields stay empty.

    Parameters
    ----------
    fields
        Columns run, camcol and field, one row a galaxy, in any order.
    chunks
        Number of chunks.

    Returns
    -------
    ndarray
        The chunk of each galaxy, shape (n,), 0 to `chunks` - 1.

    Raises
    ------
    InputError
        If `chunks` is not positive.
    """
    codes = fields.groupby(FIELD, sort=True).ngroup().to_numpy()
    count = int(codes.max()) + 1 if len(codes) else 0
    if chunks < 1:
        raise InputError(f"chunks: {chunks}; use 1 or more")
    # The first (count modulo chunks) chunks have one field more, as numpy.array_split deals them.
    sizes = np.full(chunks, count // chunks) + (np.arange(chunks) < count % chunks)
    return np.repeat(np.arange(chunks, dtype=np.int32), sizes)[codes]


def write_observed_catalog(
    output: Path,
    catalog: pd.DataFrame,
    chunks: int,
    provenance: Mapping[str, Any],
    units: Mapping[str, str],
    galaxy_zoo: Path | None = None,
) -> None:
    """Write the catalogue of observed galaxies, in the order of their fields, with units and provenance.

    Parameters
    ----------
    output
        File to write.
    catalog
        The columns of `astromae.contracts.catalog.catalog_columns`, and further ones that come after `chunk`.
    chunks
        Number of chunks that the fields are dealt to.
    provenance
        What the catalogue is: survey, release, selection, counts. The numbers of galaxies and fields are added.
    units
        Units of the further columns, and of any column for which they differ from the usual.
    galaxy_zoo
        Table of votes on shapes (`astromae.survey.galaxy_zoo`) to join, or None.

    Raises
    ------
    InputError
        If a galaxy occurs twice, a value is out of its range, or magnitudes cannot be measured ones; or as
        `astromae.survey.galaxy_zoo.join_votes`.
    """
    catalog = catalog.sort_values([*FIELD, "objid"], kind="stable", ignore_index=True)
    for name, (low, high) in RANGES.items():
        require_range(output, catalog, name, low, high)
    check_magnitudes(catalog[magnitude_columns(BANDS)].to_numpy(np.float64), provenance.get("source", output), BANDS)
    if galaxy_zoo is not None:
        catalog = catalog.join(join_votes(catalog, galaxy_zoo))
        provenance = {**provenance, "galaxy_zoo": galaxy_zoo.name}
        units = {**units, "vote_*": "debiased fraction of Galaxy Zoo 2's votes for yes; NaN where too few were asked"}
    catalog = catalog.assign(chunk=deal_fields(catalog[FIELD], chunks))
    fields = len(catalog[FIELD].drop_duplicates())
    metadata = {
        **provenance,
        "counts": {**provenance.get("counts", {}), "galaxies": len(catalog), "fields": fields},
        "units": {**_UNITS, **units},
    }
    contract.write_catalog(output, catalog, BANDS, metadata)
    log(f"{output}: {len(catalog)} galaxies on {fields} fields in {min(chunks, fields)} chunks")
    log_missing_values(output, catalog)
