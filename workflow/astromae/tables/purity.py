"""The table of purity: how often galaxies that look alike to an encoder are of one type and redshift."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.classical.colours import magnitude_and_colours
from astromae.contracts.catalog import magnitude_columns
from astromae.evaluation.feature_sample import FeatureSample, read_feature_sample
from astromae.evaluation.neighbours import CRITERIA, DZ, NEIGHBOURS, directions, nearest_others, purity
from astromae.settings.evaluation import Evaluation
from astromae.tables.formatting import GALAXIES, short
from astromae.tables.names import encoder_name
from astromae.tables.plain import write_plain_table

#: Neighbours in the magnitude and colours of which each is brought to unit deviation.
COLOURS = "colours and magnitude"

_NAMES = {name: name for name in (COLOURS, "chance")}
_HEADS = {"type": "same type", "redshift": f"$|\\Delta z| < {DZ:g}$", "type_redshift": "both"}


def purity_table(samples: Sequence[Path], experiments: Sequence[str], settings: Evaluation) -> pd.DataFrame:
    """Work out the purity of every encoder's neighbours.

    Parameters
    ----------
    samples
        A sample of features of each experiment (`astromae.evaluation.feature_sample`).
    experiments
        Their names.
    settings
        The section ``evaluation``.

    Returns
    -------
    DataFrame
        Rows of `astromae.evaluation.neighbours.purity` for each experiment: its encoders, `COLOURS` where all
        magnitudes are known, which gains are over, and ``chance``; before them experiment, galaxies, n_seeds,
        nearest (the number of neighbours) and dz (the difference from which on redshifts are not alike). Experiments
        whose galaxies have neither type nor redshift have none.
    """
    parts = []
    for path, experiment in zip(samples, experiments, strict=True):
        sample = read_feature_sample(path)
        if sample.types is None and sample.redshifts is None:
            continue
        neighbours = {
            encoder: [nearest_others(directions(vectors), NEIGHBOURS) for vectors in trainings]
            for encoder, trainings in sample.features.items()
        }
        seeds = {encoder: len(trainings) for encoder, trainings in neighbours.items()}
        against = None
        if sample.bands:
            against, neighbours[COLOURS] = COLOURS, [nearest_others(_colours(sample), NEIGHBOURS)]
        found = purity(
            neighbours,
            sample.types,
            sample.redshifts,
            against,
            samples=settings.bootstrap_samples,
            confidence=settings.interval,
            seed=settings.seed,
        )
        found.insert(0, "experiment", experiment)
        found.insert(1, "galaxies", len(sample.galaxies))
        found.insert(3, "n_seeds", found["neighbours"].map(seeds).astype("Int64"))
        found.insert(4, "nearest", min(NEIGHBOURS, len(sample.galaxies) - 1))
        found.insert(5, "dz", DZ)
        parts.append(found)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["experiment", "neighbours"])


def _colours(sample: FeatureSample) -> np.ndarray:
    magnitudes = sample.galaxies[magnitude_columns(sample.bands)].to_numpy(np.float64)
    space = magnitude_and_colours(magnitudes, sample.bands)
    deviation = space.std(axis=0)
    return (space - space.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def write_purity_table(
    samples: Sequence[Path],
    experiments: Sequence[str],
    titles: Sequence[str],
    settings: Evaluation,
    csv: Path,
    tex: Path,
) -> None:
    """Write `purity_table` as CSV, and for LaTeX.

    Parameters
    ----------
    samples, experiments, settings
        As in `purity_table`.
    titles
        Titles of the experiments.
    csv, tex
        Files to write.
    """
    table = purity_table(samples, experiments, settings)
    known = [name for name in CRITERIA if f"purity_{name}" in table and table[f"purity_{name}"].notna().any()]
    parts = [
        (
            title,
            [
                [_NAMES.get(row["neighbours"], encoder_name(row["neighbours"])), *(_cell(row, name) for name in known)]
                for row in table[table["experiment"] == experiment].to_dict("records")
            ],
        )
        for experiment, title in zip(experiments, titles, strict=True)
    ]
    notes = [
        f"{GALAXIES[settings.subset]}: fraction of the {NEIGHBOURS} nearest of the same type and redshift, with "
        f"{100 * settings.interval:g} % intervals over galaxies"
    ]
    write_plain_table(table, csv, tex, notes, [_HEADS[name] for name in known], parts)


def _cell(row: dict, name: str) -> str:
    value, low, high = (short(row[f"purity_{name}{end}"], tex=True) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"
