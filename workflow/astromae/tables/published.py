"""The published tables IV and V (arXiv:2409.01825), as printed."""

import csv
from pathlib import Path

#: The numbers themselves, with the digits that were printed.
FILE = Path(__file__).with_name("published.csv")


def published_table(name: str) -> dict[str, dict[str, str]]:
    """Return the printed numbers of a table.

    Parameters
    ----------
    name
        ``table4`` (experiment 1) or ``table5`` (experiment 2); any other table was not published.

    Returns
    -------
    dict
        For each model, in the printed order, its group and the text of each printed metric. Empty for a
        table that was not published.
    """
    with open(FILE, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == name]
    return {row["model"]: {key: row[key] for key in row if key not in ("table", "model")} for row in rows}
