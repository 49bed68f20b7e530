"""What is answered about a galaxy: redshift, its uncertainty and its distribution, from one model or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from astromae.errors import InputError
from astromae.evaluation.densities import cumulated, normal_masses, point_estimates, quantiles, rebinned_to
from astromae.model_limits import LARGEST_REDSHIFT
from astromae.tasks import Task

#: Ends of the intervals that hold 68 and 95 % of a distribution.
ENDS = {"z_lo95": 0.025, "z_lo68": 0.16, "z_hi68": 0.84, "z_hi95": 0.975}

#: `odds` is the probability within this distance from z_phot, over 1 + z_phot.
ODDS_REACH = 0.03

#: Width of the bins on which estimates without distributions are given one.
BIN_WIDTH = 0.002

#: Probability in the outermost bin, at the end of the range, from which on a distribution is cut off there.
CUT_OFF = 0.02


@dataclass(frozen=True)
class Answer:
    """What one model, or several, say of n galaxies.

    Attributes
    ----------
    columns
        Columns by name, each (n,).
    edges, masses
        Distributions, as in `astromae.evaluation.densities`; None where the model has none.
    """

    columns: Mapping[str, np.ndarray]
    edges: np.ndarray | None = None
    masses: np.ndarray | None = None


def answer_of(task: Task, predicted: Mapping[str, np.ndarray], widths: Sequence[float]) -> Answer:
    """Return the answer of one model.

    Parameters
    ----------
    task
        What it predicts.
    predicted
        Columns of its predictions, as `Task.predict` returns them.
    widths
        Of an estimate of redshift, half of the intervals of 68 and 95 % over 1 + z; empty where they are not known.

    Returns
    -------
    Answer
        Of redshifts: ``z_phot`` (the mean of the distribution, or the estimate), ``z_median``, ``z_mode``, ``z_err``
        (standard deviation, or half of the interval of 68 %), `ENDS`, and ``odds``; NaN where not known. Of other tasks
        the columns of their predictions.
    """
    if task.density is not None:
        return of_distributions(task.edges, predicted[task.density])
    if "z_pred" not in predicted:
        columns = {}
        for name, values in predicted.items():
            # Several numbers in one column become several columns.
            several = values.reshape(len(values), -1).T
            columns |= {name if len(several) == 1 else f"{name}_{number}": one for number, one in enumerate(several)}
        return Answer(columns)
    z = np.asarray(predicted["z_pred"], dtype=np.float64)
    unknown = np.full(len(z), np.nan)
    columns = {"z_phot": z, "z_median": z, "z_mode": z} | dict.fromkeys(["z_err", *ENDS, "odds"], unknown)
    if len(widths) == 2:
        half = {name: width * (1 + z) for name, width in zip(("68", "95"), widths, strict=True)}
        columns["z_err"] = half["68"]
        columns |= {f"z_lo{name}": np.maximum(z - w, 0) for name, w in half.items()}
        columns |= {f"z_hi{name}": z + w for name, w in half.items()}
    return Answer(columns)


def answer_columns(task: Task) -> tuple[str, ...]:
    """Return the columns of an answer of a task, whether or not there is a galaxy to answer about."""
    return tuple(answer_of(task, task.predict(np.zeros((1, task.outputs))), ()).columns)


def of_distributions(edges: np.ndarray, masses: np.ndarray) -> Answer:
    """Return the answer that distributions give, as `answer_of` has it."""
    masses = np.asarray(masses, dtype=np.float64)
    points = point_estimates(edges, masses)
    z = points["mean"]
    columns = {"z_phot": z, "z_median": points["median"], "z_mode": points["mode"], "z_err": points["deviation"]}
    columns |= dict(zip(ENDS, quantiles(edges, masses, list(ENDS.values())).T, strict=True))
    reach = ODDS_REACH * (1 + z)
    columns["odds"] = _below(edges, masses, z + reach) - _below(edges, masses, z - reach)
    return Answer(columns, edges, masses)


def _below(edges: np.ndarray, masses: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the probability below z (n,)."""
    reached, rows = cumulated(masses), np.arange(len(z))
    bins = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, masses.shape[1] - 1)
    part = np.clip((z - edges[bins]) / np.diff(edges)[bins], 0, 1)
    return reached[rows, bins] + part * (reached[rows, bins + 1] - reached[rows, bins])


def cut_off(answer: Answer) -> np.ndarray:
    """Return whose distribution leans on the upper end of its range, (n,)."""
    if answer.masses is None:
        return np.zeros(len(next(iter(answer.columns.values()))), dtype=bool)
    return answer.masses[:, -1] > CUT_OFF


def mixture(answers: Sequence[Answer]) -> Answer:
    """Return the mixture of the answers of several models, each with the same weight.

    Estimates with an interval count as normal distributions of that width.

    Raises
    ------
    InputError
        If they are no redshifts, or one has neither distributions nor intervals.
    """
    if len(answers) == 1:
        return answers[0]
    if any("z_phot" not in answer.columns for answer in answers):
        raise InputError("several models are mixed if they predict redshifts; give one model of another task")
    given = [answer.edges for answer in answers if answer.edges is not None]
    estimates = [answer.columns for answer in answers if answer.edges is None]
    if any(np.isnan(columns["z_err"]).all() for columns in estimates):
        raise InputError("a model to be mixed has neither distributions nor intervals: train it again, or leave it out")
    # Six deviations beyond the farthest estimate there is nothing left to cut off.
    reach = [float(np.nanmax(columns["z_phot"] + 6 * columns["z_err"], initial=BIN_WIDTH)) for columns in estimates]
    # What an estimate beyond all redshifts would take is not worth its memory.
    top = min(max([float(edges[-1]) for edges in given] + reach), LARGEST_REDSHIFT)
    width = min([float(np.diff(edges).min()) for edges in given] + [BIN_WIDTH] * bool(estimates))
    edges = given[0] if not estimates and all(np.array_equal(given[0], other) for other in given) else None
    if edges is None:
        edges = np.linspace(0, top, round(top / width) + 1)
    parts = []
    for answer in answers:
        if answer.edges is None:
            parts.append(normal_masses(edges, answer.columns["z_phot"], answer.columns["z_err"]))
        elif np.array_equal(answer.edges, edges):
            parts.append(answer.masses)
        else:
            parts.append(rebinned_to(answer.edges, answer.masses, edges))
    mixed = of_distributions(edges, np.mean(parts, axis=0))
    # Of the moments themselves: a normal distribution that is cut off at zero has others.
    means, deviations = (np.array([answer.columns[name] for answer in answers]) for name in ("z_phot", "z_err"))
    mean = means.mean(axis=0)
    deviation = np.sqrt(np.maximum((deviations**2 + means**2).mean(axis=0) - mean**2, 0))
    return replace(mixed, columns={**mixed.columns, "z_phot": mean, "z_err": deviation})
