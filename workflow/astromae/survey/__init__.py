"""Surveys: where galaxies and pixels come from."""

from astromae import entries
from astromae.registry import Registry

#: The surveys that the configuration's key `survey` can name, each an `astromae.survey.entry.Survey`.
SURVEYS = Registry("survey", entries.SURVEYS)
