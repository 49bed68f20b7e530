"""Validation losses against wall time: encoders on the left, redshift models on the right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from astromae.contracts.history import read_history
from astromae.errors import InputError
from astromae.evaluation.records import read_provenance
from astromae.figures.style import BLACK, BLUE, GREEN, ORANGE, PALE, TWO_COLUMNS, drawing
from astromae.tables.names import encoder_name, model_name

#: What is trained decides how long it takes.
_KINDS = {
    "autoencoder": (BLACK, "masked autoencoder"),
    "pretraining": (BLACK, "pretraining"),
    "scratch": (ORANGE, "encoder from scratch"),
    "frozen": (BLUE, "frozen encoder"),
    "none": (GREEN, "no encoder"),
}


@dataclass(frozen=True)
class Run:
    """One training: its name, what is trained, wall time (s) at each validation, and validation loss."""

    name: str
    kind: str
    seconds: np.ndarray
    loss: np.ndarray


def read_run(provenance: Path, history: Path) -> Run:
    """Read a training; its wall time is spread evenly over its updates.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    record, measured = read_provenance(provenance), read_history(history)
    about, losses = record["recipe"], measured["val_loss"].to_numpy()
    seconds = record["wall_s"] * measured["update"].to_numpy() / measured["update"].iloc[-1]
    if "pretraining" in about:
        masked = about["pretraining"].get("objective", "mae") == "mae"
        return Run(encoder_name(about["name"]), "autoencoder" if masked else "pretraining", seconds, losses)
    branches = about["branches"]
    kind = "none" if branches["encoder"] is None else "frozen" if branches["frozen"] else "scratch"
    return Run(model_name(about["model"]), kind, seconds, losses)


def draw_loss_time(provenance: Sequence[Path], histories: Sequence[Path], predicted: str, pdf: Path, png: Path) -> None:
    """Draw the validation loss of every training of an experiment against its wall time.

    Parameters
    ----------
    provenance, histories
        What the trainings recorded, in the same order: provenance.json, history.csv.
    predicted
        What the models predict, for the axis: ``redshift``.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If a file cannot be read, or the lists differ in length.
    """
    if len(provenance) != len(histories):
        raise InputError(f"{len(provenance)} provenances for {len(histories)} histories; give both of every training")
    runs = [read_run(*files) for files in zip(provenance, histories, strict=True)]
    pretraining = ("autoencoder", "pretraining")
    parts = [
        ([run for run in runs if run.kind == "autoencoder"], "validation loss, hidden patches"),
        ([run for run in runs if run.kind == "pretraining"], "validation loss, pretraining"),
        ([run for run in runs if run.kind not in pretraining], f"validation loss, {predicted}"),
    ]
    parts = [(some, label) for some, label in parts if some]
    ratios = [0.8 if some[0].kind in pretraining else 1.2 for some, _ in parts]
    longest = max(len({run.name for run in some}) for some, _ in parts)
    with drawing(pdf, png, TWO_COLUMNS, max(2.0, 0.6 + 0.145 * longest)) as figure:
        for axes, (some, label) in zip(
            figure.subplots(1, len(parts), squeeze=False, width_ratios=ratios)[0], parts, strict=True
        ):
            smallest = min(run.loss.min() for run in some)
            power = 0 if smallest > 0.01 else int(np.floor(np.log10(smallest)))
            _curves(axes, [replace(run, loss=run.loss / 10.0**power) for run in some])
            axes.set(xlabel="wall time (s)", ylabel=rf"{label} ($10^{{{power}}}$)" if power else label)
        there = [kind for kind in _KINDS if any(run.kind == kind for run in runs)]
        handles = [Line2D([], [], color=_KINDS[kind][0], label=_KINDS[kind][1]) for kind in there]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _curves(axes: Axes, runs: Sequence[Run]) -> None:
    """Draw the losses of some trainings, and name each at the right edge, sorted by its last loss."""
    for run in runs:
        colour = _KINDS[run.kind][0]
        axes.plot(run.seconds, run.loss, color=colour, lw=0.8, alpha=0.9)
        axes.plot(run.seconds[-1], run.loss[-1], "o", color=colour, ms=2.5)
    axes.set(xscale="log", yscale="log")
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())
    last = {run.name: run for run in runs}  # of several seeds the last one is named
    ordered = sorted(last.values(), key=lambda run: run.loss[-1])
    low, high = np.log(axes.get_ylim())
    for place, run in zip(_spread(ordered, low, high), ordered, strict=True):
        axes.annotate(
            run.name,
            xy=(run.seconds[-1], run.loss[-1]),
            xytext=(1.03, place),
            textcoords="axes fraction",
            fontsize=6,
            color=BLACK,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": PALE, "lw": 0.5, "shrinkA": 1, "shrinkB": 2, "relpos": (0, 0.5)},
            zorder=1,
        )


def _spread(runs: Sequence[Run], low: float, high: float) -> np.ndarray:
    """Return heights for labels, ascending, near the last losses but not over each other (axes fractions)."""
    step = min(0.066, 1 / len(runs))
    places = np.array([(np.log(run.loss[-1]) - low) / (high - low) for run in runs])
    for _ in range(len(runs)):  # pushed up from below, then down from the top
        for number in range(1, len(places)):
            places[number] = max(places[number], places[number - 1] + step)
        places[-1] = min(places[-1], 0.98)
        for number in range(len(places) - 1, 0, -1):
            places[number - 1] = min(places[number - 1], places[number] - step)
        places[0] = max(places[0], 0.02)
    return places
