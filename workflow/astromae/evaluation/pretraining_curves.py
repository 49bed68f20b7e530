"""Losses of the masked autoencoders by epoch."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from astromae.errors import InputError
from astromae.evaluation.histories import read_history
from astromae.evaluation.names import encoder_name
from astromae.evaluation.style import BLUE, FEW_EPOCHS, GREEN, GREY, ONE_COLUMN, ORANGE, PURPLE, RED, drawing

#: A range of losses that is wider than this factor is drawn on a logarithmic axis.
LOGARITHMIC_FROM = 10

_COLOURS = (ORANGE, BLUE, GREEN, RED, PURPLE)


def draw_pretraining(encoders: Sequence[str], histories: Sequence[Path], pdf: Path, png: Path) -> None:
    """Draw training and validation loss of every encoder.

    Parameters
    ----------
    encoders
        Name of the encoder of each history; a name that comes again is another seed of it.
    histories
        Histories of the pretraining.
    pdf, png
        Figure to write.
    """
    if len(encoders) != len(histories):
        raise InputError(f"{len(encoders)} names of encoders for {len(histories)} histories; give one for each")
    names = list(dict.fromkeys(encoders))
    with drawing(pdf, png, ONE_COLUMN, 2.2) as figure:
        axes = figure.subplots()
        for encoder, path in zip(encoders, histories, strict=True):
            colour = _COLOURS[names.index(encoder) % len(_COLOURS)]
            history = read_history(path)
            epoch = history["epoch"] + 1
            axes.plot(epoch, history["train_loss"], color=colour, ls="--", lw=0.9)
            axes.plot(epoch, history["val_loss"], color=colour, marker="o" if len(epoch) <= FEW_EPOCHS else "", ms=2.5)
        axes.set(xlabel="epochs done", ylabel="mean squared error, masked patches")
        low, high = axes.dataLim.intervaly
        if high > LOGARITHMIC_FROM * low > 0:
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        handles = [
            Line2D([], [], color=_COLOURS[n % len(_COLOURS)], label=encoder_name(name)) for n, name in enumerate(names)
        ]
        handles += [Line2D([], [], color=GREY, ls="--", lw=0.9, label="training")]
        handles += [Line2D([], [], color=GREY, label="validation")]
        axes.legend(handles=handles, ncols=2)
