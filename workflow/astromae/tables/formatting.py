"""Numbers as text, with the digits that their intervals support."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from astromae.tables.names import group_name, model_name

#: Digits of the published tables, for a column without any width of interval.
PUBLISHED_DECIMALS = 5


#: Subsets as tables call them.
GALAXIES = {"test": "test galaxies", "val": "validation galaxies"}


def decimals_for(half_width: float) -> int:
    """Return the decimals that show an uncertainty of `half_width` with two significant digits."""
    if not (math.isfinite(half_width) and half_width > 0):
        return PUBLISHED_DECIMALS
    return max(0, 1 - math.floor(math.log10(half_width)))


def fixed(value: float, decimals: int, sign: bool = False) -> str:
    """Return `value` with `decimals` decimals; never a negative zero, empty for NaN."""
    if math.isnan(value):
        return ""
    rounded = round(value, decimals) + 0.0
    return f"{rounded:{'+' if sign else ''}.{decimals}f}"


def column_decimals(table: pd.DataFrame, metric: str) -> int:
    """Return the decimals of one metric's column: those of its median interval."""
    half_width = (table[f"{metric}_high"] - table[f"{metric}_low"]) / 2
    return decimals_for(half_width[half_width > 0].median())


def formatted_rows(table: pd.DataFrame, metrics: Iterable[str]) -> list[dict]:
    """Return a table's rows as text.

    Parameters
    ----------
    table
        A table made by `astromae.tables.metrics`.
    metrics
        Its metrics.

    Returns
    -------
    list
        One mapping a row: model, name, group, group_name, and cells: for each metric the value, how far its
        interval reaches up and down (with signs), its ends, the standard deviation over seeds and the published
        value (both empty where there is none), and whether it is the best value; and falling, whether a training of
        the model was still falling.
    """
    decimals = {metric: column_decimals(table, metric) for metric in metrics}
    return [_formatted_row(row, decimals) for row in table.to_dict("records")]


def _formatted_row(row: Mapping, decimals: Mapping[str, int]) -> dict:
    cells = {}
    for metric, digits in decimals.items():
        value = row[metric]
        cells[metric] = {
            "value": fixed(value, digits),
            "up": fixed(row[f"{metric}_high"] - value, digits, sign=True),
            "down": fixed(row[f"{metric}_low"] - value, digits, sign=True),
            "low": fixed(row[f"{metric}_low"], digits),
            "high": fixed(row[f"{metric}_high"], digits),
            "std": fixed(row[f"{metric}_std"], digits),
            # as printed: all published values have the same number of decimals
            "published": fixed(row[f"{metric}_published"], PUBLISHED_DECIMALS),
            "best": bool(row[f"{metric}_best"]),
        }
    return {
        "model": row["model"],
        "name": model_name(row["model"]),
        "group": row["group"],
        "group_name": group_name(row["group"]),
        "falling": bool(row["still_falling"] > 0),
        "cells": cells,
    }


def short(value: float, tex: bool = False) -> str:
    """Return a number with three significant digits, or as a bound where it is below 0.0001; a dash for NaN."""
    if math.isnan(value):
        return "--" if tex else "—"
    text = f"{value:.3g}"
    if "e" in text:
        text = f"{value:.4f}" if abs(value) >= 1e-4 else "<0.0001" if value > 0 else ">-0.0001"
    return f"${text}$" if tex else text


def grouped(count: int) -> str:
    """Return a count with its thousands set apart, for example ``10,000``."""
    return f"{count:,}"


def power_of_ten(value: float) -> dict[str, str]:
    """Return a number as mantissa and exponent of ten, both text, with up to three significant digits."""
    exponent = math.floor(math.log10(abs(value))) if value else 0
    return {"mantissa": f"{value / 10.0**exponent:.3g}", "exponent": str(exponent)}


def duration(seconds: float) -> str:
    """Return a time as a person says it: seconds, minutes or hours."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}" if seconds < 10 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def hours(value: float) -> str:
    """Return hours of processors or GPUs with two significant digits, or none behind the point from ten on."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
