"""The table of cost: time, memory and parameters of every training."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.evaluation.records import read_json, read_provenance
from astromae.files import atomic_path, write_text
from astromae.tables.formatting import fixed, grouped
from astromae.tables.names import encoder_name, group_name, model_name
from astromae.tables.reading import read_csv_table

#: Group of the rows that are encoders.
ENCODERS = "encoders"

#: Columns of the table. Times are means over seeds, the memory is the largest; NaN where a quantity has no meaning.
COLUMNS = (
    "experiment",
    "group",
    "model",
    "parameters",
    "trainable",
    "n_seeds",
    "device",
    "devices",
    "threads",
    "wall_s",
    "cpu_hours",
    "gpu_hours",
    "stamps_per_s",
    "peak_memory_mb",
)


def cost_table(provenance: Sequence[Path], networks: Path) -> pd.DataFrame:
    """Return what every training took, one row for each encoder and model of each experiment.

    Parameters
    ----------
    provenance
        What trainings say of themselves, each in a provenance.json.
    networks
        Parameters of the networks (``astromae networks``).

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, in the order in which the files name experiments and models first.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    described = read_json(networks, ("models", "autoencoders"))
    # Of a model by its experiment, whose task decides the last layer; of the encoders it does not.
    counts: dict[tuple[str, ...], tuple[int, int]] = {}
    for row in described["models"]:
        counts[row["group"], row["name"]] = row["parameters"], row["trainable"]
        for experiment, of in row.get("of_experiments", {}).items():
            counts[experiment, row["group"], row["name"]] = of["parameters"], of["trainable"]
    for row in described["autoencoders"]:
        counts[ENCODERS, row["name"]] = (row["parameters"], row["parameters"])
    runs: dict[tuple[str, str, str], list[dict]] = {}
    for path in provenance:
        run = read_provenance(path)
        about = run["recipe"]
        name = (ENCODERS, about["name"]) if "pretraining" in about else (about["group"], about["model"])
        runs.setdefault((about["experiment"], *name), []).append(run)
    rows = []
    for (experiment, group, model), same in runs.items():
        either = counts.get((experiment, group, model)) or counts.get((group, model)) or (np.nan, np.nan)
        about = {"experiment": experiment, "group": group, "model": model}
        rows.append(about | dict(zip(("parameters", "trainable"), either, strict=True)) | _summary(same))
    # counts that may be unknown stay whole numbers
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"parameters": "Int64", "trainable": "Int64"})


def _summary(runs: Sequence[Mapping]) -> dict:
    """Return the cost of one network over its seeds."""

    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    return {
        "n_seeds": len(runs),
        "device": ", ".join(sorted({run["device"] for run in runs})),
        "devices": max(run["devices"] for run in runs),
        "threads": max(run["threads"] for run in runs),
        **{key: mean(run[key] for run in runs) for key in ("wall_s", "cpu_hours", "gpu_hours")},
        "stamps_per_s": mean(run["stamps"] / run["wall_s"] for run in runs),
        "peak_memory_mb": max(run["peak_memory_mb"] for run in runs),
    }


def read_cost_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_cost_table` wrote.

    Raises
    ------
    InputError
        If it cannot be read or lacks a column.
    """
    return read_csv_table(path, COLUMNS, "table of cost")


def formatted_costs(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of a table of cost as text, in its order; empty where a quantity has no meaning."""
    return [
        {
            "model": row["model"],
            "name": encoder_name(row["model"]) if row["group"] == ENCODERS else model_name(row["model"]),
            "group": row["group"],
            "group_name": "Pretraining of encoders" if row["group"] == ENCODERS else group_name(row["group"]),
            "parameters": _millions(row["parameters"]),
            "trainable": _millions(row["trainable"]),
            "wall": _clock(row["wall_s"]),
            "cpu": _clock(3600 * row["cpu_hours"]),
            "gpu": _clock(3600 * row["gpu_hours"]) if row["gpu_hours"] else "",
            "stamps_per_s": grouped(round(row["stamps_per_s"])),
            "memory_gb": fixed(row["peak_memory_mb"] / 1024, 1),
        }
        for row in table.to_dict("records")
    ]


def _clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds, which stay comparable down a column."""
    if seconds < 9.95:
        return f"0:00:0{seconds:.1f}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _millions(count: float) -> str:
    return "" if pd.isna(count) else f"{count / 1e6:.2f}"


#: Columns that are printed, in their order, and their heads.
_HEADS = {
    "parameters": "Parameters, M",
    "trainable": "Trained, M",
    "wall": "Time, h:min:s",
    "cpu": "CPU time",
    "gpu": "GPU time",
    "stamps_per_s": "Stamps/s",
    "memory_gb": "Memory, GB",
}


def cost_columns(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return key and head of the columns to print of formatted rows, without time of GPUs where none had any."""
    on_gpus = any(row["gpu"] for row in rows)
    return {key: head for key, head in _HEADS.items() if key != "gpu" or on_gpus}


#: What TeX takes for something else, and how it is written instead.
_TEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def tex_costs(table: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Return a table of cost as LaTeX (booktabs), with the experiments' titles as headings."""
    rows = formatted_costs(table)
    columns = cost_columns(rows)
    width = len(columns) + 1
    lines = [
        "% Time is the mean over seeds, memory the largest; features of frozen encoders, computed once for all",
        "% models that read them, are not counted. Devices: " + ", ".join(sorted(set(table["device"]))),
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["", *columns.values()]) + r" \\",
    ]
    heading = None
    for row, experiment in zip(rows, table["experiment"], strict=True):
        if (experiment, row["group"]) != heading:
            heading = (experiment, row["group"])
            text = f"{titles.get(experiment, experiment).translate(_TEX)}: {row['group_name'].lower()}"
            lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{{text}}}}} \\"]
        lines.append(" & ".join([row["name"], *(row[key] or "--" for key in columns)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def write_cost_table(
    provenance: Sequence[Path],
    networks: Path,
    titles: dict[str, str],
    csv: Path,
    tex: Path,
) -> None:
    """Write the table of cost as CSV and for LaTeX; see `cost_table` and `tex_costs`."""
    table = cost_table(provenance, networks)
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    write_text(tex, tex_costs(table, titles))
