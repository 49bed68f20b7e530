"""Error against the number of labelled galaxies, for models that several experiments trained."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.ticker import NullLocator

from astromae.errors import InputError
from astromae.figures.style import BLACK, BLUE, GREEN, ONE_COLUMN, ORANGE, PURPLE, RED, drawing
from astromae.tables.metrics import read_table
from astromae.tables.names import model_name
from astromae.tasks.redshift import METRICS

#: Models that share a number of labels stand beside each other by this factor.
_APART = 1.02

#: How the models are told apart, in their order.
_LOOKS = ((ORANGE, "o"), (BLUE, "s"), (BLACK, "D"), (GREEN, "^"), (RED, "v"), (PURPLE, "P"))


def draw_labels(tables: Sequence[Path], pdf: Path, png: Path) -> None:
    """Draw each model's NMAD with its interval against the number of its labelled training galaxies.

    Parameters
    ----------
    tables
        Tables of the experiments. Only models that stand in several of them are drawn.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If a table cannot be read, or no model stands in two of them.
    """
    rows = pd.concat([read_table(path, METRICS) for path in tables])
    shared = [model for model, same in rows.groupby("model", sort=False) if same["n_train"].nunique() > 1]
    if not shared:
        raise InputError(f"{', '.join(map(str, tables))}: no model was trained on two numbers of labels")
    labels = sorted(rows[rows["model"].isin(shared)]["n_train"].unique())
    with drawing(pdf, png, ONE_COLUMN, 2.2) as figure:
        axes = figure.subplots()
        for number, model in enumerate(shared):
            same = rows[rows["model"] == model].sort_values("n_train")
            colour, marker = _LOOKS[number % len(_LOOKS)]
            axes.errorbar(
                same["n_train"] * _APART ** (number - (len(shared) - 1) / 2),
                same["nmad"],
                [same["nmad"] - same["nmad_low"], same["nmad_high"] - same["nmad"]],
                color=colour,
                marker=marker,
                ms=3.5,
                lw=0.8,
                elinewidth=1,
                label=model_name(model),
            )
        axes.set(xscale="log", xlabel="labelled training galaxies", ylabel=r"NMAD of $\Delta z$")
        axes.set_ylim(0, 1.08 * rows.loc[rows["model"].isin(shared), "nmad_high"].max())
        axes.set_xticks(labels, [f"{count:,}" for count in labels])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.15)
        axes.legend(loc="lower left")
