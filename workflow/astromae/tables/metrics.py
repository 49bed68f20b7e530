"""Tables IV and V: every metric with its interval, the published value beside it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from astromae.contracts.history import read_history
from astromae.contracts.predictions import CLASSICAL, Predictions, read_predictions
from astromae.errors import InputError
from astromae.evaluation.scores import score
from astromae.files import atomic_path, write_text
from astromae.flatness import still_falling
from astromae.settings.evaluation import Evaluation
from astromae.tables.formatting import GALAXIES, formatted_rows
from astromae.tables.names import GROUPS
from astromae.tables.published import published_table
from astromae.tables.reading import read_csv_table
from astromae.tasks import Metric, task_of

#: What a table says of each metric besides its value.
PARTS = ("std", "low", "high", "published", "best")


def columns_of(metrics: Iterable[str]) -> list[str]:
    """Return the columns of a table with some metrics, in order."""
    parts = [name for metric in metrics for name in (metric, *(f"{metric}_{part}" for part in PARTS))]
    return ["group", "model", *parts, "n_train", "n_test", "n_seeds", "still_falling"]


def count_falling(models: Sequence[str], histories: Sequence[Path]) -> dict[str, int]:
    """Return of each model how many of its trainings were still falling (`astromae.flatness`).

    Parameters
    ----------
    models
        Name of the model of each history; a name that comes again is another seed of it.
    histories
        Histories of the fine-tuning. A model of which one is too short to say is left out.

    Raises
    ------
    InputError
        If the lists differ in length, or a history cannot be read.
    """
    if len(models) != len(histories):
        raise InputError(f"{len(models)} names of models for {len(histories)} histories; give one for each")
    answers: dict[str, list[bool | None]] = {}
    for model, path in zip(models, histories, strict=True):
        answers.setdefault(model, []).append(still_falling(read_history(path)))
    return {model: sum(said) for model, said in answers.items() if None not in said}


def make_table(
    name: str, predictions: Predictions, settings: Evaluation, falling: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Return the table of one experiment.

    Parameters
    ----------
    name
        The published table to set beside: ``table4``, ``table5``; any other name has none.
    predictions
        The experiment's predictions.
    settings
        The configuration's section ``evaluation``.
    falling
        Of each model the number of its trainings that were still falling, as `count_falling` returns it.

    Returns
    -------
    DataFrame
        Columns `columns_of` the task's metrics: for each metric the mean over seeds, its standard deviation over seeds
        (NaN for one seed), the ends of the interval of the mean, the published value (NaN where there is none), and 1
        where the value is the best and told apart from all others (`Scores.best`), which one seed never is; then the
        numbers of labelled training galaxies, of test galaxies, of seeds, and of seeds whose training was still
        falling (NaN without a training, or where its history does not say). Rows in the published order, each group's
        unpublished models after it, and classical rows last.
    """
    published = published_table(name)
    scores = score(predictions, settings)
    counts = {"n_train": predictions.train_galaxies, "n_test": len(predictions.objid)}
    rows = [
        {
            "group": model.group,
            "model": model.model,
            **counts,
            "n_seeds": len(model.seeds),
            "still_falling": (falling or {}).get(model.model, float("nan")),
        }
        for model in predictions.models
    ]
    for metric in scores.metrics:
        value, deviation, best = scores.value(metric), scores.deviation(metric), scores.best(metric)
        low, high = scores.limits(metric)
        for number, row in enumerate(rows):
            printed = published.get(row["model"], {}).get(metric)
            row |= {
                metric: value[number],
                f"{metric}_std": deviation[number],
                f"{metric}_low": low[number],
                f"{metric}_high": high[number],
                f"{metric}_published": float(printed) if printed else float("nan"),
                f"{metric}_best": int(number == best),
            }
    place = {model: number for number, model in enumerate(published)}
    group_place = {group: number for number, group in enumerate(GROUPS)}
    rows.sort(
        key=lambda row: (
            row["group"] == CLASSICAL,
            group_place.get(row["group"], len(GROUPS)),
            row["group"],
            place.get(row["model"], len(place)),
        )
    )
    return pd.DataFrame(rows, columns=columns_of(scores.metrics))


def tex_table(table: pd.DataFrame, interval: float, metrics: Mapping[str, Metric], subset: str = "test") -> str:
    """Return a table as LaTeX (booktabs): intervals as sub- and superscripts, published values below."""
    count, width = int(table["n_test"].iloc[0]), len(metrics) + 1
    if table["n_seeds"].max() > 1:
        seeds = [
            "% interval over galaxies and seeds; in parentheses the standard deviation over seeds;",
            "% bold: best value, told apart from all other rows together by paired differences (Holm's correction);",
        ]
    else:
        seeds = [
            "% interval over galaxies; one seed: differences between trained models are not judged, nothing is bold;",
        ]
    lines = [
        f"% {count} {GALAXIES[subset]}; superscripts and subscripts lead to the ends of the {100 * interval:g} %",
        *seeds,
        "% a dagger: the validation loss was still falling when the budget of updates ended;",
        "% lines `published': the paper's values, of its own sample, not to be compared directly.",
        rf"\begin{{tabular}}{{l{'r' * len(metrics)}}}",
        r"\toprule",
        " & ".join(["model", *(metric.printed.replace("R²", "$R^2$") for metric in metrics.values())]) + r" \\",
    ]
    group = None
    for row in formatted_rows(table, metrics):
        if row["group"] != group:
            group = row["group"]
            lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{{row['group_name']}}}}} \\"]
        lines.append(
            " & ".join([row["name"] + r"$^\dagger$" * row["falling"], *(_tex_cell(row["cells"][m]) for m in metrics)])
            + r" \\"
        )
        if any(cell["published"] for cell in row["cells"].values()):
            printed = [row["cells"][metric]["published"] for metric in metrics]
            cells = [rf"\footnotesize ${text}$" if text else "" for text in printed]
            lines.append(" & ".join([r"\footnotesize\quad published", *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex_cell(cell: Mapping) -> str:
    if not cell["value"]:
        return "--"
    value = rf"\mathbf{{{cell['value']}}}" if cell["best"] else cell["value"]
    over_seeds = rf"\,({cell['std']})" if cell["std"] else ""
    return f"${value}^{{{cell['up']}}}_{{{cell['down']}}}{over_seeds}$"


def write_table(
    name: str,
    predictions: Sequence[Path],
    settings: Evaluation,
    csv: Path,
    tex: Path,
    models: Sequence[str] = (),
    histories: Sequence[Path] = (),
) -> None:
    """Write an experiment's table as CSV and for LaTeX: see `make_table`, and `count_falling` of its histories."""
    data = read_predictions(predictions, settings.subset)
    table = make_table(name, data, settings, count_falling(models, histories))
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
    write_text(tex, tex_table(table, settings.interval, task_of(data.task).metrics, settings.subset))


def read_table(path: Path, metrics: Iterable[str]) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Parameters
    ----------
    path
        Table (CSV).
    metrics
        Metrics that it must have.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or is empty.
    """
    table = read_csv_table(path, columns_of(metrics))
    if table.empty:
        raise InputError(f"{path}: a table without rows; make it again")
    return table
