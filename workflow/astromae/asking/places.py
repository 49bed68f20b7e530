"""Where stamps of listed galaxies come from: as a configuration says, or as the package does without one."""

from pathlib import Path

from astromae.asking.listed import Where
from astromae.errors import InputError
from astromae.stamps.fetch import Download
from astromae.survey.sdss import SdssSettings
from astromae.survey.sdss_catalog import Pace


def survey_place(config: Path | None) -> Where:
    """Return where SkyServer and the archive are.

    Parameters
    ----------
    config
        A configuration, of which section `sdss` and `stamps.threads` count; None for the addresses of SDSS itself.

    Raises
    ------
    InputError
        If the configuration is wrong, or the package is installed without the repository, whose defaults it is laid
        over.
    """
    section, threads = SdssSettings(), 1
    if config is not None:
        from astromae.settings.files import DEFAULTS_PATH, read_configuration

        if not DEFAULTS_PATH.is_file():
            raise InputError(f"--config {config}: only in the repository, whose config.yaml it is laid over")
        settings = read_configuration(config)
        section, threads = settings.section("sdss") or section, settings.stamps.threads
    download = Download(**section.download.model_dump())
    return Where(section.server, section.archive, section.release, Pace(**section.pace), download, threads)
