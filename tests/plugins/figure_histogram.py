"""A figure of one's own: how the redshifts of an experiment's test galaxies are distributed."""

from collections.abc import Sequence
from pathlib import Path

from astromae.figures import FIGURES
from astromae.products import Product


def draw_histogram(predictions: Sequence[Path], bins: int, pdf: Path, png: Path) -> None:
    """Draw a histogram of true and predicted redshifts, of the first model."""
    from astromae.contracts.predictions import read_predictions
    from astromae.figures.style import BLUE, ONE_COLUMN, ORANGE, drawing

    test = read_predictions(predictions)
    predicted = test.models[0].predicted["z_pred"].mean(axis=0)
    with drawing(pdf, png, ONE_COLUMN, 2.2) as figure:
        axes = figure.subplots()
        axes.hist(test.targets["z_spec"], bins, color=BLUE, histtype="step", label="spectroscopic")
        axes.hist(predicted, bins, color=ORANGE, histtype="step", label="predicted")
        axes.set(xlabel="redshift", ylabel="galaxies")
        axes.legend()


FIGURES.register(
    "histogram",
    Product(
        "histogram-{experiment}",
        draw_histogram,
        inputs=lambda run, experiment: {"predictions": run.predictions(experiment)},
        settings=lambda run, experiment: {"bins": 12},
        members=lambda run: [{"experiment": name} for name in run.with_task("redshift")],
        caption="Distribution of redshifts\n=========================\n\nTest galaxies of "
        "{{ snakemake.wildcards.experiment }}, in twelve bins.\n",
    ),
)
