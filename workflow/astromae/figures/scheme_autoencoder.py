"""The masked autoencoder as a scheme, with its shapes, and the blocks of its encoders (figures 1 and 2)."""

from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from astromae.errors import InputError
from astromae.evaluation.records import read_networks
from astromae.figures.boxes import FILLS, arrow, box, canvas, millions, note, patches, plus
from astromae.figures.style import BLACK, TWO_COLUMNS, drawing
from astromae.masking import visible_patches

#: Height of the pipeline, of a plain block below it, and of one with a convolution module, inches.
PIPELINE, PLAIN_BLOCK, PCM_BLOCK = 1.18, 0.62, 1.0


#: What decides the shapes in a pipeline besides the stamp.
_SHAPES = ("patch", "tokens", "values", "width", "depth", "heads")


def draw_autoencoder(
    networks: Path, encoders: Sequence[str], mask_ratios: Sequence[float], pdf: Path, png: Path
) -> None:
    """Draw how a stamp is masked, encoded and completed, and below it a block of each encoder.

    Encoders share a pipeline that have the same shapes in it.

    Parameters
    ----------
    networks
        Description of the networks (``astromae networks``).
    encoders
        Names of the encoders; a name stands again for every other fraction that is hidden from it.
    mask_ratios
        Of each of them the fraction of the patches that is hidden.
    pdf, png
        Figure to write.

    Raises
    ------
    InputError
        If the description cannot be read or lacks an encoder, or there are not as many fractions as encoders.
    """
    if len(encoders) != len(mask_ratios):
        raise InputError(
            f"{len(encoders)} names of encoders for {len(mask_ratios)} masked fractions; give one for each"
        )
    described, stamp = read_networks(networks, "autoencoders", encoders)
    pipelines: dict[tuple, list[Mapping]] = {}
    for encoder, mask_ratio in zip(described, mask_ratios, strict=True):
        shapes = (mask_ratio, *(encoder[key] for key in _SHAPES), *encoder["decoder"].values())
        pipelines.setdefault(shapes, []).append(encoder)
    blocks = {encoder["name"]: encoder for encoder in described}
    heights = [PLAIN_BLOCK if encoder["pcm"] is None else PCM_BLOCK for encoder in blocks.values()]
    top = PIPELINE * len(pipelines) + sum(heights)
    with drawing(pdf, png, TWO_COLUMNS, top, layout="none") as figure:
        axes = canvas(figure)
        for (mask_ratio, *_), same in pipelines.items():
            _pipeline(axes, top - 0.42, same, mask_ratio, f"{stamp} px")
            top -= PIPELINE
        for encoder, height in zip(blocks.values(), heights, strict=True):
            _block(axes, top - 0.40, encoder)
            top -= height


def _pipeline(axes: Axes, y: float, encoders: Sequence[Mapping], mask_ratio: float, stamp: str) -> None:
    """Draw the way of a stamp through encoders of the same shapes, left to right, around height `y`."""
    first = encoders[0]
    tokens, grid = first["tokens"], isqrt(first["tokens"])
    visible = visible_patches(tokens, mask_ratio)
    shown = np.sort(np.random.default_rng(0).permutation(tokens)[:visible])
    side = 0.72
    below = y - side / 2 - 0.05

    patches(axes, (0.42, y), side, grid, None)
    note(axes, 0.42, below, f"stamp\n{stamp}")
    arrow(axes, (0.80, y), (1.14, y))
    patches(axes, (1.52, y), side, grid, shown)
    note(axes, 1.52, below, f"{tokens} patches of {first['patch']}×{first['patch']} px,\n{visible} visible")
    arrow(axes, (1.90, y), (2.42, y), text=f"{visible}×{first['values']}")
    counts = "\n".join(f"{encoder['name']}: {millions(encoder['encoder_parameters'])}" for encoder in encoders)
    left, right, *_ = box(
        axes, (2.84, y), (0.84, 0.72), f"encoder\n{first['depth']} blocks\n{first['heads']} heads", "encoder"
    )
    note(axes, (left + right) / 2, below, counts)
    arrow(axes, (right, y), (3.78, y), text=f"{visible}×{first['width']}")
    _tokens(axes, 3.85, y, visible, tokens, shown)
    note(axes, 3.85, below, "mask tokens,\npositions")
    decoder = first["decoder"]
    arrow(axes, (3.92, y), (4.44, y), text=f"{tokens}×{decoder['width']}")
    text = f"decoder\n{decoder['depth']} blocks\n{decoder['heads']} heads"
    left, right, *_ = box(axes, (4.84, y), (0.80, 0.72), text, "layers")
    note(axes, 4.84, below, millions(first["decoder_parameters"]))
    arrow(axes, (right, y), (5.80, y), text=f"{tokens - visible}×{first['values']}")
    patches(axes, (6.18, y), side, grid, None)
    note(axes, 6.18, below, "reconstruction; loss on\nthe hidden patches")


def _tokens(axes: Axes, x: float, y: float, visible: int, tokens: int, shown: Sequence[int]) -> None:
    """Draw the decoder's input: the encoded tokens among learnt ones."""
    step = 0.72 / tokens
    for number in range(tokens):
        fill = FILLS["encoder" if number in shown else "layers"]
        corner = (x - 0.065, y + 0.36 - (number + 1) * step)
        axes.add_patch(Rectangle(corner, 0.13, step, fc=fill, ec=BLACK, lw=0.4, zorder=2))


def _block(axes: Axes, line: float, encoder: Mapping) -> None:
    """Draw one block of an encoder along a line at a height: attention, convolution beside it, perceptron."""
    module = encoder["pcm"]
    note(axes, 0.08, line, f"block of the\n{encoder['name']} encoder", ha="left", va="center", fontsize=7.5)
    size = 0.30
    centres = {"norm 1": 1.85, "attention": 2.62, "sum 1": 4.62, "norm 2": 5.05, "perceptron": 5.72, "sum 2": 6.35}
    note(axes, 1.10, line, "$x$", va="center", ha="right", fontsize=8)
    arrow(axes, (1.14, line), (1.62, line))
    _, right, *_ = box(axes, (centres["norm 1"], line), (0.46, size), "layer\nnorm", "plain")
    arrow(axes, (right, line), (2.24, line))
    _, right, *_ = box(
        axes, (centres["attention"], line), (0.76, size), f"self-attention\n{encoder['heads']} heads", "encoder"
    )
    arrow(axes, (right, line), (centres["sum 1"] - 0.06, line))
    plus(axes, centres["sum 1"], line)
    arrow(axes, (centres["sum 1"] + 0.06, line), (4.82, line))
    _, right, *_ = box(axes, (centres["norm 2"], line), (0.46, size), "layer\nnorm", "plain")
    arrow(axes, (right, line), (5.41, line))
    width, hidden = encoder["width"], encoder["hidden"]
    _, right, *_ = box(axes, (centres["perceptron"], line), (0.62, size), f"MLP\n{hidden}, {width}", "encoder")
    arrow(axes, (right, line), (centres["sum 2"] - 0.06, line))
    plus(axes, centres["sum 2"], line)
    arrow(axes, (centres["sum 2"] + 0.06, line), (6.72, line))
    note(axes, 6.78, line, "$x'$", va="center", ha="left", fontsize=8)
    above = line + 0.26
    arrow(axes, (1.40, line), (1.40, above), (centres["sum 1"], above), (centres["sum 1"], line + 0.06))
    arrow(axes, (4.72, line), (4.72, above), (centres["sum 2"], above), (centres["sum 2"], line + 0.06))
    if module is not None:
        under = line - 0.40
        kernel = module["pretrain_kernel"]
        shape = f"{kernel}×{kernel}"
        parts = [
            (1.98, 0.74, f"conv {shape}\n{module['hidden']}, {module['groups']} groups"),
            (2.80, 0.50, "batch\nnorm"),
            (3.30, 0.34, "SiLU"),
            (4.00, 0.74, f"conv {shape}\n{width}, {module['groups']} groups"),
        ]
        arrow(axes, (1.40, line), (1.40, under), (parts[0][0] - parts[0][1] / 2, under))
        for number, (x, wide, text) in enumerate(parts):
            _, right, *_ = box(axes, (x, under), (wide, size), text, "inception")
            if number + 1 < len(parts):
                arrow(axes, (right, under), (parts[number + 1][0] - parts[number + 1][1] / 2, under))
        arrow(axes, (right, under), (centres["sum 1"], under), (centres["sum 1"], line - 0.06))
        final = module["finetune_kernel"]
        if final != kernel:
            note(
                axes,
                4.74,
                under,
                f"kernels are padded with zeros to {final}×{final} before fine-tuning",
                ha="left",
                va="center",
            )
