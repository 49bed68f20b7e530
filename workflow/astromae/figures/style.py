"""How every figure looks, and how it is written: fonts, sizes, colours, and bytes that repeat."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from astromae.files import atomic_path

#: Widths of a figure that spans one or two columns of a journal page (86 and 178 mm), inches.
ONE_COLUMN, TWO_COLUMNS = 3.39, 7.01

#: Colours that stay apart in every common kind of colour blindness (Okabe & Ito 2008).
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
BLACK, GREY, PALE = "#222222", "#767676", "#D0D0D0"

#: Colours of lines that no group tells apart, in turn.
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

#: Colours of the bands of SDSS, from short to long waves; others are black.
BAND_COLOURS = dict(zip("ugriz", (PURPLE, BLUE, GREEN, ORANGE, RED), strict=True))

#: Colours of the groups of models; a group of the user's own is green.
GROUP_COLOURS = {"scratch": ORANGE, "pretrained": BLUE, "random": PURPLE, "classical": BLACK}

#: Curves of at most this many points show each of them as a dot.
FEW_POINTS = 40

#: Sequential map for densities: monotonic in lightness, legible without colour.
DENSITY_MAP = "viridis"

#: STIX, a Times-like face with all mathematics, comes with matplotlib: figures look alike on any machine.
_RC = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "figure.dpi": 200,
    "image.interpolation": "nearest",
}


@contextlib.contextmanager
def drawing(pdf: Path, png: Path, width: float, height: float, layout: str = "constrained") -> Iterator[Figure]:
    """Yield an empty figure in the common style, written to both files when the block ends.

    Neither file holds a date, and nothing of the machine enters: the same drawing has the same bytes.

    Parameters
    ----------
    pdf, png
        Files to write.
    width, height
        Size in inches; `ONE_COLUMN` and `TWO_COLUMNS` are the widths of the page.
    layout
        Layout engine; ``compressed`` closes the gaps between panels of a fixed aspect, ``none`` leaves axes
        where they are put.
    """
    with mpl.rc_context({**mpl.rcParamsDefault, **_RC}):
        figure = Figure(figsize=(width, height), layout=layout)
        FigureCanvasAgg(figure)
        if figure.get_layout_engine() is not None:
            figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
        yield figure
        # Not `savefig`, which draws each file twice and looks for the places of all panels as often. The second has
        # the places of the first.
        with atomic_path(png) as temporary:
            FigureCanvasAgg(figure).print_png(temporary)
        if figure.get_layout_engine() is not None:
            figure.set_layout_engine("none")
        with atomic_path(pdf) as temporary:
            FigureCanvasPdf(figure).print_pdf(temporary, metadata={"CreationDate": None})


def bare(axes: Axes) -> None:
    """Take ticks and tick labels from axes that show an image."""
    axes.set(xticks=[], yticks=[])


def grid_of(figure: Figure, count: int, columns: int, **options: object) -> tuple[list[Axes], list[Axes]]:
    """Return `count` axes on a grid that shares its ranges, and the grid's places that stay empty.

    Where the place below a panel is empty, the panel keeps the tick labels of its column.
    """
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False, **options)
    places = list(np.ravel(grid))
    for place in places[count:]:
        place.set_visible(False)
    for place in places[max(0, count - columns) : count]:
        place.tick_params(labelbottom=True)
    return places[:count], places[count:]
