"""What the results page shows of look-alikes: a map of an encoder's features, and galaxies with their nearest.

Stamps are colour composites on one sheet, so that the page needs neither shards nor a network.
"""

import base64
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from astromae.contracts.shards import StampSet
from astromae.errors import InputError
from astromae.evaluation.bands import reference_bands
from astromae.evaluation.feature_sample import TYPES, read_feature_sample
from astromae.evaluation.neighbours import directions, nearest_others
from astromae.figures.composites import colour_composite, composite_noise
from astromae.files import write_text
from astromae.seeds import generator

#: Galaxies whose nearest are shown, one of each of as many equal parts of the sample by redshift, and how many nearest.
EXAMPLES, NEAREST = 12, 8

#: Pixels on a side of a stamp on the sheet, at most: 2000 of them are then a megabyte or two.
LARGEST = 48

#: Of the sheet's compression (WebP); higher ones double its size.
QUALITY = 80


def principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors as seen along their first two principal components.

    Parameters
    ----------
    vectors
        Shape (n, width), n of 2 or more.

    Returns
    -------
    positions : ndarray
        Shape (n, 2). The largest entry of each component's direction is positive, so that it has one sign.
    explained : ndarray
        Fraction of the variance along each, shape (2,).
    """
    centred = vectors - vectors.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(np.take_along_axis(axes[:2], np.abs(axes[:2]).argmax(axis=1)[:, None], axis=1))
    positions, explained = np.zeros((len(vectors), 2)), np.zeros(2)
    positions[:, : len(axes)] = centred @ axes.T
    explained[: len(axes)] = singular[:2] ** 2 / max((singular**2).sum(), np.finfo(np.float64).tiny)
    return positions, explained


def choose_examples(redshifts: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """Return `EXAMPLES` of `count` galaxies, one of each equal part by redshift, drawn with a seed."""
    order = np.arange(count) if redshifts is None else np.argsort(redshifts, kind="stable")
    random = generator(seed, "look-alikes")
    return np.array([random.choice(part) for part in np.array_split(order, min(EXAMPLES, count))])


def _sheet(stamps: StampSet, objid: np.ndarray, crop: int) -> tuple[bytes, int, int]:
    """Return composites of stamps' centres as one image (WebP), its stamps in a row, and their pixels on a side."""
    side = min(crop, LARGEST, stamps.format.size)
    columns = math.ceil(math.sqrt(len(objid)))
    sheet = np.zeros((-(-len(objid) // columns) * side, columns * side, 3), np.uint8)
    for start in range(0, len(objid), columns):
        images = stamps.read(objid[start : start + columns]).astype(np.float64)
        # The noise is that of the whole stamp, of which more is sky.
        edge, row = (images.shape[-1] - side) // 2, start // columns * side
        for column, image in enumerate(images):
            centre = image[:, edge : edge + side, edge : edge + side]
            pixels = colour_composite(centre, stamps.bands, composite_noise(image, stamps.bands))
            # Images begin at the top, stamps in the south.
            sheet[row : row + side, column * side : (column + 1) * side] = np.round(255 * pixels[::-1])
    memory = io.BytesIO()
    Image.fromarray(sheet).save(memory, "WEBP", quality=QUALITY, method=4)
    return memory.getvalue(), columns, side


def write_look_alikes(
    sample: Path, stamps: Sequence[Path], experiment: str, encoder: str, crop: int, seed: int, output: Path
) -> None:
    """Write what the results page shows of look-alikes.

    Parameters
    ----------
    sample
        Sample of features (`astromae.evaluation.feature_sample`).
    stamps
        Shards that hold the galaxies' stamps.
    experiment, encoder
        The sample's experiment, and the encoder to show, by its first seed.
    crop
        Central pixels on a side that networks see.
    seed
        Of the galaxies whose nearest are shown.
    output
        File to write (JSON): experiment, encoder, band (of the magnitudes; null without any) and types (names; null
        where none are known); explained, the fraction of the variance along x and y; galaxies, a list each of objid
        (text), x, y, z, magnitude and type (index), null for what is not known; examples, the rows of a galaxy and its
        nearest each; sheet (WebP in Base64), with its stamps in a row (columns) and their pixels on a side (side).

    Raises
    ------
    InputError
        If a file cannot be read, the sample has no such encoder, or the shards lack a galaxy.
    """
    taken = read_feature_sample(sample)
    if encoder not in taken.features:
        raise InputError(f"{sample}: has no features of {encoder}; it has those of {', '.join(taken.features)}")
    objid = taken.galaxies["objid"].to_numpy()
    vectors = directions(taken.features[encoder][0])
    positions, explained = principal_plane(vectors)
    chosen = choose_examples(taken.redshifts, len(objid), seed)
    nearest = nearest_others(vectors, NEAREST)
    sheet, columns, side = _sheet(StampSet(stamps), objid, crop)
    band = reference_bands(taken.bands)[1] if taken.bands else None
    span = np.abs(positions).max() or 1.0
    galaxies: dict[str, list[Any] | None] = {
        "objid": [str(number) for number in objid],  # beyond what numbers of a browser hold
        "x": np.round(positions[:, 0] / span, 4).tolist(),
        "y": np.round(positions[:, 1] / span, 4).tolist(),
        "z": None if taken.redshifts is None else np.round(taken.redshifts, 4).tolist(),
        "magnitude": np.round(taken.galaxies[f"mag_{band}"], 2).tolist() if band else None,
        "type": None if taken.types is None else taken.types.tolist(),
    }
    shown = {
        "experiment": experiment,
        "encoder": encoder,
        "band": band,
        "types": None if taken.types is None else list(TYPES),
        "explained": np.round(explained, 4).tolist(),
        "galaxies": galaxies,
        "examples": [[int(row), *nearest[row].tolist()] for row in chosen],
        "columns": columns,
        "side": side,
        "sheet": base64.b64encode(sheet).decode("ascii"),
    }
    write_text(output, json.dumps(shown, sort_keys=True, allow_nan=False) + "\n")
