"""What the results page says of look-alikes, from the files of the run."""

import base64
import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from astromae.errors import InputError

#: The map's script, in the folder of the report's source.
SCRIPT = "look_alikes.js"

#: Table that says how alike they are.
_PURITY = "purity.csv"
_CRITERIA = {"type": "same type", "redshift": "redshift within {dz:g}", "type_redshift": "both"}


def shown_look_alikes(
    path: Path, source: Path, experiments: Sequence[Mapping[str, Any]], tables: Sequence[Path]
) -> dict[str, Any]:
    """Return what the page's template shows of look-alikes.

    Parameters
    ----------
    path
        File that `astromae.figures.look_alikes` wrote.
    source
        Folder of the report's source, which holds `SCRIPT`.
    experiments
        Named values of every experiment.
    tables
        Tables of the run; of purity is shown what is of the same experiment and encoder.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        galaxies, columns = held["galaxies"], held["columns"]
        script = (source / SCRIPT).read_text(encoding="utf-8")
        buttons = {"z": "redshift", "magnitude": f"{held['band']} magnitude", "type": "type"}
        shown = {
            **{name: held[name] for name in ("encoder", "types", "side", "columns")},
            "title": next((it["title"] for it in experiments if it["experiment"] == held["experiment"]), ""),
            "count": len(galaxies["objid"]),
            "has_redshifts": galaxies["z"] is not None,
            "explained": [f"{100 * part:.0f}" for part in held["explained"]],
            "sheet": f"data:image/webp;base64,{held['sheet']}",
            "examples": [[_galaxy(held, row) for row in example] for example in held["examples"]],
            "buttons": [(key, name) for key, name in buttons.items() if galaxies[key] is not None],
            "script": script,
            # what a browser's policy calls a script by
            "script_digest": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
            "data": {
                **{name: held[name] for name in ("band", "types")},
                "columns": columns,
                "galaxies": galaxies,
                "first": held["examples"][0][0],
            },
        }
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path}: not a readable file of look-alikes ({error!r}); make it again") from error
    rows = [row for table in tables if table.name == _PURITY for row in _rows(table, held)]
    known = [name for name in _CRITERIA if rows and rows[0][f"purity_{name}"]]
    return shown | {
        "criteria": [_CRITERIA[name].format(dz=float(rows[0]["dz"])) for name in known],
        "nearest": rows[0]["nearest"] if rows else None,
        "purity": [
            {
                "name": _name(row),
                "cells": [_cell(row, name) for name in known],
            }
            for row in rows
        ],
    }


def _galaxy(held: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return what a tile shows of a galaxy."""
    galaxies, types = held["galaxies"], held["types"]
    z, magnitude, kind = (galaxies[name] and galaxies[name][row] for name in ("z", "magnitude", "type"))
    name = None if kind is None else types[kind]
    said = [f"objid {galaxies['objid'][row]}"]
    said += [] if z is None else [f"redshift {z:.4f}"]
    said += [] if magnitude is None else [f"{held['band']} {magnitude:.2f}"]
    said += [] if name is None else [f"type {name}"]
    place = divmod(row, held["columns"])
    return {
        "objid": galaxies["objid"][row],
        "z": None if z is None else f"{z:.3f}",
        "type": name,
        "said": ", ".join(said),
        "row": place[0],
        "column": place[1],
    }


def _rows(table: Path, held: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the rows of the table of purity of the same experiment and encoder, and those without one."""
    with open(table, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["experiment"] == held["experiment"]]
    # Encoders, which are trained with seeds, are one row each; the others are of none.
    return [row for row in rows if row["neighbours"] == held["encoder"] or not row["n_seeds"]]


def _name(row: Mapping[str, str]) -> str:
    if row["n_seeds"]:
        return f"by the {row['neighbours']} encoder"
    return row["neighbours"] if row["neighbours"] == "chance" else f"in {row['neighbours']}"


def _cell(row: Mapping[str, str], name: str) -> dict[str, str]:
    ends = {"value": "", "low": "_low", "high": "_high"}
    return {key: f"{100 * float(row[f'purity_{name}{end}']):.1f}" for key, end in ends.items()}
