"""Metrics of this run and the published ones, side by side as dots with intervals."""

from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D

from astromae.figures.style import BLACK, GREEN, GROUP_COLOURS, PALE, TWO_COLUMNS, drawing
from astromae.tables.metrics import read_table
from astromae.tables.names import group_name, model_name
from astromae.tasks.redshift import METRICS

#: The paper's metrics.
_SHOWN = ("mse", "mae", "bias", "precision", "r2")


def draw_published(table: Path, pdf: Path, png: Path) -> None:
    """Draw one row a model and one panel a published metric.

    Parameters
    ----------
    table
        Table of an experiment.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the table cannot be read.
    """
    rows = read_table(table, METRICS)
    place = np.arange(len(rows))[::-1]
    with drawing(pdf, png, TWO_COLUMNS, 0.8 + 0.16 * len(rows)) as figure:
        for axes, metric in zip(figure.subplots(1, len(_SHOWN), sharey=True), _SHOWN, strict=True):
            for y, row in zip(place, rows.to_dict("records"), strict=True):
                colour = GROUP_COLOURS.get(row["group"], GREEN)
                axes.axhline(y, color=PALE, lw=0.4, zorder=0)
                axes.plot([row[f"{metric}_low"], row[f"{metric}_high"]], [y, y], color=colour, lw=1)
                axes.plot(row[metric], y, "o", color=colour, ms=3)
            axes.plot(rows[f"{metric}_published"], place, "D", mfc="white", mec=BLACK, mew=0.7, ms=3)
            axes.set(xlabel=METRICS[metric].printed.replace("R²", "$R^2$"), ylim=(-0.7, len(rows) - 0.3))
            axes.set_yticks(place, [model_name(model) for model in rows["model"]])
            axes.tick_params(axis="y", length=0)
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)
            axes.locator_params(axis="x", nbins=4)
        groups = list(dict.fromkeys(rows["group"]))
        handles = [
            Line2D([], [], color=GROUP_COLOURS.get(group, GREEN), marker="o", ms=3, lw=1, label=group_name(group))
            for group in groups
        ]
        handles.append(Line2D([], [], color=BLACK, marker="D", mfc="white", mew=0.7, ms=3, lw=0, label="published"))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
