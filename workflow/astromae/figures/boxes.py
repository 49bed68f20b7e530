"""Boxes, arrows and stamps that schemes of networks are drawn with, in inches."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from astromae.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PALE, PURPLE

#: Fill of each kind of box: a tint of the palette, light enough for black text.
FILLS = {
    name: tuple(1 - strength * (1 - int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    for name, colour, strength in (
        ("frozen", BLUE, 0.28),
        ("encoder", ORANGE, 0.40),
        ("inception", GREEN, 0.28),
        ("magnitude", PURPLE, 0.32),
        ("layers", GREY, 0.18),
        ("plain", "#FFFFFF", 1.0),
    )
}

#: Size of the text in boxes, points.
TEXT = 6.5


def canvas(figure: Figure) -> Axes:
    """Return axes over the whole figure, whose coordinates are inches from its lower left corner."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def box(
    axes: Axes, centre: tuple[float, float], size: tuple[float, float], text: str, kind: str, **style: object
) -> tuple[float, float, float, float]:
    """Draw a rounded box with text in its middle; return its left, right, bottom and top."""
    (x, y), (width, height) = centre, size
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.04",
        fc=FILLS[kind],
        ec=BLACK,
        lw=0.6,
        zorder=2,
        **style,
    )
    axes.add_patch(patch)
    axes.text(x, y, text, ha="center", va="center", fontsize=TEXT, linespacing=1.1, zorder=3)
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2


def arrow(axes: Axes, *points: tuple[float, float], text: str = "") -> None:
    """Draw an arrow through points, with text above the middle of its first leg."""
    for start, end in pairwise(points[:-1]):
        axes.plot(*zip(start, end, strict=True), color=BLACK, lw=0.6, solid_capstyle="round", zorder=1)
    head = FancyArrowPatch(
        points[-2],
        points[-1],
        arrowstyle="-|>,head_width=1.4,head_length=2.6",
        lw=0.6,
        color=BLACK,
        shrinkA=0,
        shrinkB=0,
    )
    axes.add_patch(head)
    if text:
        (x0, y0), (x1, y1) = points[0], points[1]
        axes.text((x0 + x1) / 2, (y0 + y1) / 2 + 0.04, text, ha="center", va="bottom", fontsize=TEXT - 0.5)


def plus(axes: Axes, x: float, y: float) -> None:
    """Draw the sign of a residual sum."""
    axes.plot(x, y, "o", ms=7, mfc="white", mec=BLACK, mew=0.6, zorder=2)
    axes.plot(x, y, "+", ms=4, color=BLACK, mew=0.6, zorder=3)


def note(axes: Axes, x: float, y: float, text: str, **style: object) -> None:
    """Write text beside boxes, by default centred below a point."""
    axes.text(x, y, text, **({"ha": "center", "va": "top", "fontsize": TEXT, "linespacing": 1.15} | style))


def patches(axes: Axes, centre: tuple[float, float], side: float, grid: int, shown: Sequence[int] | None) -> None:
    """Draw a stamp as a grid of patches, shaded like a galaxy; those that are not shown are hidden.

    Parameters
    ----------
    axes
        A `canvas`.
    centre, side
        Place and side, inches.
    grid
        Patches on a side.
    shown
        Patches that are visible, row by row from the top; all when None.
    """
    step = side / grid
    for number in range(grid**2):
        row, column = divmod(number, grid)
        radius = np.hypot(row - (grid - 1) / 2, 0.7 * (column - (grid - 1) / 2)) / grid
        tint = 0.12 + 0.75 * np.exp(-radius / 0.22)
        visible = shown is None or number in shown
        colour = tuple(1 - tint * (1 - int(BLUE[i : i + 2], 16) / 255) for i in (1, 3, 5)) if visible else PALE
        corner = centre[0] - side / 2 + column * step, centre[1] + side / 2 - (row + 1) * step
        axes.add_patch(Rectangle(corner, step, step, fc=colour, ec="white", lw=0.6, zorder=2))
    axes.add_patch(
        Rectangle((centre[0] - side / 2, centre[1] - side / 2), side, side, fc="none", ec=BLACK, lw=0.6, zorder=3)
    )


def millions(count: int) -> str:
    """Return a number of parameters in millions."""
    return f"{count / 1e6:.2f} M"
