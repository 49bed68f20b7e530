"""Classical methods: what predicts without a network, by the name that the configuration gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astromae import entries
from astromae.errors import InputError
from astromae.registry import Registry
from astromae.tasks import Task


@dataclass(frozen=True)
class Distributions:
    """How a method predicts whole distributions of one target.

    Attributes
    ----------
    fit
        As `Method.fit`, of labels (n, 1).
    predict
        Called with what `fit` returned, with inputs (m, k) and the edges of bins (b + 1,), returns the probability of
        each bin, (m, b).
    settings
        Its constants, for recipe.json, in place of the method's of the same names.
    """

    fit: Callable[[np.ndarray, np.ndarray, int], Mapping[str, np.ndarray]]
    predict: Callable[[Mapping[str, np.ndarray], np.ndarray, np.ndarray], np.ndarray]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A regression on a few numbers of each galaxy, which its magnitudes or its stamp give.

    Attributes
    ----------
    measure
        Called with magnitudes (n, bands), dereddened, or with the stamps that networks see (n, bands, side, side),
        nanomaggies a pixel, not dereddened; and with the names of the bands. Returns the inputs (n, k) of the
        regression, float64. Galaxies come in blocks: what it returns of one may not depend on the others.
    fit
        Called with inputs (n, k) and labels (n, targets) of the training galaxies, float64, and with a seed. Returns
        all that predictions need, as arrays by name.
    predict
        Called with what `fit` returned and with inputs (m, k), returns estimates (m, targets). That of one galaxy may
        not depend on the others.
    stamps
        Whether it measures stamps; else magnitudes.
    settings
        Its constants, for recipe.json.
    distributions
        How it predicts distributions; None where it does not.
    """

    measure: Callable[[np.ndarray, Sequence[str]], np.ndarray]
    fit: Callable[[np.ndarray, np.ndarray, int], Mapping[str, np.ndarray]]
    predict: Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]
    stamps: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    distributions: Distributions | None = None


#: Classical methods by name.
METHODS: Registry[Method] = Registry("classical method", entries.METHODS)


def can_predict(method: Method, task: Task) -> bool:
    """Return whether a method can predict what a task wants: estimates of its targets, or distributions."""
    if task.density is None:
        return task.regression or task.of_estimates is not None
    return method.distributions is not None and task.of_density is not None and len(task.targets) == 1


def fit_method(
    method: Method, task: Task, inputs: np.ndarray, labels: np.ndarray, seed: int
) -> Mapping[str, np.ndarray]:
    """Fit a method to labels (n, targets) of galaxies with inputs (n, k): to predict estimates, or distributions.

    Of a task whose labels may be missing, each target is fitted by itself, to the galaxies that have it.

    Raises
    ------
    InputError
        If none has it.
    """
    way = method if task.density is None else method.distributions
    if not task.incomplete:
        return way.fit(inputs, labels, seed)
    fitted = {}
    for column, label in zip(task.targets, labels.T, strict=True):
        known = np.isfinite(label)
        if not known.any():
            raise InputError(f"none of {len(label)} labelled galaxies has a {column}; take more, or leave it out")
        of_target = way.fit(inputs[known], np.ascontiguousarray(label[known, None]), seed)
        fitted |= {f"{column}/{name}": array for name, array in of_target.items()}
    return fitted


def predict_method(
    method: Method, task: Task, fitted: Mapping[str, np.ndarray], inputs: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Return the columns of a task's predictions for inputs (m, k), from what `fit_method` returned."""
    if task.density is None:
        return (task.of_estimates or task.predict)(_estimates(method, task, fitted, inputs))
    return task.of_density(method.distributions.predict(fitted, inputs, task.edges))


def _estimates(method: Method, task: Task, fitted: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    if not task.incomplete:
        return method.predict(fitted, inputs)
    of_targets = []
    for column in task.targets:
        own = {name.removeprefix(f"{column}/"): fitted[name] for name in fitted if name.startswith(f"{column}/")}
        of_targets.append(method.predict(own, inputs))
    return np.concatenate(of_targets, axis=1)


def settings_of(method: Method, task: Task) -> dict[str, Any]:
    """Return the constants of a method, for recipe.json, when it predicts what a task wants."""
    return {**method.settings, **({} if task.density is None else method.distributions.settings)}
