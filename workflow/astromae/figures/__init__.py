"""Figures of a run, and the samples that they are drawn from where there are no stamps."""

from astromae import entries
from astromae.registry import Registry

#: Families of figures (`astromae.products.Product`), in the order of the results page.
FIGURES = Registry("figure", entries.FIGURES)

#: Families of samples: small files from stamps and catalogue, which figures and tables read instead.
SAMPLES = Registry("sample", entries.SAMPLES)
