"""Losses by update or epoch: of pretraining in one panel, of fine-tuning one panel a model."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from astromae.contracts.history import read_history
from astromae.errors import InputError
from astromae.figures.style import (
    BLUE,
    FEW_POINTS,
    GREEN,
    GREY,
    ONE_COLUMN,
    ORANGE,
    PALE,
    PURPLE,
    RED,
    TWO_COLUMNS,
    drawing,
    grid_of,
)
from astromae.flatness import still_falling
from astromae.tables.names import encoder_name, model_name

#: A range of losses that is wider than this factor is drawn on a logarithmic axis.
LOGARITHMIC_FROM = 10

#: Behind the name of a training whose loss was still falling when its budget ended.
FALLING = "†"

#: The column of a history that counts a budget's unit.
COLUMN = {"updates": "update", "epochs": "epoch"}

#: Columns of a pretraining's history that tell a collapse, and how their axes name them.
WATCHED = {"deviation": "deviation", "rank": "rank", "knn_nmad": "NMAD, $k$NN"}

_COLOURS = (ORANGE, BLUE, GREEN, RED, PURPLE)


def draw_finetuning(
    models: Sequence[str], histories: Sequence[Path], unit: str, loss: str, pdf: Path, png: Path
) -> None:
    """Draw training and validation loss of every model over the validation losses of all.

    Parameters
    ----------
    models
        Name of the model of each history; a name that comes again is another seed of it.
    histories
        Histories of the fine-tuning.
    unit
        What the budget counts: ``updates`` or ``epochs``.
    loss
        What the loss is, for the axis.
    pdf, png
        Figure to write.
    """
    if len(models) != len(histories):
        raise InputError(f"{len(models)} names of models for {len(histories)} histories; give one for each")
    runs = [read_history(path) for path in histories]
    names = list(dict.fromkeys(models))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    width = ONE_COLUMN if columns <= 2 else TWO_COLUMNS
    with drawing(pdf, png, width, 0.55 + 1.3 * rows) as figure:
        panels, _ = grid_of(figure, len(names), columns)
        for axes, name in zip(panels, names, strict=True):
            for model, run in zip(models, runs, strict=True):
                if model != name:
                    axes.plot(run[COLUMN[unit]], run["val_loss"], color=PALE, lw=0.6, zorder=1)
            for model, run in zip(models, runs, strict=True):
                if model == name:
                    marker = "o" if len(run) <= FEW_POINTS else ""
                    done = run[COLUMN[unit]]
                    axes.plot(done, run["train_loss"], color=ORANGE, lw=1, ls="--", marker=marker, ms=1.5)
                    axes.plot(done, run["val_loss"], color=BLUE, marker=marker, ms=1.5)
            falls = any(still_falling(run) for model, run in zip(models, runs, strict=True) if model == name)
            axes.set_title(model_name(name) + FALLING * falls, pad=3)
            axes.set_yscale("log")
        panels[0].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
        figure.supxlabel(f"{unit} done", fontsize=8)
        figure.supylabel(loss, fontsize=8)
        handles = [
            Line2D([], [], color=ORANGE, ls="--", lw=1, label="training"),
            Line2D([], [], color=BLUE, label="validation"),
            Line2D([], [], color=PALE, lw=0.6, label="validation, others"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)


def draw_pretraining(
    encoders: Sequence[str], histories: Sequence[Path], unit: str, loss: str, pdf: Path, png: Path
) -> None:
    """Draw training and validation loss of every encoder, and below it what tells a collapse (`WATCHED`).

    Parameters
    ----------
    encoders
        Name of the encoder of each history; a name that comes again is another seed of it.
    histories
        Histories of the pretraining.
    unit
        What the budget counts: ``updates`` or ``epochs``.
    loss
        What the loss is, for the axis.
    pdf, png
        Figure to write.
    """
    if len(encoders) != len(histories):
        raise InputError(f"{len(encoders)} names of encoders for {len(histories)} histories; give one for each")
    runs = [read_history(path) for path in histories]
    names = list(dict.fromkeys(encoders))
    falling = {name for name, run in zip(encoders, runs, strict=True) if still_falling(run)}
    watched = [name for name in WATCHED if any(name in run and run[name].notna().any() for run in runs)]
    with drawing(pdf, png, ONE_COLUMN, 2.2 + 0.9 * len(watched)) as figure:
        ratios = [2.2, *[0.9] * len(watched)]
        axes, *below = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        for encoder, history in zip(encoders, runs, strict=True):
            colour = _COLOURS[names.index(encoder) % len(_COLOURS)]
            done, marker = history[COLUMN[unit]], "o" if len(history) <= FEW_POINTS else ""
            axes.plot(done, history["train_loss"], color=colour, ls="--", lw=0.9)
            axes.plot(done, history["val_loss"], color=colour, marker=marker, ms=2.5)
            for panel, name in zip(below, watched, strict=True):
                if name in history:
                    panel.plot(done, history[name], color=colour, marker=marker, ms=2.5)
        axes.set(ylabel=loss)
        for panel, name in zip(below, watched, strict=True):
            panel.set(ylabel=WATCHED[name], ylim=(0, None))
        (below[-1] if below else axes).set(xlabel=f"{unit} done")
        low, high = axes.dataLim.intervaly
        if high > LOGARITHMIC_FROM * low > 0:
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        handles = [
            Line2D([], [], color=_COLOURS[n % len(_COLOURS)], label=encoder_name(name) + FALLING * (name in falling))
            for n, name in enumerate(names)
        ]
        handles += [Line2D([], [], color=GREY, ls="--", lw=0.9, label="training")]
        handles += [Line2D([], [], color=GREY, label="validation")]
        axes.legend(handles=handles, ncols=2)
