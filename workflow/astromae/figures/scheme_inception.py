"""The Inception module as a scheme, with its shapes (figure 3)."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from astromae.errors import InputError
from astromae.evaluation.records import read_json
from astromae.figures.boxes import arrow, box, canvas, millions, note
from astromae.figures.style import BLACK, TWO_COLUMNS, drawing

#: Height of the figure, inches.
HEIGHT = 2.5


def draw_inception(networks: Path, pdf: Path, png: Path) -> None:
    """Draw the module's way from stamp to features, and below it the branches of a block.

    Parameters
    ----------
    networks
        Description of the networks (``astromae networks``).
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the description cannot be read, or no configured model has the module.
    """
    described = read_json(networks, ("inception", "side", "bands"))
    module = described["inception"]
    if module is None:
        raise InputError(f"{networks}: no configured model has an Inception module")
    with drawing(pdf, png, TWO_COLUMNS, HEIGHT, layout="none") as figure:
        axes = canvas(figure)
        _pipeline(axes, HEIGHT - 0.42, module, described["bands"], described["side"])
        _block(axes, 0.86, module["blocks"])


def _pipeline(axes: Axes, y: float, module: Mapping, bands: int, side: int) -> None:
    """Draw stem, blocks and pools left to right; below each the shape that it hands on."""
    steps = [("stamp", None, (bands, side)), ("conv\n1×1", "plain", (module["stem"], side))]
    for number, block in enumerate(module["blocks"], 1):
        channels, before = steps[-1][2]
        if block["side"] < before:
            steps.append((f"mean\npool {before // block['side']}", "layers", (channels, block["side"])))
        steps.append((f"block\n{number}", "inception", (block["channels"], block["side"])))
    pitch = (TWO_COLUMNS - 0.75) / len(steps)
    x = 0.34
    edge = x + 0.22
    for text, kind, (channels, pixels) in steps:
        if kind is None:
            note(axes, x, y, text, va="center", fontsize=7.5)
        else:
            left, right, *_ = box(axes, (x, y), (pitch - 0.17, 0.36), text, kind)
            arrow(axes, (edge, y), (left, y))
            edge = right
        note(axes, x, y - 0.25, f"{channels}×{pixels}×{pixels}", fontsize=6)
        x += pitch
    arrow(axes, (edge, y), (x - pitch / 2 + 0.12, y))
    note(axes, x - pitch / 2 + 0.16, y, f"{module['features']}\nfeatures", ha="left", va="center", fontsize=7)
    note(
        axes, 0.12, y + 0.38, f"Inception module, {millions(module['parameters'])} parameters", ha="left", fontsize=7.5
    )


def _block(axes: Axes, y: float, blocks: list[Mapping]) -> None:
    """Draw the branches of a block; widths are those of all blocks in turn."""
    fullest = max(blocks, key=lambda block: len(block["branches"]))["branches"]
    lane = 0.36
    top = y + (len(fullest) - 1) / 2 * lane
    note(axes, 0.12, y, "a block; widths\nof blocks 1 to " + str(len(blocks)), ha="left", va="center", fontsize=7.5)
    fork, join = 1.42, 5.05
    for number, branch in enumerate(fullest):
        height = top - number * lane
        same = [_like(branch, block["branches"]) for block in blocks]
        centres = [2.30, 3.85] if len(branch) == 2 else [3.08]
        edge = fork
        axes.plot([fork, fork], [y, height], color=BLACK, lw=0.6, zorder=1)
        for place, centre in enumerate(centres):
            kernel = branch[place][0]
            if kernel == "pool":
                text = "max pool 3×3"
            else:
                widths = ", ".join("none" if found is None else str(found[place][1]) for found in same)
                text = f"conv {kernel}: {widths}"
            left, right, *_ = box(
                axes, (centre, height), (1.34, lane - 0.10), text, "layers" if kernel == "pool" else "inception"
            )
            arrow(axes, (edge, height), (left, height))
            edge = right
        axes.plot([edge, join, join], [height, height, y], color=BLACK, lw=0.6, zorder=1)
    axes.plot([1.20, fork], [y, y], color=BLACK, lw=0.6, zorder=1)
    left, right, *_ = box(axes, (5.62, y), (0.76, 0.34), "concatenate", "plain")
    arrow(axes, (join, y), (left, y))
    arrow(axes, (right, y), (6.30, y))


def _like(branch: list, branches: list) -> list | None:
    """Return the branch of a block that has the same kernels; None where the block has none."""
    kernels = [kernel for kernel, _ in branch]
    return next((other for other in branches if [kernel for kernel, _ in other] == kernels), None)
