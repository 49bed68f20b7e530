"""The steps of the workflow: functions that the command line calls with parameters from JSON.

A rule hands a step the paths of its inputs and outputs, by their names in the rule, and its settings. What the
function's annotations say is checked before it starts.
"""

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from astromae.calling import call
from astromae.errors import InputError
from astromae.registry import Registry

#: Function of each step.
STEPS: Registry[Callable[..., None]] = Registry(
    "step",
    {
        "catalog": "astromae.survey.embedded_catalog:write_embedded_catalog",
        "frames": "astromae.survey.render:render_strip",
        "sdss-partition": "astromae.survey.sdss_catalog:fetch_partition",
        "sdss-merge": "astromae.survey.sdss_catalog:merge_partitions",
        "user-catalog": "astromae.survey.user_list:write_user_catalog",
        "downloads": "astromae.survey.downloads:print_downloads",
        "cube-catalog": "astromae.survey.cube_catalog:write_cube_catalog",
        "cube-shard": "astromae.survey.cube_catalog:write_cube_shard",
        "cut": "astromae.stamps.cut:cut",
        "split": "astromae.stamps.deal:write_split",
        "scaling": "astromae.training.fit_scaling:write_scaling",
        "pretrain": "astromae.training.pretrain:pretrain",
        "reconstruct": "astromae.training.reconstruct:reconstruct",
        "features": "astromae.training.features:write_features",
        "train": "astromae.training.train:train",
        "label-curve": "astromae.training.label_curve:label_curve",
        "classical-curve": "astromae.classical.curve:classical_curve",
        "classical": "astromae.classical.fit:fit_classical",
        "networks": "astromae.tasks.networks:write_networks",
        "sample": "astromae.figures.steps:take_sample",
        "table": "astromae.tables.steps:make_table",
        "figure": "astromae.figures.steps:draw_figure",
        "label-table": "astromae.tables.label_curves:write_label_tables",
        "label-figure": "astromae.figures.label_curves:draw_label_curves",
        "mask-figure": "astromae.figures.mask_ratios:draw_mask_ratios",
        "study-values": "astromae.documents.values_study:write_study_values",
        "study-document": "astromae.documents.study:write_study_document",
        "values-survey": "astromae.documents.values_survey:write_survey_values",
        "values-experiment": "astromae.documents.values_experiment:write_experiment_values",
        "paper": "astromae.documents.paper:write_paper",
        "results-page": "astromae.documents.results_page:write_results_page",
        "predict-chunk": "astromae.asking.chunks:predict_chunk",
        "predict-join": "astromae.asking.join_chunks:predict_join",
        "bundle": "astromae.bundle:write_bundle",
        "preflight": "astromae.cluster.preflight:preflight",
        "preflight-probe": "astromae.cluster.preflight:probe",
    },
)


def as_json(value: Any) -> str:
    """Return parameters as one line of JSON that depends on their content only."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    """Return models of settings, and sequences of Snakemake's, as JSON has them."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else list(value)


def run_step(name: str, *parameters: str) -> None:
    """Run a step.

    Parameters
    ----------
    name
        The step, one of `STEPS`.
    *parameters
        JSON objects with its parameters, all of them together.

    Raises
    ------
    InputError
        If a parameter is missing, unknown or of another type: names it; or as the step does.
    """
    given: dict[str, Any] = {}
    for text in parameters:
        try:
            given |= json.loads(text)
        except (ValueError, TypeError) as error:
            raise InputError(f"{name}: the parameters are no JSON object ({error}): {text!r}") from error
    call(name, STEPS[name], given)
