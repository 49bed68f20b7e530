"""Predicted against spectroscopic redshift, coloured by density, one panel a model (figures 9 to 11)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator, StrMethodFormatter
from scipy.ndimage import gaussian_filter, map_coordinates

from astromae.contracts.predictions import read_predictions
from astromae.errors import InputError
from astromae.figures.style import BLACK, DENSITY_MAP, ONE_COLUMN, RED, TWO_COLUMNS, drawing, grid_of
from astromae.tables.names import model_name
from astromae.tasks.redshift import dispersion, normalised_error

#: Side of the cells in which density is counted, and width of the Gaussian that smooths it, in redshift.
CELL, SMOOTHING = 0.01, 0.01

#: The common range ends on a multiple of this redshift.
ROUND_TO = 0.05


def local_density(z_spec: np.ndarray, z_pred: np.ndarray, limit: float) -> np.ndarray:
    """Return the density at each galaxy, in galaxies a cell of 0.01 by 0.01 in redshift.

    Parameters
    ----------
    z_spec, z_pred
        Redshifts, shape (n,), inside 0 to `limit`.
    limit
        End of the range.
    """
    cells = max(1, round(limit / CELL))
    counts, _, _ = np.histogram2d(z_spec, z_pred, bins=cells, range=[[0, limit], [0, limit]])
    smooth = gaussian_filter(counts, SMOOTHING / CELL, mode="constant")
    places = np.stack([z_spec, z_pred]) / limit * cells - 0.5  # in cells, counted at their centres
    # a galaxy is never denser than the field nor sparser than itself alone
    alone = 1 / (2 * np.pi * (SMOOTHING / CELL) ** 2)
    return np.maximum(map_coordinates(smooth, places, order=1, mode="nearest"), alone)


def draw_density(predictions: Sequence[Path], groups: Sequence[str] | None, pdf: Path, png: Path) -> None:
    """Draw one panel a model; range and colours are common to all models of the given files.

    Parameters
    ----------
    predictions
        All predictions of an experiment. Of a model with several seeds the first given is drawn.
    groups
        Groups whose models are drawn; all when None or empty.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the predictions do not fit together, or no model is of the groups.
    """
    data = read_predictions(predictions)
    shown = [model for model in data.models if not groups or model.group in groups]
    if not shown:
        there = ", ".join(sorted({model.group for model in data.models}))
        raise InputError(f"no model of the groups {', '.join(groups)}; the predictions hold: {there}")
    z_spec, predicted = data.targets["z_spec"], {model.model: model.predicted["z_pred"][0] for model in data.models}
    limit = ROUND_TO * np.ceil(z_spec.max() / ROUND_TO + 1e-9)
    clipped = {name: np.clip(z_pred, 0, limit) for name, z_pred in predicted.items()}
    density = {name: local_density(z_spec, z_pred, limit) for name, z_pred in clipped.items()}
    norm = LogNorm(min(map(np.min, density.values())), max(map(np.max, density.values())))

    columns = 4 if len(shown) > 4 else len(shown)
    rows = -(-len(shown) // columns)
    width = ONE_COLUMN if columns <= 2 else TWO_COLUMNS
    side = (width - 0.95) / columns  # without the labels on the left and the bar on the right
    with drawing(pdf, png, width, 0.3 + rows * (side + 0.2), layout="compressed") as figure:
        panels, _ = grid_of(figure, len(shown), columns)
        for axes, model in zip(panels, shown, strict=True):
            points = _panel(axes, z_spec, clipped[model.model], density[model.model], limit, norm)
            _note(axes, z_spec, predicted[model.model], limit, model.seeds)
            axes.set_title(model_name(model.model), pad=3)
        figure.supxlabel("spectroscopic redshift", fontsize=8)
        figure.supylabel("predicted redshift", fontsize=8)
        bar = figure.colorbar(points, ax=panels, pad=0.01, aspect=14 * rows, fraction=0.05)
        bar.set_label("galaxies per 0.01 × 0.01")
        bar.locator, bar.formatter = LogLocator(subs=(1, 2, 5)), StrMethodFormatter("{x:g}")
        bar.minorticks_off()


def _panel(
    axes: Axes, z_spec: np.ndarray, z_pred: np.ndarray, density: np.ndarray, limit: float, norm: LogNorm
) -> object:
    order = np.argsort(density, kind="stable")  # the densest on top
    points = axes.scatter(
        z_spec[order],
        z_pred[order],
        c=density[order],
        s=2.5 if len(order) < 5000 else 0.8,
        lw=0,
        cmap=DENSITY_MAP,
        norm=norm,
        rasterized=True,
    )
    axes.plot([0, limit], [0, limit], color=RED, lw=0.8)
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    ticks = np.arange(0, limit + 1e-9, 0.1 if limit < 0.5 else 0.2)
    axes.set_yticks(ticks)
    axes.set_xticks(ticks[ticks < limit - 1e-9])  # the last one would meet the next panel's first
    return points


def _note(axes: Axes, z_spec: np.ndarray, z_pred: np.ndarray, limit: float, seeds: Sequence[int]) -> None:
    """Write the dispersion into a panel, and how many galaxies lie beyond its edges."""
    lines = [f"NMAD {dispersion(normalised_error(z_spec, z_pred)):.4f}"]
    outside = int(np.sum((z_pred < 0) | (z_pred > limit)))
    if outside:
        lines.append(f"{outside} beyond the edge")
    if len(seeds) > 1:
        lines.append(f"seed {seeds[0]}")
    backing = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
    axes.text(
        0.96,
        0.04,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="right",
        fontsize=7,
        color=BLACK,
        bbox=backing,
        zorder=2.4,  # over points and line, under the frame
    )
