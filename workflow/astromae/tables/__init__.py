"""Tables of a run, and the names and numbers in them as text."""

from astromae.registry import Registry

#: Families of tables (`astromae.products.Product`).
TABLES = Registry(
    "table",
    {
        "metrics": "astromae.tables.families:METRICS",
        "cost": "astromae.tables.families:COST",
        "realism": "astromae.tables.families:REALISM",
    },
)
