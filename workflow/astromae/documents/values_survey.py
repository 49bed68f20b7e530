"""The numbers that the paper quotes of a survey, as text."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from astromae.contracts.catalog import read_catalog, read_provenance
from astromae.contracts.stamp_format import split_bands
from astromae.errors import InputError
from astromae.evaluation.bands import reference_bands
from astromae.files import write_json
from astromae.tables.formatting import fixed, grouped

#: Small numbers as words.
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

#: Quantiles of a range that leaves out the odd galaxy.
_RANGE = (0.05, 0.95)


def survey_values(catalog: Path, stamps: Sequence[Path], missing: Sequence[Path]) -> dict:
    """Return the named values of a survey.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    stamps
        All its shards.
    missing
        Tables of galaxies without a stamp: objid, reason.

    Returns
    -------
    dict
        ``survey``, ``release``, ``selection``, ``source``, ``real`` and ``simulated`` from the catalogue's
        metadata (empty where it says nothing), ``counts`` of galaxies, stamps, missing ones and fields,
        ``reasons`` with the count of each, ranges of ``redshift`` and of ``magnitude`` in one band, and the stamps'
        ``bands``, ``pixel_scale_arcsec``, ``kernel`` and ``size``. Numbers are text.

    Raises
    ------
    InputError
        If a file cannot be read, or stamps and missing galaxies do not add up to the catalogue.
    """
    about = read_provenance(catalog)
    cut, attributes, size = _count_stamps(stamps)
    bands = split_bands(attributes["bands"])
    _, band = reference_bands(bands)
    galaxies = read_catalog(catalog, ["objid", "run", "camcol", "field", "z", f"mag_{band}"])
    magnitude = galaxies[f"mag_{band}"]
    lost = pd.concat([_read_missing(path) for path in missing])
    if cut + len(lost) != len(galaxies):
        raise InputError(
            f"{catalog}: {len(galaxies)} galaxies, but {cut} stamps and {len(lost)} missing ones in the given files"
        )
    z = galaxies["z"].dropna()
    low, high = z.quantile(_RANGE[0]), z.quantile(_RANGE[1])
    return {
        "survey": about["survey"],
        "release": str(about.get("release", "")),
        **{key: str(about.get(key, "")) for key in ("selection", "source", "real", "simulated")},
        "counts": {
            "galaxies": grouped(len(galaxies)),
            "stamps": grouped(cut),
            "missing": grouped(len(lost)),
            "fields": grouped(len(galaxies[["run", "camcol", "field"]].drop_duplicates())),
        },
        "reasons": [
            {"reason": reason, "count": grouped(count)}
            for reason, count in sorted(lost["reason"].value_counts().items())
        ],
        "redshift": {
            "min": fixed(z.min(), 3),
            "low": fixed(low, 3),
            "median": fixed(z.median(), 3),
            "high": fixed(high, 3),
            "max": fixed(z.max(), 3),
        },
        "bands": list(bands),
        "bands_count": COUNTS[len(bands)] if len(bands) < len(COUNTS) else str(len(bands)),
        "magnitude": {
            "band": band,
            "low": fixed(magnitude.quantile(_RANGE[0]), 1),
            "median": fixed(magnitude.median(), 1),
            "high": fixed(magnitude.quantile(_RANGE[1]), 1),
        },
        "pixel_scale_arcsec": f"{attributes['pixel_scale_arcsec']:g}",
        "kernel": str(attributes["kernel"]),
        "size": str(size),
    }


def _count_stamps(paths: Sequence[Path]) -> tuple[int, dict, int]:
    """Return the number of stamps, the attributes of the first shard, and the stamps' side in pixels."""
    count, attributes, size = 0, {}, 0
    for path in paths:
        try:
            with h5py.File(path) as file:
                count += len(file["objid"])
                attributes = attributes or dict(file.attrs)
                size = file["images"].shape[-1]
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: not a readable shard of stamps ({error})") from error
    return count, attributes, size


def _read_missing(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"objid": np.int64, "reason": str})[["objid", "reason"]]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a table of missing galaxies with objid and reason ({error})") from error


def write_survey_values(catalog: Path, stamps: Sequence[Path], missing: Sequence[Path], output: Path) -> None:
    """Write the named values of a survey as JSON; see `survey_values`."""
    write_json(output, survey_values(catalog, stamps, missing))
