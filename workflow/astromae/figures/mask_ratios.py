"""A study's figure: error against the fraction of the patches that is hidden from masked autoencoders."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from astromae.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, TWO_COLUMNS, drawing
from astromae.studies import SUPERVISED
from astromae.tables.label_curves import NO_NETWORK, headline_of, read_error_table
from astromae.tasks import NamedTask, task_of

#: Colours of networks, in their order.
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)

#: Line, marker and name of encoders that stay as they are, and of those that learn with the labels.
_LOOKS = {True: ("--", "s", "frozen"), False: ("-", "o", "fine-tuned")}


def draw_mask_ratios(table: Path, task: NamedTask, ratios: Mapping[str, float], pdf: Path, png: Path) -> None:
    """Draw the headline metric and its interval against the fraction that is hidden, by number of labels.

    Parameters
    ----------
    table
        The study's table of errors.
    task
        Name of its task.
    ratios
        Fraction of the patches that is hidden, by the name of the masked autoencoder.
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
    rows = rows[rows["network"] != NO_NETWORK]
    masked = rows[rows["objective"].isin(ratios)].assign(ratio=lambda own: own["objective"].map(ratios))
    labels = sorted(masked["n_labels"].unique())
    colours = dict(zip(dict.fromkeys(masked["network"]), cycle(_COLOURS), strict=False))
    with drawing(pdf, png, TWO_COLUMNS, 2.6) as figure:
        panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
        for axes, count in zip(panels, labels, strict=True):
            for (network, frozen), own in masked[masked["n_labels"] == count].groupby(
                ["network", "frozen"], sort=False
            ):
                own = own.sort_values("ratio")
                line, marker, name = _LOOKS[frozen]
                ends = [own[headline] - own[f"{headline}_low"], own[f"{headline}_high"] - own[headline]]
                style = {"color": colours[network], "ls": line, "marker": marker, "ms": 3.5, "lw": 0.9}
                axes.errorbar(own["ratio"], own[headline], ends, elinewidth=0.7, label=f"{network}, {name}", **style)
            for _, own in rows[(rows["n_labels"] == count) & (rows["objective"] == SUPERVISED)].iterrows():
                axes.axhspan(own[f"{headline}_low"], own[f"{headline}_high"], color=GREY, alpha=0.25, lw=0)
                axes.axhline(own[headline], color=GREY, lw=0.9, label=f"{own['network']}, labels only")
            axes.set(xlabel="fraction of patches hidden", title=f"{count:,} labels")
        panels[0].set_ylabel(metrics[headline].printed)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
