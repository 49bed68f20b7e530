"""Boosted trees on catalogue magnitudes. Trees cut along axes, so they are given colours."""

from astromae.classical import Method
from astromae.classical.boosted_trees import QUANTILES, SETTINGS, fit_trees, predict_trees
from astromae.classical.colours import magnitude_and_colours

METHOD = Method(magnitude_and_colours, fit_trees, predict_trees, settings=SETTINGS, distributions=QUANTILES)
