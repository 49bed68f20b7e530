"""Studies: their settings, what is wrong with them in one line, and what is made of them."""

import copy
import re
from pathlib import Path

import pytest
from astromae.cluster.estimates import Estimates
from astromae.errors import InputError
from astromae.run import Run
from astromae.settings.configuration import check_configuration
from astromae.settings.files import read_configuration, read_defaults
from astromae.survey import SURVEYS
from astromae.survey.entry import Counts
from astromae.training import configured_recipes

PRESETS = Path(__file__).parents[2] / "workflow/presets"


@pytest.fixture(scope="module")
def defaults():
    return read_defaults()


@pytest.fixture(scope="module")
def rivals(defaults):
    return check_configuration(defaults).studies["rivals"]


def complaint(defaults, key, value):
    """Return the line that a changed key of the study gives; None takes the key away."""
    config = copy.deepcopy(defaults)
    section = config["studies"]["rivals"]
    *parents, last = key.split(".")
    for parent in parents:
        section = section[parent]
    section[last] = value
    if value is None:
        del section[last]
    with pytest.raises(InputError) as caught:
        check_configuration(config).check_study("rivals")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("labels", [0.5, 0.25], ["studies.rivals.labels", "ascending fractions"]),
        ("labels", [0.0, 0.5], ["studies.rivals.labels.0", "above 0 and at most 1"]),
        ("labels", [0.5, 0.5], ["different"]),
        ("seeds", None, ["studies.rivals.seeds is missing"]),
        ("label", [1.0], ["studies.rivals.label is an unknown key", "did you mean labels?"]),
        ("networks.small-vit.heads", 5, ["studies.rivals.networks.small-vit.heads", "a divisor of"]),
        ("objectives.mae.networks", ["small-vitt"], ["objectives.mae.networks", "did you mean small-vit?"]),
        (
            "objectives.mae.networks",
            ["thin-resnet"],
            ["studies.rivals.objectives.mae.pretraining.objective", "patches"],
        ),
        ("objectives.mae.pretraining.objective", "mea", ["did you mean mae?"]),
        ("objectives.mae.pretraining.mask_ratio", 0.99, ["studies.rivals.objectives.mae.pretraining.mask_ratio"]),
        ("objectives.mae.pretraining.objective", "supervised", ["an objective without labels"]),
        ("finetuning.frozen.augmented_views", 0, ["finetuning.frozen.augmented_views", "at least 1"]),
        ("finetuning.frozen.augmented_views", None, ["augmented_views is missing"]),
        ("finetuning.unfrozen.augmented_views", 4, ["augmented_views is an unknown key"]),
        ("classical", ["local-linaer"], ["did you mean local-linear?"]),
        ("fractions.train", 0.9, ["studies.rivals.fractions add up to 1.6"]),
        ("fractions.test", 1e-5, ["studies.rivals.fractions.test", "one of embedded.galaxies"]),
        ("pretrain_on", ["everything"], ["pretrain, pretrain_val, train, val, test"]),
        ("validate_on", ["pretrain"], ["not in studies.rivals.pretrain_on"]),
        ("scaling", {"crop": 48}, ["studies.rivals.scaling.crop", "an even number, at most 44"]),
        ("finetuning.frozen.layer_decay", 0.5, ["finetuning.frozen.layer_decay is an unknown key"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(defaults, key, value, words):
    line = complaint(defaults, key, value)
    assert all(word in line for word in words), line


def test_a_study_that_does_not_fit_the_run_stops_only_itself(defaults):
    config = copy.deepcopy(defaults)
    config["studies"]["rivals"]["objectives"]["moco"]["pretraining"]["views"] = {"jitter_px": 20}
    config["experiments"]["architectures"]["pretraining"]["batch_size"] = 1
    config["training"]["gpus"] = 2
    configuration = check_configuration(config)
    with pytest.raises(InputError, match=r"^configuration: studies\.rivals\.objectives\.moco\.pretraining\.views"):
        configuration.check_study("rivals")
    with pytest.raises(
        InputError, match=r"experiments\.architectures\.pretraining\.batch_size is 1; allowed: at least"
    ):
        configuration.check_study("beyond")


@pytest.mark.parametrize("preset", [None, "test", "paper", "bare", "hayat"])
def test_the_studies_of_the_project_fit_its_presets(defaults, preset):
    configuration = read_configuration(PRESETS / f"{preset}.yaml") if preset else check_configuration(defaults)
    configuration.check_study("rivals")
    if preset != "hayat":
        configuration.check_study("beyond")
        configuration.check_study("conditions")


def test_a_study_has_test_galaxies_only(defaults):
    config = {**defaults, "evaluation": {**defaults["evaluation"], "subset": "val"}}
    with pytest.raises(InputError, match=r"evaluation\.subset is val; a study's tables have test galaxies only"):
        check_configuration(config).check_study("rivals")


def test_what_only_a_study_trains_is_no_network_of_the_run(defaults):
    described = configured_recipes.networks_of(check_configuration(defaults))
    assert set(described["experiments"]) == {"experiment1", "experiment2", "distributions"}
    assert not any(name.startswith("tuned") for name in described["models"]) and "plain-vit" in described["models"]


def test_an_epoch_is_no_equal_budget(defaults):
    config = copy.deepcopy(defaults)
    config["studies"]["rivals"]["finetuning"]["unfrozen"] |= {"updates": None, "epochs": 100}
    with pytest.raises(InputError, match=r"finetuning\.unfrozen\.epochs is 100; allowed: null, with as many"):
        check_configuration(config)


def test_names_that_others_have(defaults):
    for name, words in (
        ("experiment1", "names experiments.experiment1"),
        ("tables", "names the folder results/tables"),
    ):
        config = copy.deepcopy(defaults)
        config["studies"][name] = config["studies"]["rivals"]
        with pytest.raises(InputError, match=rf"studies\.{name}: {name} names no study, since it {words}"):
            check_configuration(config)
    config = copy.deepcopy(defaults)
    objectives = config["studies"]["rivals"]["objectives"]
    objectives["random"] = objectives["mae"]
    with pytest.raises(InputError, match=r"objectives\.random: a line of every study has this name"):
        check_configuration(config)
    config = copy.deepcopy(defaults)
    study = config["studies"]["rivals"]
    study["networks"] |= {"vit": study["networks"]["small-vit"], "small-vit": study["networks"]["small-vit"]}
    study["objectives"] |= {"mae-small": {**study["objectives"]["mae"], "networks": ["vit"]}}
    with pytest.raises(
        InputError, match="mae on small-vit and mae-small on vit would both be called mae-small-vit; rename one"
    ):
        check_configuration(config)


def test_a_study_without_objectives_is_none(defaults):
    config = copy.deepcopy(defaults)
    for objective in config["studies"]["rivals"]["objectives"].values():
        objective["networks"] = []
    with pytest.raises(InputError, match="none has a network"):
        check_configuration(config)


def test_the_grid(rivals):
    curves = rivals.curves()
    pairs = list(rivals.encoders().values())
    assert ("mae", "small-vit") in pairs and ("mae", "thin-resnet") not in pairs
    assert len(curves) == 2 * len(pairs) + 2 * len(rivals.used_networks())
    for network in rivals.used_networks():
        assert not curves[f"supervised-{network}-unfrozen"].frozen and curves[f"random-{network}-frozen"].frozen
    assert rivals.labels == tuple(2.0**-power for power in range(5, -1, -1)) and len(rivals.seeds) == 3


def test_an_encoder_learns_by_its_objective_on_the_networks_of_the_study(defaults):
    configuration = check_configuration({**defaults, "decoder": {**defaults["decoder"], "depth": 1}})
    for name, (objective, network) in configuration.studies["rivals"].encoders().items():
        recipe = configured_recipes.encoder_recipe(configuration, "rivals", name)
        assert recipe.pretraining.objective == objective
        assert recipe.backbone == configuration.studies["rivals"].networks[network]
        assert (recipe.experiment, recipe.name) == ("rivals", name)
    recipe = configured_recipes.encoder_recipe(configuration, "rivals", "mae-small-vit")
    assert recipe.objective_settings().decoder == configuration.studies["rivals"].decoder != configuration.decoder


def test_a_recipe_comes_back_from_json_as_it_was(defaults):
    configuration = check_configuration(defaults)
    for curve in configuration.studies["rivals"].curves():
        recipe = configured_recipes.curve_recipe(configuration, "rivals", curve)
        assert type(recipe)(**recipe.as_json()) == recipe


def test_other_settings_of_a_run_leave_a_study_alone(defaults):
    config = copy.deepcopy(defaults)
    study = config["studies"]["rivals"]
    study["scaling"] = {"crop": 40, "softening_sigma": 2.0}
    # Their shifted views do not fit into the stamps then.
    study["objectives"] |= {name: {**study["objectives"][name], "networks": []} for name in ("moco", "barlow_twins")}
    configuration = check_configuration(config)
    own = configured_recipes.curve_recipe(configuration, "rivals", "random-small-vit-frozen")
    assert own.scaling.crop == 40
    assert configured_recipes.encoder_recipe(configuration, "experiment1", "plain").scaling.crop == 32
    assert configured_recipes.classical_recipe(configuration, "rivals", "hgb-apertures").crop == 40


def test_each_line_and_seed_has_a_file(rivals, defaults):
    run = Run(check_configuration(defaults))
    files = run.label_curves("rivals")
    assert len(files) == len(set(files)) == 3 * (len(rivals.curves()) + 1)
    assert files[-1] == "results/rivals/curves/local-linear/seed44/predictions.parquet"
    wildcards = run.wildcards()
    assert "rivals" in wildcards["study"].split("|") and "rivals" in wildcards["experiment"].split("|")
    assert re.fullmatch(wildcards["encoder"], "mae-small-vit")


def test_the_published_scale():
    configuration = read_configuration(PRESETS / "hayat.yaml")
    study = configuration.studies["rivals"]
    assert study.used_networks() == ["plain", "resnet50"]
    recipe = configured_recipes.encoder_recipe(configuration, "rivals", "moco-resnet50")
    assert (recipe.crop, recipe.source_size, recipe.pretraining.batch_size) == (64, 108, 256)
    assert configuration.sdss.selection == "pasquet2019"
    curve = configured_recipes.curve_recipe(configuration, "rivals", "moco-resnet50-unfrozen")
    assert curve.runtime.gpus == 1 and recipe.runtime.gpus == configuration.training.gpus


def estimates(configuration):
    survey = SURVEYS[configuration.survey]
    section = configuration.section(configuration.survey)
    stamps = survey.stamps(section, configuration.stamps.size)
    return Estimates(Run(configuration), Counts(10_000, 48, "a test"), stamps, 1000.0)


def test_the_default_study_is_expected_to_fit_into_its_budget(defaults):
    """Forty minutes of two cores, the survey, which takes ten, and the start of each job, five seconds, among them."""
    configuration = check_configuration(defaults)
    study, expected = configuration.studies["rivals"], estimates(configuration)
    seeds = len(study.seeds)
    core_s = seeds * sum(expected.pretraining_s("rivals", encoder) for encoder in study.encoders())
    core_s += seeds * sum(expected.curve_s("rivals", curve) for curve in study.curves())
    jobs = seeds * (len(study.encoders()) + len(study.curves()) + len(study.classical))
    assert core_s + 5 * jobs + 600 < 2 * 40 * 60
    frozen, unfrozen = (expected.curve_s("rivals", f"mae-small-vit-{kind}") for kind in ("frozen", "unfrozen"))
    assert frozen < unfrozen / 2
