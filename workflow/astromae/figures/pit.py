"""The probability integral transform of each model's distributions, and all of them together against the truth."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from scipy import stats

from astromae.contracts.densities import read_densities
from astromae.evaluation.calibration import pit_tests
from astromae.evaluation.densities import galaxy_scores
from astromae.figures.style import BLACK, BLUE, COLOURS, ONE_COLUMN, PALE, TWO_COLUMNS, drawing, grid_of
from astromae.tables.names import model_name

#: Bins of the histogram of PIT.
BINS = 20


def draw_pit(predictions: Sequence[Path], pdf: Path, png: Path) -> None:
    """Draw the histogram of the test galaxies' PIT, a panel for each model; of several seeds the first given.

    The band holds 95 % of the bars of a sample of that size whose distributions are calibrated.

    Parameters
    ----------
    predictions
        Predictions of an experiment whose task has distributions.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    first = {}
    for path in predictions:
        given = read_densities(path)
        if given.model not in first:
            first[given.model] = galaxy_scores(given.edges, given.masses, given.target)["pit"]
    columns = min(4, len(first))
    rows = -(-len(first) // columns)
    width = ONE_COLUMN if columns <= 2 else TWO_COLUMNS
    with drawing(pdf, png, width, 0.4 + rows * 1.35) as figure:
        panels, _ = grid_of(figure, len(first), columns)
        highest = 0.0
        for axes, (model, pit) in zip(panels, first.items(), strict=True):
            n = len(pit)
            bars = np.histogram(pit, BINS, (0, 1))[0] * BINS / n
            low, high = np.array(stats.binom.interval(0.95, n, 1 / BINS)) * BINS / n
            highest = max(highest, high, bars.max())
            axes.axhspan(low, high, color=PALE, lw=0)
            axes.axhline(1, color=BLACK, lw=0.6)
            axes.stairs(bars, np.linspace(0, 1, BINS + 1), color=BLUE, lw=1.2)
            axes.set_title(model_name(model), pad=3)
            axes.set_xlim(0, 1)
            tests = pit_tests(pit)
            axes.text(
                0.5,
                0.06,
                f"KS {tests['pit_ks']:.3f}, p {tests['pit_ks_p']:.2g}",
                transform=axes.transAxes,
                ha="center",
                fontsize=7,
                color=BLACK,
            )
        # Panels share their axis, and a limit that is left open would be that of the first one.
        panels[0].set_ylim(0, 1.05 * highest)
        figure.supxlabel("PIT", fontsize=8)
        figure.supylabel("galaxies, of those expected", fontsize=8)


def draw_nz(predictions: Sequence[Path], pdf: Path, png: Path) -> None:
    """Draw the sum of each model's distributions beside the histogram of true redshifts; of several seeds the first.

    Parameters
    ----------
    predictions, pdf, png
        As in `draw_pit`.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    first = {}
    for path in predictions:
        given = read_densities(path)
        first.setdefault(given.model, given)
    with drawing(pdf, png, ONE_COLUMN, 2.4) as figure:
        axes = figure.subplots()
        truth = next(iter(first.values()))
        # Redshifts beyond the bins count in the outermost, as they do in training.
        counts = np.histogram(np.clip(truth.target, truth.edges[0], truth.edges[-1]), truth.edges)[0]
        axes.stairs(counts, truth.edges, color=PALE, fill=True, label="spectroscopic")
        for colour, (model, given) in zip(cycle(COLOURS), first.items(), strict=False):
            summed = given.masses.sum(axis=0, dtype=np.float64)
            axes.stairs(summed, given.edges, color=colour, lw=0.9, label=model_name(model), baseline=None)
        occupied = np.flatnonzero(counts)
        # Half a tenth beyond the last galaxy: most bins may be empty.
        last = occupied[-1] + 1 + len(counts) // 20 if len(occupied) else len(counts)
        end = truth.edges[min(last, len(counts))]
        axes.set(xlabel="redshift", ylabel="galaxies per bin", xlim=(truth.edges[0], end), ylim=(0, None))
        axes.legend()
