"""Bias and dispersion against redshift, magnitude and colour."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from astromae.contracts.predictions import read_predictions
from astromae.errors import InputError
from astromae.evaluation.binned import Binned, binned_metrics
from astromae.evaluation.representatives import best_of_groups
from astromae.figures.style import BLACK, GREEN, GREY, GROUP_COLOURS, PALE, TWO_COLUMNS, drawing
from astromae.settings.evaluation import Evaluation
from astromae.tables.names import model_name

#: Metrics that are drawn, each a row of panels, and what is written on their axes.
ROWS = {"bias": r"bias $\langle\Delta z\rangle$", "nmad": r"NMAD of $\Delta z$"}

_MARKERS = "osD^v"

#: Models stand beside each other by this fraction of the axis.
_APART = 0.012


def read_magnitudes(path: Path, objid: np.ndarray) -> pd.DataFrame:
    """Return two magnitudes of galaxies, in their order; NaN where one was not measured.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a galaxy.
    """
    try:
        table = pd.read_parquet(path).set_index("objid").filter(like="mag_")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a readable table of objid and magnitudes ({error})") from error
    if table.shape[1] != 2:
        raise InputError(f"{path}: has {table.shape[1]} magnitudes; two are needed, whose difference is the colour")
    absent = np.setdiff1d(objid, table.index)
    if len(absent):
        raise InputError(f"{path}: lacks {len(absent)} of {len(objid)} test galaxies, first {absent[0]}")
    return table.loc[objid].astype(np.float64)


def draw_residuals(predictions: Sequence[Path], magnitudes: Path, settings: Evaluation, pdf: Path, png: Path) -> None:
    """Draw bias, NMAD and number of test galaxies in bins of true and of predicted redshift, magnitude and colour.

    Of each group of models the one is drawn that scatters least on the validation galaxies.

    Parameters
    ----------
    predictions
        All predictions of an experiment.
    magnitudes
        Magnitudes of its test galaxies (`sampling.write_magnitudes`).
    settings
        The configuration's section ``evaluation``.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If a file cannot be read, or the files do not fit together.
    """
    test = read_predictions(predictions)
    chosen = best_of_groups(test, predictions)
    models = tuple(next(model for model in test.models if model.model == name) for name in chosen)
    shown = replace(test, models=models)
    table = read_magnitudes(magnitudes, test.objid)
    shorter, reference = (name.removeprefix("mag_") for name in table.columns)
    quantities = {
        "spectroscopic redshift": test.targets["z_spec"],
        # Each model's own. No estimate is unbiased in both (Lin et al. 2022, A&A 662, A36).
        "predicted redshift": np.stack([model.predicted["z_pred"].mean(axis=0) for model in models]),
        f"${reference}$ (mag)": table[f"mag_{reference}"].to_numpy(),
        f"${shorter}-{reference}$ (mag)": (table[f"mag_{shorter}"] - table[f"mag_{reference}"]).to_numpy(),
    }
    with drawing(pdf, png, TWO_COLUMNS, 3.9) as figure:
        grid = figure.subplots(
            len(ROWS) + 1, len(quantities), sharex="col", sharey="row", height_ratios=[1] * len(ROWS) + [0.55]
        )
        for column, (label, quantity) in zip(grid.T, quantities.items(), strict=True):
            known = np.isfinite(np.atleast_2d(quantity)).all(axis=0)
            finite = quantity[..., known]
            binned = binned_metrics(finite, shown.of_galaxies(known), settings, tuple(ROWS))
            low, high = np.quantile(finite, [0.002, 0.998])
            column[0].set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
            for axes, metric in zip(column, ROWS, strict=False):
                _points(axes, binned, metric, [model.group for model in models])
            _counts(column[-1], binned)
            column[-1].set_xlabel(label)
        for axes, label in zip(grid[:, 0], [*ROWS.values(), "galaxies"], strict=True):
            axes.set_ylabel(label)
        for axes in grid[0]:
            axes.axhline(0, color=GREY, lw=0.6, zorder=1)
        for axes in grid[1]:
            axes.set_ylim(bottom=0)
        figure.align_ylabels(grid[:, 0])
        handles = [
            grid[0, 0].errorbar(
                [], [], [], color=GROUP_COLOURS.get(model.group, GREEN), fmt=marker, ms=3, label=model_name(model.model)
            )
            for marker, model in zip(_markers(len(models)), models, strict=True)
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _short(count: int) -> str:
    """Return a count that fits over a narrow bin."""
    return f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k"


def _markers(count: int) -> str:
    return "".join(_MARKERS[number % len(_MARKERS)] for number in range(count))


def _points(axes: Axes, binned: Binned, metric: str, groups: Sequence[str]) -> None:
    """Draw a metric of every model with its interval, models beside each other, and the ends of the bins."""
    for edge in binned.edges[1:-1]:
        axes.axvline(edge, color=PALE, lw=0.4, zorder=0)
    width = np.diff(axes.get_xlim())[0]
    for number, (marker, group) in enumerate(zip(_markers(len(groups)), groups, strict=True)):
        value = binned.value[metric][number]
        reach = np.stack([value - binned.low[metric][number], binned.high[metric][number] - value])
        axes.errorbar(
            binned.centre + (number - (len(groups) - 1) / 2) * _APART * width,
            value,
            np.maximum(reach, 0),
            color=GROUP_COLOURS.get(group, GREEN),
            fmt=marker,
            ms=3,
            lw=1,
        )


def _counts(axes: Axes, binned: Binned) -> None:
    """Draw the number of galaxies in each bin, and write it."""
    axes.stairs(binned.count, binned.edges, color=BLACK, fill=True, alpha=0.15)
    axes.stairs(binned.count, binned.edges, color=BLACK, lw=0.7)
    axes.set_ylim(0, 1.35 * max(binned.count.max(), axes.get_ylim()[1] / 1.35))
    low, high = axes.get_xlim()
    for left, right, count in zip(binned.edges, binned.edges[1:], binned.count, strict=False):
        middle = (max(left, low) + min(right, high)) / 2
        axes.text(middle, count, _short(count), ha="center", va="bottom", fontsize=5.5)
