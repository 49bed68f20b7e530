"""The numbers that the document of a study quotes, as text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from astromae.files import write_json
from astromae.studies import RANDOM, SUPERVISED
from astromae.tables.formatting import decimals_for, fixed, grouped
from astromae.tables.label_curves import NO_NETWORK, headline_of, read_error_table, read_saved_table
from astromae.tables.names import objective_name
from astromae.tasks import task_of


def study_values(
    study: Mapping[str, Any], interval: float, is_simulated: bool, errors: Path, saved: Path
) -> dict[str, Any]:
    """Return what the document of a study quotes. All numbers in it are text, ready to be printed.

    Parameters
    ----------
    study
        The study's settings.
    interval
        Confidence of the intervals.
    is_simulated
        Whether pixels are simulated.
    errors, saved
        Its tables (`astromae.tables.label_curves`).

    Returns
    -------
    dict
        ``title``, ``metric``, ``interval``, ``labels``, ``seeds``, ``networks`` and ``updates``; ``objectives`` with
        the budget of each; ``errors`` and ``saved``: a row for each way to learn, with a cell for each number of
        labels; ``found``: for each way to learn that something was learnt of before the labels, the numbers of labels
        for which the interval of its factor says that it saves labels, and that it costs some, none with one seed;
        ``one_side``, the part of such statements on either side, in percent, that are made where nothing is true;
        ``judged``, whether anything is; ``simulated`` and ``classical``, whether pixels are and there is a method
        without a network.

    Raises
    ------
    InputError
        If a table cannot be read.
    """
    metric = headline_of(task_of(study["task"]).metrics)
    table, factors = read_error_table(errors), read_saved_table(saved)
    labels = sorted(table["n_labels"].unique())
    half = (table[f"{metric}_high"] - table[f"{metric}_low"]) / 2
    digits = decimals_for(half.median())

    def rows(of: pd.DataFrame, cell: Any) -> list[dict[str, Any]]:
        found = []
        for (objective, network, frozen), same in of.groupby(["objective", "network", "frozen"], sort=False):
            by_labels = {row["n_labels"]: row for row in same.to_dict("records")}
            found.append(
                {
                    "name": objective_name(objective),
                    "network": "" if network == NO_NETWORK else network,
                    "way": "" if objective in (SUPERVISED, RANDOM) or network == NO_NETWORK else _way(frozen),
                    "cells": [cell(by_labels[count]) for count in labels],
                }
            )
        return found

    def error_cell(row: Mapping[str, Any]) -> dict[str, str]:
        return {
            "value": fixed(row[metric], digits),
            "low": fixed(row[f"{metric}_low"], digits),
            "high": fixed(row[f"{metric}_high"], digits),
        }

    def saved_cell(row: Mapping[str, Any]) -> dict[str, str]:
        sign = {"at least": "≥ ", "at most": "≤ "}.get(row["bound"], "")
        return {
            "value": sign + _factor(row["factor"]),
            **{end: _factor(row[f"factor_{end}"]) for end in ("low", "high")},
        }

    def found(of: pd.DataFrame) -> list[dict[str, Any]]:
        # With one seed nothing is judged, as in the tables of experiments: another could turn all of it round.
        learnt = of[(of["objective"] != RANDOM) & (len(study["seeds"]) > 1)]
        return [
            {
                "name": objective_name(objective),
                "network": network,
                "way": _way(frozen),
                "saves": [grouped(count) for count in same["n_labels"][same["factor_low"] > 1]],
                "costs": [grouped(count) for count in same["n_labels"][same["factor_high"] < 1]],
            }
            for (objective, network, frozen), same in learnt.groupby(["objective", "network", "frozen"], sort=False)
        ]

    used = [name for name, objective in study["objectives"].items() if objective["networks"]]
    return {
        "title": study["title"],
        "metric": task_of(study["task"]).metrics[metric].printed,
        "interval": f"{100 * interval:g}",
        "one_side": f"{50 * (1 - interval):g}",
        "judged": len(study["seeds"]) > 1,
        "simulated": is_simulated,
        "classical": bool(study["classical"]),
        "labels": [grouped(int(count)) for count in labels],
        "seeds": str(len(study["seeds"])),
        "networks": list(dict.fromkeys(network for name in used for network in study["objectives"][name]["networks"])),
        "updates": {kind: grouped(study["finetuning"][kind]["updates"]) for kind in ("frozen", "unfrozen")},
        "objectives": [_objective(name, study["objectives"][name]) for name in used],
        "errors": rows(table, error_cell),
        "saved": rows(factors, saved_cell),
        "found": found(factors),
    }


def _way(frozen: bool) -> str:
    return "frozen" if frozen else "fine-tuned"


def _factor(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _objective(name: str, objective: Mapping[str, Any]) -> dict[str, Any]:
    phase = objective["pretraining"]
    unit = "updates" if phase.get("updates") else "epochs"
    return {
        "name": objective_name(name),
        "networks": list(objective["networks"]),
        "length": grouped(phase[unit]),
        "unit": unit,
        "batch_size": grouped(phase["batch_size"]),
    }


def write_study_values(
    study: dict[str, Any], interval: float, is_simulated: bool, errors: Path, saved: Path, output: Path
) -> None:
    """Write what `study_values` returns as JSON."""
    write_json(output, study_values(study, interval, is_simulated, errors, saved))
