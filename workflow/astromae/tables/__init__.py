"""Tables of a run, and the names and numbers in them as text."""

from astromae import entries
from astromae.registry import Registry

#: Families of tables (`astromae.products.Product`).
TABLES = Registry("table", entries.TABLES)
