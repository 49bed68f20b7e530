"""Where the galaxies that somebody asks about come from: a list, or stamps; and what must be right before any work."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from astromae.asking.inputs import Reader
from astromae.asking.stamp_files import SCALE_TOLERANCE, StampFile, open_stamp_file
from astromae.asking.stamp_formats import is_stamp_file
from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.catalog import magnitude_columns
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError

if TYPE_CHECKING:
    from astromae.asking.listed import ListedGalaxies, Where


def check_paths(given: Path, models: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Check where galaxies come from and answers go.

    Raises
    ------
    InputError
        If `given` does not exist; or an output is the same file as another, as `given` or as a model, or is a folder,
        or has none to be written to.
    """
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    for number, path in enumerate(outputs):
        if path.exists() and path.samefile(given):
            raise InputError(f"{path}: is what is asked about; give the answers another name")
        if any(path.exists() and model.exists() and path.samefile(model) for model in models):
            raise InputError(f"{path}: is the model that is asked; give the answers another name")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}")
        if path.resolve() in [other.resolve() for other in outputs[:number]]:
            raise InputError(f"{path}: two outputs have this name; give each its own")


def place_of(given: Path, config: Path | None) -> "Where | None":
    """Return where the stamps of a list come from (`astromae.asking.places.survey_place`); None for stamps."""
    if is_stamp_file(given):
        return None
    # Here, since what reads frames takes a second to load, and stamps need none of it.
    from astromae.asking.places import survey_place

    return survey_place(config)


def open_source(
    readers: Sequence[Reader], given: Path, where: "Where | None", folder: Path, bands: Sequence[str] | None, unit: str
) -> "ListedGalaxies | StampFile":
    """Return the galaxies of a list, or of a file or folder of stamps.

    Parameters
    ----------
    readers
        Models or encoders that read them, all in the same bands.
    given
        The list, file or folder.
    where
        Where the stamps of a list come from; None for stamps.
    folder
        Where the catalogue of a list is kept; it need not exist yet.
    bands, unit
        Of stamps, as of `open_stamp_file`.

    Raises
    ------
    InputError
        As of `open_stamp_file`, `ListedGalaxies` and `list_format`; if bands or unit are given for a list; or if no
        galaxy has the magnitudes that a reader wants.
    """
    if is_stamp_file(given):
        wanted = next((reader.format for reader in readers if reader.format is not None), None)
        if wanted is None:
            wanted = StampFormat(readers[0].bands, PIXEL_SCALE_ARCSEC, STAMP_SIZE)
        source = open_stamp_file(given, wanted, max(reader.crop for reader in readers), bands, unit)
        remedy = "put them beside the stamps"
    else:
        if bands is not None or unit != "nanomaggies":
            raise InputError(f"{given}: a list of galaxies has no bands or unit of its own; leave the options out")
        from astromae.asking.listed import ListedGalaxies

        size = list_format(readers, given).size
        source = ListedGalaxies(given, where, folder, size, any(reader.reads_stamps for reader in readers))
        remedy = "add them, or leave out run, camcol and field, so that SkyServer is asked for all"
    for reader in readers:
        if reader.reads_magnitudes and not source.has_magnitudes(reader.bands):
            columns = ", ".join(magnitude_columns(reader.bands))
            raise InputError(
                f"{given}: no galaxy has {columns} (dereddened), which {reader.name} reads; {remedy}, or take a model "
                "of stamps alone"
            )
    return source


def list_format(readers: Sequence[Reader], given: Path) -> StampFormat:
    """Return the format of the stamps that are cut for the galaxies of a list.

    Raises
    ------
    InputError
        If a reader wants other bands or pixels than SDSS has.
    """
    for reader in readers:
        if reader.bands != BANDS:
            raise InputError(
                f"{given}: a list of galaxies is of SDSS, and {reader.name} reads {', '.join(reader.bands)}"
            )
        scale = None if reader.format is None else reader.format.pixel_scale_arcsec
        if scale is not None and abs(scale / PIXEL_SCALE_ARCSEC - 1) > SCALE_TOLERANCE:
            raise InputError(
                f"{given}: stamps of SDSS have {PIXEL_SCALE_ARCSEC} arcsec a pixel, {reader.name} {scale:g}"
            )
    crop = max(reader.crop for reader in readers)
    return StampFormat(BANDS, PIXEL_SCALE_ARCSEC, crop + crop % 2)
