"""The learning rate by update or epoch: this run's, and the paper's (figures 4, 5 and 8)."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from astromae.contracts.history import read_history
from astromae.figures.style import BLUE, FEW_POINTS, ONE_COLUMN, ORANGE, drawing
from astromae.settings.training import Schedule
from astromae.training.schedule import learning_rate

#: Published schedules: figure, peak parameter, schedule, epochs. Figure 5 is stated in the paper; figures 4
#: and 8 are curves that these parameters reproduce. Experiment 2's pretraining is not stated.
PUBLISHED = {
    ("pretraining", "experiment1"): (
        "figure 4",
        1.2e-3,
        Schedule(kind="cosine", warmup=200),
        2000,
    ),
    ("finetuning", "experiment1"): (
        "figure 5",
        1e-4,
        Schedule(kind="paper_steps", decay=0.995, restart_every=10),
        700,
    ),
    ("finetuning", "experiment2"): (
        "figure 8",
        1e-4,
        Schedule(kind="cosine", warmup=50),
        100,
    ),
}


def draw_learning_rate(phase: str, experiment: str, unit: str, history: Path, pdf: Path, png: Path) -> None:
    """Draw the learning rate of one run as its history recorded it, and the paper's schedule if it has one.

    Parameters
    ----------
    phase
        ``pretraining`` or ``finetuning``.
    experiment
        Name of the experiment.
    unit
        What the phase's budget counts: ``updates`` or ``epochs``.
    history
        History of a run of that phase.
    pdf, png
        Figure to write.
    """
    run = read_history(history)
    # A row stands at the end of its update or epoch; those of a schedule are counted from 0.
    done = run["update" if unit == "updates" else "epoch"].to_numpy() - 1
    panels = [("this run", BLUE, unit, done, run["learning_rate"].to_numpy())]
    if (phase, experiment) in PUBLISHED:
        figure_name, base, schedule, epochs = PUBLISHED[phase, experiment]
        steps = np.arange(epochs)
        rates = np.array([learning_rate(base, schedule, epochs, step) for step in steps])
        panels.append((f"paper, {figure_name}", ORANGE, "epochs", steps, rates))
    with drawing(pdf, png, ONE_COLUMN, 1.55) as figure:
        for axes, (title, colour, counted, steps, rates) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            power = int(np.floor(np.log10(rates.max())))
            few = len(steps) <= FEW_POINTS
            axes.plot(steps, rates / 10.0**power, color=colour, lw=1 if few else 0.6, marker="o" if few else "", ms=2.5)
            axes.set(title=title, xlabel=counted.removesuffix("s"), ylabel=rf"learning rate ($10^{{{power}}}$)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
            axes.set_ylim(0, 1.08 * rates.max() / 10.0**power)
