"""Surveys: where galaxies and pixels come from."""

from astromae.registry import Registry
from astromae.survey.entry import Survey

#: The surveys that the configuration's key `survey` can name.
SURVEYS: Registry[Survey] = Registry(
    "survey",
    {
        "embedded": "astromae.survey.embedded:SURVEY",
        "sdss": "astromae.survey.sdss:SURVEY",
        "cube": "astromae.survey.cube:SURVEY",
    },
)
