"""Tasks: what models learn from labels and predict, by the name that the configuration gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from astromae import entries
from astromae.errors import InputError
from astromae.registry import Registry
from astromae.typed import Typed

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A number by which predictions are judged.

    Attributes
    ----------
    printed
        Its name in a table's head.
    better
        Which of two values is the better one: the smaller (``less``), the larger (``more``), or the one nearer to
        zero (``zero``).
    """

    printed: str
    better: Literal["less", "more", "zero"] = "less"

    def badness_sign(self, value: np.ndarray) -> np.ndarray:
        """Return the signs that turn values so that less is better."""
        if self.better == "zero":
            return np.where(np.asarray(value) < 0, -1.0, 1.0)
        return np.full(np.shape(value), -1.0 if self.better == "more" else 1.0)

    def badness(self, value: np.ndarray) -> np.ndarray:
        """Return values turned so that less is better."""
        return self.badness_sign(value) * value


@dataclass(frozen=True)
class Task:
    """What a model predicts, from its labels to the metrics of its predictions.

    Attributes
    ----------
    title
        What is predicted, in prose, for example ``redshift``.
    targets
        For each column of the catalogue that holds labels the column of predictions.parquet that holds them too.
    outputs
        Numbers that the network's last layer gives for each galaxy.
    loss
        Called with outputs (n, outputs) and targets (n, targets), float32 tensors, returns the mean loss.
    bias
        Called with the targets (n, targets) of the training galaxies, returns where the outputs start, (outputs,).
    columns
        Columns of predictions.parquet that hold what is predicted.
    predict
        Called with outputs (n, outputs), float64, returns the values of `columns` by name: shape (n,), or (n, k) for
        several numbers in one, such as a probability density on a grid.
    metrics
        Its metrics by name, in the order of every table.
    measure
        Called with the values of `targets` and `columns` of predictions.parquet by name, arrays (..., n) (or
        (..., n, k)) that broadcast, and `outlier_threshold`; returns each metric as an array (...).
    regression
        Whether the outputs are estimates of the targets themselves, so that classical regression can stand in.
    settings
        Keys of its part of the configuration's `tasks`; None where it has none.
    configured
        Called with these settings, returns the task with them; the entry itself is that with their defaults.
    density
        Column of predictions.parquet that holds a distribution, the probability of each of k bins; `predict` returns it
        beside `columns`, of shape (n, k). None where none is predicted.
    edges
        Edges of its bins, shape (k + 1,).
    of_density
        Called with probabilities of the bins (n, k), returns what `predict` does: classical methods predict these.
    of_estimates
        Called with estimates of the targets (n, targets), returns what `predict` does; classical regression gives them
        where outputs are no such estimates.
    incomplete
        Whether a galaxy may lack labels, which are then NaN: its loss and its metrics are of those that it has.
    """

    title: str
    targets: Mapping[str, str]
    outputs: int
    loss: "Callable[[Tensor, Tensor], Tensor]"
    bias: Callable[[np.ndarray], np.ndarray]
    columns: tuple[str, ...]
    predict: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    metrics: Mapping[str, Metric]
    measure: Callable[..., Mapping[str, np.ndarray]]
    regression: bool = False
    settings: type[Typed] | None = None
    configured: "Callable[[Any], Task] | None" = None
    density: str | None = None
    edges: np.ndarray | None = None
    of_density: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None
    of_estimates: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None
    incomplete: bool = False


#: Tasks by name.
TASKS: Registry[Task] = Registry("task", entries.TASKS)

#: A task as recipes and files name it: by its name, or, where it has settings, by these and `task`, its name.
NamedTask = str | dict[str, Any]


def task_name(named: NamedTask) -> str:
    """Return the name of a task."""
    return named if isinstance(named, str) else named["task"]


def task_source(named: NamedTask) -> Any:
    """Return the source of a task, as `astromae.registry.Registry.source`."""
    return TASKS.source(task_name(named))


def task_of(named: NamedTask) -> Task:
    """Return a task with its settings.

    Raises
    ------
    InputError
        If there is none of that name, or its settings are wrong.
    """
    entry, settings = TASKS[task_name(named)], task_settings(named)
    return entry if isinstance(named, str) or settings is None else entry.configured(settings)


def task_settings(named: NamedTask) -> Any:
    """Return the settings of a task, those left out with their defaults; None where it has none.

    Raises
    ------
    InputError
        If there is none of that name, or its settings are wrong.
    """
    entry, own = TASKS[task_name(named)], {} if isinstance(named, str) else named
    if entry.settings is None:
        return None
    try:
        return entry.settings.model_validate({key: own[key] for key in own if key != "task"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"task {task_name(named)}: {where}: {first['msg']} (got {first['input']!r:.80})") from error
