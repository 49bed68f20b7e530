"""A study's figure: error against the number of labels, a panel for each network."""

from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from astromae.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, TWO_COLUMNS, drawing
from astromae.studies import RANDOM, SUPERVISED
from astromae.tables.label_curves import NO_NETWORK, headline_of, read_error_table
from astromae.tables.names import objective_name
from astromae.tasks import NamedTask, task_of

#: Colours and markers of objectives, in their order.
_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (RED, "v"), (SKY, "P"))

#: Those of the lines that every study has, and of classical methods.
_REFERENCES = {SUPERVISED: (BLACK, "x"), RANDOM: (GREY, "+")}
_CLASSICAL = (":", "-.", (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)))

#: Lines share a number of labels; they stand beside each other by this factor.
_APART = 1.02


def draw_label_curves(table: Path, task: NamedTask, pdf: Path, png: Path) -> None:
    """Draw the headline metric with its interval against the number of labels, by way to learn.

    Parameters
    ----------
    table
        The study's table of errors.
    task
        Name of its task.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the table cannot be read.
    """
    rows = read_error_table(table)
    metrics = task_of(task).metrics
    headline = headline_of(metrics)
    networks = [name for name in dict.fromkeys(rows["network"]) if name != NO_NETWORK]
    trained = list(dict.fromkeys(rows["objective"][rows["network"] != NO_NETWORK]))
    others = [name for name in trained if name not in _REFERENCES]
    looks = {name: _LOOKS[number % len(_LOOKS)] for number, name in enumerate(others)} | _REFERENCES
    labels = sorted(rows["n_labels"].unique())
    with drawing(pdf, png, TWO_COLUMNS, 2.9) as figure:
        panels = figure.subplots(1, max(1, len(networks)), sharey=True, squeeze=False)[0]
        for axes, network in zip(panels, networks, strict=False):
            own = rows[rows["network"] == network]
            ways = list(own.groupby(["objective", "frozen"], sort=False))
            for number, ((objective, frozen), same) in enumerate(ways):
                colour, marker = looks[objective]
                shift = _APART ** (number - (len(ways) - 1) / 2)
                style = "--" if frozen else "-"
                name = objective_name(objective)
                if objective not in _REFERENCES:
                    name += ", frozen" if frozen else ", fine-tuned"
                _draw(axes, same, headline, shift, color=colour, marker=marker, ls=style, label=name)
            classical = rows[rows["network"] == NO_NETWORK].groupby("objective", sort=False)
            for (objective, same), style in zip(classical, cycle(_CLASSICAL), strict=False):
                _draw(axes, same, headline, 1, color=BLACK, marker="", ls=style, label=objective_name(objective))
            axes.set(xscale="log", yscale="log", xlabel="labelled training galaxies", title=network)
            axes.set_xticks(labels, [f"{count:,}" for count in labels])
            axes.xaxis.set_minor_locator(NullLocator())
        panels[0].set_ylabel(metrics[headline].printed)
        handles: dict[str, object] = {}
        for axes in panels:
            for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(name, handle)
        figure.legend(handles.values(), handles.keys(), loc="outside right center")


def _draw(axes: Axes, rows: pd.DataFrame, metric: str, shift: float, **look: object) -> None:
    rows = rows.sort_values("n_labels")
    ends = [rows[metric] - rows[f"{metric}_low"], rows[f"{metric}_high"] - rows[metric]]
    axes.errorbar(rows["n_labels"] * shift, rows[metric], ends, ms=3.5, lw=0.9, elinewidth=0.7, **look)
