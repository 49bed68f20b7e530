"""Surveys: where galaxies and pixels come from."""

from astromae.registry import Registry

#: The surveys that the configuration's key `survey` can name, each an `astromae.survey.entry.Survey`.
SURVEYS = Registry(
    "survey",
    {
        "embedded": "astromae.survey.embedded:SURVEY",
        "sdss": "astromae.survey.sdss:SURVEY",
        "cube": "astromae.survey.cube:SURVEY",
    },
)
