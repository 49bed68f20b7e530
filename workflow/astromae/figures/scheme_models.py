"""The redshift models as schemes: their branches, what is frozen, and how they are joined (figures 6 and 7)."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes

from astromae.evaluation.records import read_networks
from astromae.figures.boxes import FILLS, arrow, box, canvas, millions, note
from astromae.figures.style import BLACK, TWO_COLUMNS, drawing
from astromae.tables.names import GROUPS, group_name, model_name

#: Models beside each other.
COLUMNS = 3

#: Heights of a branch, of a model's name, of a group's heading and of the key, and the gap below a model, inches.
LANE, NAME, HEADING, KEY, GAP = 0.33, 0.20, 0.22, 0.24, 0.14


def draw_models(networks: Path, models: Sequence[str], pdf: Path, png: Path) -> None:
    """Draw every model: inputs, branches, the layers that follow, the joined vector, the redshift.

    Parameters
    ----------
    networks
        Description of the networks (``astromae networks``).
    models
        Names of the models to draw.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the description cannot be read or lacks a model.
    """
    chosen, stamp = read_networks(networks, "models", models)
    rows = _rows(chosen)
    height = KEY + sum(_height(row) + HEADING * bool(heading) for heading, row in rows)
    with drawing(pdf, png, TWO_COLUMNS, height, layout="none") as figure:
        axes = canvas(figure)
        _key(axes, height - KEY / 2)
        top = height - KEY
        for heading, row in rows:
            if heading:
                note(axes, 0.05, top - 0.03, heading, ha="left", fontsize=8, style="italic")
                top -= HEADING
            for column, model in enumerate(row):
                _model(axes, column * TWO_COLUMNS / COLUMNS, top, model, stamp)
            top -= _height(row)


def _rows(models: Sequence[Mapping]) -> list[tuple[str, list[Mapping]]]:
    """Return the models in rows, group by group, the first row of each with the group's heading."""
    rows = []
    for group in dict.fromkeys([*GROUPS, *(model["group"] for model in models)]):
        same = [model for model in models if model["group"] == group]
        for start in range(0, len(same), COLUMNS):
            rows.append((group_name(group) if start == 0 else "", same[start : start + COLUMNS]))
    return rows


def _height(row: Sequence[Mapping]) -> float:
    """Return the height of a row of models, inches."""
    return NAME + LANE * max(len(model["branches"]) for model in row) + GAP


def _key(axes: Axes, y: float) -> None:
    """Explain the colours of the boxes."""
    kinds = {
        "frozen": ("frozen encoder", 0.05),
        "encoder": ("trained encoder", 1.15),
        "inception": ("Inception", 2.35),
        "magnitude": ("layers on magnitudes", 3.25),
        "layers": ("linear layers, by width", 4.65),
    }
    for kind, (text, x) in kinds.items():
        axes.plot(x + 0.06, y, "s", ms=7, mfc=FILLS[kind], mec=BLACK, mew=0.6)
        axes.text(x + 0.17, y, text, va="center", fontsize=7)


def _widths(widths: Sequence[int]) -> str:
    """Return the widths of layers, repeated ones once: ``192, 1096 ×2``."""
    runs = [(width, len(list(same))) for width, same in groupby(widths)]
    return ", ".join(f"{width} ×{count}" if count > 1 else f"{width}" for width, count in runs)


def _model(axes: Axes, left: float, top: float, model: Mapping, stamp: str) -> None:
    """Draw one model below `top`, right of `left`, branches one below the other."""
    note(axes, left + 0.05, top - 0.02, model_name(model["name"]), ha="left", fontsize=7.5, weight="bold")
    share = "all trained" if model["trainable"] == model["parameters"] else f"{millions(model['trainable'])} trained"
    note(axes, left + 2.22, top - 0.035, f"{millions(model['parameters'])}, {share}", ha="right", fontsize=6)
    branches = model["branches"]
    middle = top - NAME - LANE * len(branches) / 2
    join_x, out_x = left + 1.83, left + 2.17
    alone = len(branches) == 1 and branches[0]["kind"] != "magnitude"
    for number, branch in enumerate(branches):
        y = middle + ((len(branches) - 1) / 2 - number) * LANE
        start = (left + 0.36, y)
        if branch["kind"] == "magnitude":
            note(axes, left + 0.34, y, "$ugriz$", ha="right", va="center")
        else:
            note(axes, left + 0.34, y, stamp, ha="right", va="center", fontsize=5.5)
            kind = "frozen" if branch["kind"] == "encoder" and model["frozen"] else branch["kind"]
            name = f"{branch['name']} ViT" if branch["kind"] == "encoder" else branch["name"]
            edges = box(axes, (left + 0.79, y), (0.58, LANE - 0.07), f"{name}\n{millions(branch['parameters'])}", kind)
            arrow(axes, start, (edges[0], y))
            start = (edges[1], y)
        if not branch["widths"]:
            # A linear probe: the output is all that follows.
            arrow(axes, start, (out_x - 0.05, y))
            continue
        kind = "magnitude" if branch["kind"] == "magnitude" else "layers"
        size = (0.92, LANE - 0.07) if branch["kind"] == "magnitude" else (0.44, LANE - 0.07)
        x = left + (1.13 if branch["kind"] == "magnitude" else 1.37)
        text = _widths(branch["widths"]).replace(", ", "\n")
        edges = box(axes, (x, y), size, text, kind)
        arrow(axes, start, (edges[0], y))
        if alone:
            arrow(axes, (edges[1], y), (out_x - 0.05, y))
        elif abs(y - middle) < 1e-9:
            arrow(axes, (edges[1], y), (join_x - 0.15, middle))
        else:
            bend = join_x - 0.19
            axes.plot([edges[1], bend, bend], [y, y, middle], color=BLACK, lw=0.6, zorder=1)
            if len(branches) % 2 == 0:
                arrow(axes, (bend, middle), (join_x - 0.15, middle))
    if not alone:
        text = "\n".join(str(width) for width in [model["joined"], *model["head"][:-1]])
        edges = box(axes, (join_x, middle), (0.30, LANE), text, "layers")
        arrow(axes, (edges[1], middle), (out_x - 0.05, middle))
    # Bundles of before have none.
    predicted = ["$z$" if title == "redshift" else title for title in model.get("predicts", ["redshift"])]
    note(axes, out_x, middle, "\n".join(predicted), va="center", fontsize=8 if predicted == ["$z$"] else 6)
