"""Where stamps of listed galaxies come from: as a configuration says, or as the package does without one."""

from pathlib import Path

from astromae.asking.listed import Where
from astromae.stamps.fetch import Download
from astromae.survey.sdss import SdssSettings
from astromae.survey.sdss_catalog import Pace


def survey_place(config: Path | None, threads: int = 1) -> Where:
    """Return where SkyServer and the archive are.

    Parameters
    ----------
    config
        A configuration, of which section `sdss` counts; None for the addresses of SDSS itself.
    threads
        Fields that are read at once.

    Raises
    ------
    InputError
        If the configuration is wrong.
    """
    section = SdssSettings()
    if config is not None:
        from astromae.settings.files import read_configuration

        section = read_configuration(config).section("sdss") or section
    download = Download(**section.download.model_dump())
    return Where(section.server, section.archive, section.release, Pace(**section.pace), download, threads)
