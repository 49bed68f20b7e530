"""The tables of a study: the error of every way to learn over numbers of labels, and the labels that it saves."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from astromae.contracts.label_curves import read_label_curves
from astromae.errors import InputError
from astromae.evaluation.label_curves import CurveScores, labels_saved, score_curves
from astromae.files import atomic_path
from astromae.settings.evaluation import Evaluation
from astromae.studies import SUPERVISED
from astromae.tables.reading import read_csv_table
from astromae.tasks import Metric, task_of

#: The metric with an interval, where a task has it, else its first; and those beside it, else all others.
HEADLINE, BESIDE = "nmad", ("outliers", "r2")

#: Stands for the network of a way to learn that has none.
NO_NETWORK = "none"

#: What is said of every way to learn.
WAY = ("objective", "network", "frozen", "n_labels")

#: What a factor of labels saved is where the reference's curve ends before the error.
BOUNDS = {0: "", 1: "at least", -1: "at most"}

#: Columns of the table of labels saved, after `WAY`.
SAVED = ("supervised_labels", "factor", "factor_low", "factor_high", "bound")


def headline_of(metrics: Iterable[str]) -> str:
    """Return the metric of a task that a study is about."""
    metrics = list(metrics)
    return HEADLINE if HEADLINE in metrics else metrics[0]


def columns_of(metrics: Iterable[str]) -> list[str]:
    """Return the columns of a table of errors."""
    metrics = list(metrics)
    headline = headline_of(metrics)
    beside = [name for name in BESIDE if name in metrics] or [name for name in metrics if name != headline]
    return [*WAY, "n_seeds", headline, f"{headline}_low", f"{headline}_high", *beside]


def error_table(labels: Sequence[int], scores: Sequence[CurveScores], metrics: Sequence[str]) -> pd.DataFrame:
    """Return the error of each way to learn after each number of labels, with its interval over seeds and galaxies.

    Columns `columns_of`; rows in the order of `scores`.
    """
    columns = columns_of(metrics)
    headline = headline_of(metrics)
    rows = []
    for way in scores:
        low, high = way.limits(headline)
        values = {metric: way.value(metric) for metric in (headline, *columns[columns.index(f"{headline}_high") + 1 :])}
        values |= {f"{headline}_low": low, f"{headline}_high": high}
        for number, count in enumerate(labels):
            rows.append(
                {
                    **_way(way, count),
                    "n_seeds": way.by_seed[headline].shape[1],
                    **{name: value[number] for name, value in values.items()},
                }
            )
    return pd.DataFrame(rows, columns=columns)


def saved_table(
    labels: Sequence[int], scores: Sequence[CurveScores], metric: str, settings: Evaluation
) -> pd.DataFrame:
    """Return by which factor each way to learn makes do with fewer labels than the same network from scratch.

    Columns `WAY` and `SAVED`. Where the curve of the network from scratch ends before the error, the factor is ``at
    least`` or ``at most`` what is said (`bound`), and so are ends of intervals at the ends of that curve.
    """
    references = {way.curve.network: way for way in scores if way.curve.objective == SUPERVISED}
    rows = []
    for way in scores:
        reference = references.get(way.curve.network)
        if reference is None or way is reference:
            continue
        saved = labels_saved(labels, way, reference, metric, settings)
        for number, count in enumerate(labels):
            values = (saved.needed, saved.factor, saved.low, saved.high)
            values = [value[number] for value in values] + [BOUNDS[int(saved.bound[number])]]
            rows.append({**_way(way, count), **dict(zip(SAVED, values, strict=True))})
    return pd.DataFrame(rows, columns=[*WAY, *SAVED])


def _way(way: CurveScores, count: int) -> dict[str, object]:
    curve = way.curve
    return dict(zip(WAY, (curve.objective, curve.network or NO_NETWORK, curve.frozen, count), strict=True))


def write_label_tables(predictions: Sequence[Path], settings: Evaluation, errors: Path, saved: Path) -> None:
    """Write both tables of a study as CSV; see `error_table` and `saved_table`.

    Labels saved are those of the headline metric, where less of it is better; else the table is empty.

    Parameters
    ----------
    predictions
        The study's label curves.
    settings
        The configuration's section ``evaluation``.
    errors, saved
        Files to write.
    """
    curves = read_label_curves(predictions)
    metrics: dict[str, Metric] = task_of(curves.task).metrics
    scores, headline = score_curves(curves, settings), headline_of(metrics)
    compared = scores if metrics[headline].better == "less" else []
    tables = {
        errors: error_table(curves.labels, scores, list(metrics)),
        saved: saved_table(curves.labels, compared, headline, settings),
    }
    for path, table in tables.items():
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")


def read_error_table(path: Path) -> pd.DataFrame:
    """Read a table of errors.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or is empty.
    """
    table = read_csv_table(path, (*WAY, "n_seeds"), "table of a study")
    if table.empty:
        raise InputError(f"{path}: a study's table without rows")
    return table


def read_saved_table(path: Path) -> pd.DataFrame:
    """Read a table of labels saved; errors as of `read_error_table`, but that it may be empty."""
    table = read_csv_table(path, (*WAY, *SAVED), "table of a study")
    return table.assign(bound=table["bound"].astype(object).fillna(""))
