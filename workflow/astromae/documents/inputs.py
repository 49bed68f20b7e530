"""Which files the named values of an experiment, the results page and a bundle are made from."""

from collections.abc import Iterable

from astromae.products import Member
from astromae.run import Run


def values_inputs(run: Run, experiment: str) -> dict[str, str | list[str]]:
    """Return the files that the named values of an experiment are made from, by name."""
    calibration = {"calibration": "results/tables/calibration.csv"} if experiment in run.with_density() else {}
    return {
        **calibration,
        "split": f"results/splits/{experiment}.parquet",
        "table": f"results/tables/{run.experiments[experiment].table}.csv",
        "models": "results/tables/models.json",
        "costs": "results/tables/cost.csv",
        "predictions": run.predictions(experiment),
        "provenance": run.provenance(experiment),
    }


def page_inputs(run: Run) -> dict[str, str]:
    """Return the files that the results page alone is made from, by name."""
    return {"look_alikes": "results/samples/look-alikes.json"} if run.with_features() else {}


def bundled_files(run: Run, tables: Iterable[Member], figures: Iterable[Member]) -> list[str]:
    """Return all files that tables, figures, values and documents are made from and that none of them is."""
    tables = list(tables)
    files = {file for member in [*tables, *figures] for file in member.files}
    for experiment in run.experiments:
        for value in values_inputs(run, experiment).values():
            files.update([value] if isinstance(value, str) else value)
    made = {f"results/tables/{member.name}.csv" for member in tables}
    return sorted({*files, *page_inputs(run).values(), "results/values/survey.json"} - made)
