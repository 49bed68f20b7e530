"""The galaxies of an experiment's subsets, and what they must have."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from astromae.contracts.splits import read_split
from astromae.errors import InputError
from astromae.seeds import generator
from astromae.tasks import Task

#: Subsets that models predict, besides the one they train on.
EVALUATED = ("val", "test")


#: What to do about galaxies without what models read.
_ADVICE = (
    "Models learn from galaxies with labels and, where they read them, magnitudes: leave the others out, or choose "
    "models without magnitudes"
)


def require_finite(galaxies: pd.DataFrame, columns: Sequence[str], catalog: Path, advice: str = _ADVICE) -> None:
    """Stop where a galaxy lacks a value that its training or its test needs.

    Parameters
    ----------
    galaxies
        Rows of the catalogue, by object id.
    columns
        Columns that must hold numbers.
    catalog
        Where they come from, for the message.
    advice
        What to do, for the message.

    Raises
    ------
    InputError
        If a value is missing: names the columns and the first galaxy.
    """
    lacking = ~np.isfinite(galaxies[columns].to_numpy(np.float64))
    if lacking.any():
        names = ", ".join(np.array(columns)[lacking.any(axis=0)])
        objid = galaxies.index[lacking.any(axis=1)]
        raise InputError(
            f"{catalog}: {len(objid)} of {len(galaxies)} galaxies have no {names}; the first is objid {objid[0]}. "
            f"{advice}"
        )


def require_labels(galaxies: pd.DataFrame, task: Task, catalog: Path, advice: str = _ADVICE) -> None:
    """Stop where galaxies of a subset lack the labels of a task.

    Every galaxy must have them, or, of a task that allows for missing ones, each must be there at least once; other
    parameters and errors as of `require_finite`.
    """
    if not task.incomplete:
        require_finite(galaxies, list(task.targets), catalog, advice)
        return
    for column in task.targets:
        if not np.isfinite(galaxies[column].to_numpy(np.float64)).any():
            raise InputError(
                f"{catalog}: none of {len(galaxies)} galaxies of a subset has a {column}, which {task.title} is learnt "
                "from: leave it out (section `tasks` of the configuration), or take more galaxies"
            )


def labelled_galaxies(labels: np.ndarray) -> int:
    """Return how many galaxies have a label, of labels (n, targets)."""
    return int(np.isfinite(labels).any(axis=1).sum())


def labelled_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return positions of galaxies in the order in which they get labels: the first n are those of n labels.

    A galaxy without any label is left out.

    So are fewer labels always a part of more, and the same for all that learn with one seed. The order follows from the
    seed and the ascending ids of all galaxies.

    Parameters
    ----------
    labels
        Labels of the train subset, shape (n, targets), by ascending id.
    seed
        Seed of a training.
    """
    order = generator(seed, "labels").permutation(len(labels))
    return order[np.isfinite(labels[order]).any(axis=1)]


def drawn_part(objid: np.ndarray, part: float, seed: int) -> np.ndarray:
    """Return a part of galaxies, at least one, ascending; with one seed a smaller part is a part of a larger.

    Parameters
    ----------
    objid
        Object ids, shape (n,), ascending.
    part
        Fraction of them.
    seed
        Seed of a training.
    """
    order = generator(seed, "part").permutation(len(objid))
    return objid[np.sort(order[: max(1, round(part * len(objid)))])]


def members(split: Path, subsets: Sequence[str]) -> np.ndarray:
    """Return the object ids of the named subsets, ascending.

    Raises
    ------
    InputError
        If there are none.
    """
    table = read_split(split)
    objid = np.sort(table.objid[table.subset.isin(list(subsets))].to_numpy(np.int64))
    if not len(objid):
        raise InputError(
            f"{split}: no galaxy in {' or '.join(subsets)}; it has {sorted(table.subset.unique())}. "
            "Give the subset a larger fraction in the configuration's `experiments`."
        )
    return objid
