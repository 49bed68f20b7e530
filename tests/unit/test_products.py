"""Data products: which a run has, what each is made from, and how its function is called."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
from astromae.calling import make
from astromae.documents.inputs import bundled_files, page_inputs, values_inputs
from astromae.errors import InputError
from astromae.figures import FIGURES, SAMPLES
from astromae.figures.families import density_parts, shares_models, shown_encoder
from astromae.plugins import load_plugins
from astromae.products import Product, members
from astromae.registry import Registry
from astromae.run import Run
from astromae.settings.configuration import check_configuration
from astromae.steps import run_step
from astromae.tables import TABLES
from astromae.tasks import TASKS
from project import ROOT
from yaml import safe_load

PLUGIN = ROOT / "tests/plugins/figure_histogram.py"


@pytest.fixture
def config():
    """The default configuration."""
    return copy.deepcopy(safe_load((ROOT / "config.yaml").read_text()))


def run_of(config):
    return Run(check_configuration(config), ["results/stamps/0000.h5"], ["results/stamps/0000.missing.csv"])


def test_the_default_run_has_every_figure_in_the_order_of_the_page(config):
    names = list(members(FIGURES, run_of(config)))
    assert names[:6] == ["stamps", "realism", "scheme-autoencoder", "scheme-inception", "scheme-models", "labels"]
    assert names[6:9] == [f"density-experiment1-{part}" for part in ("scratch", "pretrained", "baselines")]
    assert names[9] == "density-experiment2"
    assert names[10:12] == ["published-table4", "published-table5"]
    assert {"pit-distributions", "nz-distributions", "loss-time-distributions"} < set(names)
    assert names[-5:] == [
        f"learning-rate-{phase}-{experiment}"
        for phase, experiments in (
            ("finetuning", ("experiment1", "experiment2", "distributions")),
            ("pretraining", ("experiment1", "experiment2")),
        )
        for experiment in experiments
    ]
    assert len(names) == 33
    assert list(members(TABLES, run_of(config))) == [
        *("table4", "table5", "distributions", "cost", "calibration"),
        *(f"{family}-{table}" for family in ("conformal", "rail") for table in ("table4", "table5", "distributions")),
        "purity",
        "realism",
    ]


def test_real_pixels_are_not_held_against_real_ones(config):
    config["survey"] = "sdss"
    run = run_of(config)
    for table in (FIGURES, TABLES, SAMPLES):
        assert not any(name.startswith("realism") for name in members(table, run))


def test_a_run_without_pretraining_draws_none_of_it(config):
    for settings in config["experiments"].values():
        settings["models"] = ["henghes"]
    names = set(members(FIGURES, run_of(config)))
    families = ("scheme-autoencoder", "reconstructions", "pretraining", "learning-rate-pretraining", "worst")
    assert not [name for name in names if name.startswith(families)]
    assert {"scheme-inception", "labels", "density-experiment1", "finetuning-experiment1"} <= names


def test_another_task_has_its_table_and_no_figure_of_redshifts(config):
    TASKS.register("other", TASKS["redshift"])
    try:
        config["experiments"]["experiment2"]["task"] = "other"
        run = run_of(config)
        names = set(members(FIGURES, run))
        assert "table5" in members(TABLES, run)
    finally:
        TASKS.unregister("other")
    assert (run.with_task("redshift"), run.task("experiment2")) == (["experiment1"], "other")
    assert set(density_parts(run)) == {f"experiment1-{part}" for part in ("scratch", "pretrained", "baselines")}
    assert not shares_models(run) and "labels" not in names
    assert {name for name in names if name.endswith(("experiment2", "table5"))} == {
        f"{family}-experiment2"
        for family in (
            "reconstructions",
            "finetuning",
            "loss-time",
            "pretraining",
            "learning-rate-finetuning",
            "learning-rate-pretraining",
        )
    }


def test_a_task_of_other_targets_has_no_table_of_redshifts(config):
    TASKS.register("other", dataclasses.replace(TASKS["redshift"], targets={"z": "z_true"}))
    try:
        config["experiments"]["experiment2"]["task"] = "other"
        run = run_of(config)
        assert run.with_redshifts() == ["experiment1", "distributions"] and run.with_density() == ["distributions"]
    finally:
        TASKS.unregister("other")


def test_densities_are_divided_where_they_would_not_fit_a_page(config):
    assert density_parts(run_of(config)) == {
        "experiment1-scratch": ("experiment1", ["scratch"]),
        "experiment1-pretrained": ("experiment1", ["pretrained"]),
        "experiment1-baselines": ("experiment1", ["random", "classical"]),
        "experiment2": ("experiment2", []),
    }
    of_one_group = [name for name in config["models"] if config["models"][name]["group"] == "pretrained"]
    config["experiments"]["experiment1"]["models"] = of_one_group
    assert density_parts(run_of(config))["experiment1"] == ("experiment1", [])


def test_samples_that_figures_and_tables_read_are_taken(config):
    run = run_of(config)
    read = {file for table in (FIGURES, TABLES) for member in members(table, run).values() for file in member.files}
    read |= set(page_inputs(run).values())
    taken = {f"results/samples/{name}" for name in members(SAMPLES, run)}
    assert {file for file in read if file.startswith("results/samples/")} == taken


def test_look_alikes_are_of_encoders_whose_features_are_kept(config):
    run = run_of(config)
    assert run.with_features() == ["experiment1", "experiment2"]
    assert [run.shared_encoders(name) for name in run.with_features()] == [["plain", "pcm"], ["pcm"]]
    assert shown_encoder(run, "experiment1") == "pcm"
    made = members(SAMPLES, run)
    assert made["features-experiment1.h5"].settings["encoders"] == ["plain", "pcm"]
    assert made["look-alikes.json"].inputs["sample"] == "results/samples/features-experiment1.h5"
    config["training"]["share_features"] = False
    run = run_of(config)
    assert not run.with_features() and not page_inputs(run)
    assert not {"purity", "look-alikes.json"} & {*members(TABLES, run), *members(SAMPLES, run)}


def test_a_bundle_holds_what_none_of_its_products_is(config):
    run = run_of(config)
    files = bundled_files(run, members(TABLES, run).values(), members(FIGURES, run).values())
    assert files == sorted(set(files))
    assert {"results/samples/stamps.h5", "results/values/survey.json", "results/tables/models.json"} <= set(files)
    assert {"results/samples/features-experiment1.h5", "results/samples/look-alikes.json"} <= set(files)
    assert {*run.predictions("experiment1"), *run.provenance("experiment2")} <= set(files)
    assert values_inputs(run, "experiment1")["table"] == "results/tables/table4.csv" not in files
    assert not any(file.startswith(("results/stamps", "results/catalog", "results/figures")) for file in files)


def test_settings_are_json(config):
    run = run_of(config)
    for table in (FIGURES, TABLES, SAMPLES):
        for member in members(table, run).values():
            told = json.dumps([member.settings, member.inputs], default=lambda value: value.model_dump(mode="json"))
            assert json.loads(told)


def test_a_plugin_s_figure_is_one_of_the_run(config):
    load_plugins([PLUGIN])
    made = members(FIGURES, run_of(config))
    assert list(made)[-2:] == ["histogram-experiment1", "histogram-experiment2"]
    assert made["histogram-experiment1"].sources[0] == PLUGIN


def test_what_a_function_is_told_is_checked(tmp_path):
    def draw(pdf: Path, png: Path, bins: int) -> None:
        pdf.write_text(str(bins))

    table = Registry("figure", {})
    table.register("mine", Product("mine", draw))
    make(table, "mine", {"pdf": str(tmp_path / "a.pdf"), "png": "a.png", "bins": "3"})
    assert (tmp_path / "a.pdf").read_text() == "3"
    with pytest.raises(InputError, match=r"figure mine: parameter bins: .* \(got 'many'\)"):
        make(table, "mine", {"pdf": "a", "png": "b", "bins": "many"})
    with pytest.raises(InputError, match="figure mine: parameter bins: Missing"):
        make(table, "mine", {"pdf": "a", "png": "b"})


def test_a_step_names_the_family_and_the_parameter_that_is_wrong():
    with pytest.raises(InputError, match=r"figure labels: parameter tables: .* \(got 'a\.csv'\)"):
        run_step("figure", json.dumps({"family": "labels", "tables": "a.csv", "pdf": "a.pdf", "png": "a.png"}))
    with pytest.raises(InputError, match=r"there is no figure 'label'; .*did you mean labels"):
        run_step("figure", json.dumps({"family": "label", "pdf": "a.pdf", "png": "a.png"}))
