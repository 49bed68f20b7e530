"""The numbers that the paper quotes of a survey, as text."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from astromae.contracts.catalog import read_catalog, read_provenance
from astromae.contracts.missing import read_missing
from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.evaluation.bands import reference_bands
from astromae.files import write_json
from astromae.tables.formatting import fixed, grouped

#: Quantiles of a range that leaves out the odd galaxy.
_RANGE = (0.05, 0.95)


def survey_values(
    catalog: Path, stamps: Sequence[Path], missing: Sequence[Path], title: str, is_simulated: bool
) -> dict:
    """Return the named values of a survey.

    Parameters
    ----------
    catalog
        Catalogue of galaxies.
    stamps
        All its shards.
    missing
        Tables of galaxies without a stamp: objid, reason.
    title, is_simulated
        What the survey is called, and whether its pixels are simulated.

    Returns
    -------
    dict
        ``survey``, ``release``, ``selection``, ``source``, ``real`` and ``simulated`` from the catalogue's metadata
        (empty where it says nothing), ``title`` and ``is_simulated`` as given, ``counts`` of
        galaxies, stamps, missing ones and fields, ``reasons`` with the count of each, ranges of ``redshift`` and of
        ``magnitude`` in one band, and the stamps' ``bands``, ``pixel_scale_arcsec``, ``kernel`` and ``size``. Numbers
        are text.

    Raises
    ------
    InputError
        If a file cannot be read, or stamps and missing galaxies do not add up to the catalogue.
    """
    about = read_provenance(catalog)
    cut = StampSet(stamps)
    _, band = reference_bands(cut.bands)
    galaxies = read_catalog(catalog, ["objid", "run", "camcol", "field", "z", f"mag_{band}"])
    magnitude = galaxies[f"mag_{band}"]
    reasons = [reason for path in missing for reason in read_missing(path)[1]]
    if len(cut) + len(reasons) != len(galaxies):
        raise InputError(
            f"{catalog}: {len(galaxies)} galaxies, but {len(cut)} stamps and {len(reasons)} missing ones in the given "
            "files"
        )
    z = galaxies["z"].dropna()
    low, high = z.quantile(_RANGE[0]), z.quantile(_RANGE[1])
    return {
        "survey": about["survey"],
        "title": title,
        "is_simulated": is_simulated,
        "release": str(about.get("release", "")),
        **{key: str(about.get(key, "")) for key in ("selection", "source", "real", "simulated")},
        "counts": {
            "galaxies": grouped(len(galaxies)),
            "stamps": grouped(len(cut)),
            "missing": grouped(len(reasons)),
            "fields": grouped(len(galaxies[["run", "camcol", "field"]].drop_duplicates())),
        },
        "reasons": [{"reason": reason, "count": grouped(count)} for reason, count in sorted(Counter(reasons).items())],
        "redshift": {
            "min": fixed(z.min(), 3),
            "low": fixed(low, 3),
            "median": fixed(z.median(), 3),
            "high": fixed(high, 3),
            "max": fixed(z.max(), 3),
        },
        "magnitude": {
            "band": band,
            "low": fixed(magnitude.quantile(_RANGE[0]), 1),
            "median": fixed(magnitude.median(), 1),
            "high": fixed(magnitude.quantile(_RANGE[1]), 1),
        },
        "bands": list(cut.bands),
        "pixel_scale_arcsec": f"{cut.pixel_scale_arcsec:g}",
        "kernel": cut.kernel,
        "size": str(cut.size),
    }


def write_survey_values(
    catalog: Path, stamps: Sequence[Path], missing: Sequence[Path], title: str, is_simulated: bool, output: Path
) -> None:
    """Write the named values of a survey as JSON; see `survey_values`."""
    write_json(output, survey_values(catalog, stamps, missing, title, is_simulated))
