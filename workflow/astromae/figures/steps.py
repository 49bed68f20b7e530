"""The steps `figure` and `sample`: they call the function of the family that a job names."""

from pathlib import Path
from typing import Any

from astromae.calling import make
from astromae.figures import FIGURES, SAMPLES


def draw_figure(family: str, pdf: Path, png: Path, **parameters: Any) -> None:
    """Draw a figure.

    Parameters
    ----------
    family
        Its family, one of `FIGURES`.
    pdf, png
        Figure to write.
    **parameters
        What the family's function wants besides.
    """
    make(FIGURES, family, {"pdf": pdf, "png": png, **parameters})


def take_sample(family: str, output: Path, **parameters: Any) -> None:
    """Take a sample of a run's galaxies.

    Parameters
    ----------
    family
        Its family, one of `SAMPLES`.
    output
        File to write.
    **parameters
        What the family's function wants besides.
    """
    make(SAMPLES, family, {"output": output, **parameters})
