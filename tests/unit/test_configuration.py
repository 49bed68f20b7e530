"""The configuration is checked before the first job, and a wrong one is explained in one line."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from astromae.errors import InputError
from astromae.settings.configuration import check_configuration, configuration_model
from astromae.settings.document import SCHEMA_PATH, editor_schema, keys, reference
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "workflow/presets").glob("*.yaml"))
STUDIES = sorted((ROOT / "workflow/studies").glob("*.yaml"))


def default() -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for study in STUDIES:
        update_config(config, yaml.safe_load(study.read_text()))
    return config


def with_preset(path: Path) -> dict:
    config = default()
    update_config(config, yaml.safe_load(path.read_text()))
    return config


def changed(key: str, value: object) -> dict:
    config = default()
    section = config
    *parents, last = key.split(".")
    for parent in parents:
        section = section[parent]
    section[last] = value
    return config


def complaint(config: dict) -> str:
    with pytest.raises(InputError) as caught:
        check_configuration(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_default_is_valid():
    check_configuration(default())


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid(preset):
    check_configuration(with_preset(preset))


def test_a_preset_can_change_the_kind_of_schedule():
    config = default()
    schedule = {"kind": "paper_steps", "decay": 0.995, "restart_every": 10}
    finetuning = {"updates": None, "epochs": 20, "schedule": schedule}
    update_config(config, {"experiments": {"experiment1": {"finetuning": finetuning}}})
    check_configuration(config)
    finetuning |= {"updates": 20, "epochs": None}
    update_config(config, {"experiments": {"experiment1": {"finetuning": finetuning}}})
    assert "allowed: cosine while experiments.experiment1.finetuning.updates is given" in complaint(config)


#: Keys that config.yaml leaves out, besides those of entries: their defaults are explained in the documentation.
LEFT_OUT = {"sdss.cuts.z_min", "sdss.cuts.z_max", "sdss.cuts.petro_r_max", "sdss.cuts.ra", "sdss.cuts.dec"}


def test_config_yaml_holds_every_key_of_the_models():
    config = default()
    absent = set()
    for key in keys(config):
        if "<name>" not in key.path:
            section = config
            for part in key.path:
                section = section.get(part) if isinstance(section, dict) else None
                if section is None and part == key.path[-1] and key.default != "`null`":
                    absent.add(".".join(key.path))
    assert absent == LEFT_OUT


def test_config_yaml_and_the_models_have_the_same_defaults():
    """A bare configuration is the default run but for what each run names itself."""
    config = default()
    named = {name: config[name] for name in ("backbones", "models", "experiments", "decoder", "studies")}
    bare, whole = (configuration_model().model_validate(given) for given in (named, config))
    for name in config:
        assert getattr(bare, name) == getattr(whole, name), name


def test_editors_know_the_keys():
    """After a change:  astromae docs-configuration"""
    assert SCHEMA_PATH.read_text() == editor_schema()
    for file in [ROOT / "config.yaml", *PRESETS, *STUDIES]:
        modeline = re.match(r"# yaml-language-server: \$schema=(.*)", file.read_text())
        assert (file.parent / modeline[1]).resolve() == SCHEMA_PATH


@pytest.mark.parametrize("given", [ROOT / "config.yaml", *PRESETS, *STUDIES], ids=lambda path: path.stem)
def test_the_schema_allows_what_config_yaml_and_presets_hold(given):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(yaml.safe_load(given.read_text()), json.loads(SCHEMA_PATH.read_text()))


def test_the_reference_is_that_of_the_schema_and_the_defaults():
    """After a change:  astromae docs-configuration"""
    assert (ROOT / "docs/configuration.md").read_text() == reference(default())


def test_every_key_has_a_description():
    described = list(keys(default()))
    assert len(described) > 100
    assert [".".join(key.path) for key in described if not key.description.endswith(".")] == []
    names = {".".join(key.path) for key in described}
    assert {"sdss.cuts.ra", "backbones.<name>.pcm.groups", "experiments.<name>.finetuning.schedule.kind"} <= names


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("augmentation.rotation_deg", ("`45.0`", "a number at least 0 and at most 180", "deg")),
        (
            "experiments.<name>.fractions.train",
            ("by entry", "a number above 0 and at", ""),
        ),
        ("sdss.cuts.ra", ("none", "null or a list of two values, each a number", "deg")),
        ("survey", ("`embedded`", "embedded, sdss, cube", "")),
    ],
)
def test_the_reference_says_what_a_key_may_hold(path, expected):
    (key,) = (key for key in keys(default()) if ".".join(key.path) == path)
    default_value, words, unit = expected
    assert (key.default, key.unit) == (default_value, unit)
    assert key.allowed.startswith(words)


def sections(text: str) -> dict[str, list[str]]:
    """Split a file into its top-level sections, each with the comments right above it; joined where one comes again."""
    found, comments, lines = {}, [], []
    for line in text.splitlines():
        if re.match(r"\w+:", line):
            lines = found.setdefault(line.partition(":")[0], [])
            lines += [*comments, line]
            comments = []
        elif line.startswith("#"):
            comments.append(line)
        elif line.strip():
            lines.append(line)
        else:
            comments = []
    return found


def test_every_key_of_config_yaml_is_explained():
    """A key has a comment on its line, or the comments of its section name it."""
    written = sections("\n".join(file.read_text() for file in [ROOT / "config.yaml", *STUDIES]))
    inside: dict[str, list[str]] = {}
    for path in (tuple(part for part in key.path if part != "<name>") for key in keys(default())):
        inside.setdefault(path[0], []).extend(path[1:2])
    for name, found in inside.items():
        comments = " ".join(line.partition("#")[2] for line in written[name])
        for key in dict.fromkeys(found or [name]):
            on_its_line = any(re.match(rf"\s+{key}:.*#", line) for line in written[name])
            alone = name == key and "#" in written[name][0]
            assert on_its_line or alone or re.search(rf"\b{key}\b", comments), f"{name}: {key} is not explained"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("survey", "sloan", ['"sloan"', "embedded, sdss, cube"]),
        ("seeds", [], ["one or more different values"]),
        ("seeds", [1, 1], ["different"]),
        ("seeds", 42, ["a list"]),
        ("embedded.galaxies", 20000, ["20000", "at most 10000"]),
        ("embedded.galaxies", 300.0, ["an integer"]),
        ("embedded.galaxy", 300, ["unknown key", "did you mean galaxies?"]),
        ("embedded.camcols", [7], ["camcols.0", "at most 6"]),
        ("sdss.cuts", {"ra": [10]}, ["sdss.cuts.ra", "two values"]),
        ("sdss.queries_per_minute", 600, ["at most 60"]),
        ("experiments.experiment1.fractions.train", -0.1, ["-0.1", "above 0"]),
        ("experiments.experiment1.fractions.train", 0.9, ["add up to 1.6", "at most 1"]),
        ("experiments.experiment1.models", ["pcm-astroma"], ['"pcm-astroma"', "did you mean pcm-astromae?"]),
        ("experiments.experiment1.models", [], ["one or more"]),
        ("experiments.experiment1.pretrain_on", ["everything"], ["pretrain, pretrain_val, train, val, test"]),
        ("experiments.experiment2.pretrain_on", ["pretrain"], ["fraction above 0: train, val, test"]),
        ("experiments.experiment2.validate_on", ["train"], ["not in", "pretrain_on"]),
        ("experiments.experiment2.table", "table4", ["experiment1"]),
        ("embedded.runs", [70000], ["70000", "at most 65535"]),
        ("embedded.galaxies_per_field", 729, ["at most 728"]),
        ("embedded.galaxies_per_field", 0, ["at least 1"]),
        ("embedded.galaxies", 5, ["12 strips", "at most 5"]),
        ("embedded.camcols", [1, 1], ["different"]),
        ("embedded.runs", list(range(1, 1700)), ["10194 strips", "at most 2000"]),
        ("sdss.cuts", {"z_min": 0.4, "z_max": 0.1}, ["z_min = 0.4"]),
        ("sdss.cuts", {"dec": [10, -10]}, ["sdss.cuts.dec"]),
        ("sdss.server", "skyserver.sdss.org", ["https://"]),
        ("experiments.experiment1.fractions.test", 1e-5, ["at least 0.0001", "one of embedded.galaxies (10000)"]),
        ("experiments.experiment1.fractions.pretrain_val", 1e-5, ["0, or at least 0.0001"]),
        ("experiments.experiment1.models", ["henghes", "henghes"], ["different"]),
        ("experiments.experiment1.table", "cost", ["cost names no table", "rename it"]),
        ("experiments.experiment1.table", "realism", ["realism names no table", "rename it"]),
        ("experiments.experiment1.seed", -1, ["at least 0"]),
        ("scaling.crop", 0, ["at least 1"]),
        ("experiments.experiment1.pretraining.mask_ratio", 0.02, ["at least one of the 16 patches"]),
        ("experiments.experiment1.pretraining.mask_ratio", 0.97, ["at least one of the 16 patches"]),
        ("experiments.experiment1.pretraining.mask_ratio", 0.99, ["at least one of the 16 patches"]),
        (
            "experiments.experiment1.pretraining.epochs",
            5,
            ["null while experiments.experiment1.pretraining.up"],
        ),
        ("experiments.experiment1.pretraining.updates", None, ["a number of updates", "pretraining.epochs is null"]),
        ("experiments.experiment1.finetuning.updates", 2.5, ["an integer at least 1"]),
        (
            "experiments.experiment1.finetuning.schedule.warmup",
            10**6,
            ["at most experiments.experiment1.finetuning"],
        ),
        ("experiments.experiment1.finetuning.schedule.warmup", None, ["schedule.warmup is missing"]),
        ("experiments.experiment1.finetuning.optimiser.learning_rate", "1e-4", ["a number", "1.0e-3"]),
        ("experiments.experiment1.finetuning.optimiser.learning_rate", float("nan"), ["finite"]),
        ("experiments.experiment1.finetuning.optimiser.betas", [0.9], ["two values"]),
        ("experiments.experiment1.finetuning.schedule.kind", "step", ["cosine, paper_steps"]),
        ("experiments.experiment1.finetuning.schedule.kind", "paper_steps", ["schedule.decay is missing"]),
        ("models.henghes.encoder", "resnet", ['"resnet"', "plain, pcm"]),
        ("models.henghes.pretrained", True, ["encoder is null"]),
        ("models.inception-only.frozen", True, ["false while encoder is null"]),
        ("experiments.experiment1.classical", ["local-linaer"], ["hgb-apertures", "did you mean local-linear?"]),
        ("models.inception-only.inception", False, ["no branch"]),
        ("backbones.plain.heads", 5, ["a divisor of backbones.plain.width (96)"]),
        ("backbones.plain.width", 190, ["a multiple of 4"]),
        ("backbones.plain.patch", 5, ["a divisor of scaling.crop (32)"]),
        ("backbones.pcm.pcm.groups", 50, ["a divisor of backbones.pcm.width (96)"]),
        ("backbones.pcm.pcm.pretrain_kernel", 2, ["1, 3, 5"]),
        ("backbones.pcm.pcm.pretrain_kernel", 5, ["at most finetune_kernel (3)"]),
        ("backbones.Big", {}, ["backbones.Big", "lower-case"]),
        ("scaling.crop", 48, ["an even number, at most 44"]),
        ("scaling.crop", 40, ["32 while a model has inception: true"]),
        ("training.gpus", -1, ["at least 0"]),
        ("training.precision", "16-mixed", ["training.gpus is 0"]),
        ("training.nodes", 2, ["1 while training.gpus is 0"]),
        ("training.compile", "maybe", ["auto, true, false"]),
        ("training.share_features", "yes please", ["true or false"]),
        ("evaluation.interval", 1.0, ["below 1"]),
        ("experiments.experiment1", None, ["a mapping with the keys"]),
        (
            "backbones.plain.network",
            "vitt",
            ["backbones.plain.network", "vit, pcm-vit, inception", "did you mean vit?"],
        ),
        ("backbones.plain.network", "pcm-vit", ["backbones.plain.pcm is null", "a mapping with the keys"]),
        ("backbones.plain.pathc", 8, ["backbones.plain.pathc is an unknown key", "did you mean patch?"]),
        ("backbones.plain", 8, ["backbones.plain is 8", "a mapping with the keys"]),
        ("experiments.experiment1.pretraining.objective", "mea", ["pretraining.objective", "did you mean mae?"]),
        ("experiments.experiment1.pretraining.mask_ration", 0.5, ["unknown key", "did you mean mask_ratio?"]),
        ("experiments.experiment1.task", "redshifts", ["experiments.experiment1.task", "did you mean redshift?"]),
        ("experiments.experiment1.finetuning.schedule.decay", 2.0, ["schedule.decay is 2.0", "at most 1"]),
        ("decoder.heads", 5, ["decoder.heads is 5", "a divisor of decoder.width (96)"]),
        ("decoder", None, ["decoder is missing", "experiments.experiment1.pretraining.objective mae reads it"]),
        ("sdss.server", "https://x\u2028y", ["text on one line"]),
        ("sdss.download.tries", True, ["sdss.download.tries is true", "an integer at least 1"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(key, value, words):
    message = complaint(changed(key, value))
    for word in words:
        assert word in message
    assert key.split(".")[0] in message


def test_the_sweep_varies_what_config_yaml_has_and_sees_no_test_galaxy():
    config, varied = default(), with_preset(ROOT / "workflow/presets/sweep.yaml")
    assert varied["evaluation"]["subset"] == "val"
    ours, first = config["experiments"]["experiment1"], varied["experiments"]["experiment1"]
    assert {key for key in first if first[key] != ours[key]} == {"title", "table", "classical", "models"}
    own = {name: settings for name, settings in varied["experiments"].items() if settings.get("study") is None}
    for name, settings in own.items():
        assert all(settings[key] == ours[key] for key in ("seed", "fractions", "pretrain_on", "validate_on")), name
        differing = [phase for phase in ("pretraining", "finetuning") if settings[phase] != ours[phase]]
        assert len(differing) == (name not in ("experiment1", "pretraining")), name


def test_a_decoder_is_demanded_only_where_one_is_trained():
    config = default()
    del config["decoder"]
    for experiment in config["experiments"].values():
        experiment["models"] = ["henghes"]
    check_configuration(config)


def test_entries_are_of_the_kind_that_they_name():
    config = default()
    config["backbones"]["small"] = {"network": "inception"}
    checked = check_configuration(config)
    assert [backbone.network for backbone in checked.backbones.values()] == ["vit", "pcm-vit", "inception"]
    assert checked.experiments["experiment1"].pretraining.mask_ratio == 0.75
    assert checked.experiments["experiment1"].task == "redshift"


def test_a_checked_configuration_reads_as_one_again():
    checked = check_configuration(default())
    assert check_configuration(json.loads(checked.model_dump_json(exclude_unset=True))) == checked


def test_a_survey_of_a_plugin_has_a_section_under_its_name(monkeypatch):
    from dataclasses import replace

    from astromae.settings.base import setting
    from astromae.survey import SURVEYS
    from astromae.typed import Typed

    class OtherSettings(Typed):
        """Another survey."""

        chunks: int = setting("Shards.", ge=1)

    monkeypatch.setitem(SURVEYS._added, "other", (replace(SURVEYS["cube"], settings=OtherSettings), Path("other.py")))
    check_configuration(default())
    assert "other is missing" in complaint(default() | {"survey": "other"})
    assert "other.chunks is 0" in complaint(default() | {"survey": "other", "other": {"chunks": 0}})
    assert "did you mean other?" in complaint(default() | {"survey": "othr"})


def test_a_missing_key_is_named():
    config = default()
    del config["experiments"]["experiment2"]["finetuning"]["noise_sigma"]
    assert "experiments.experiment2.finetuning.noise_sigma is missing" in complaint(config)


def test_a_wider_crop_is_allowed_without_rotation_and_inception():
    config = changed("scaling.crop", 64)
    config["augmentation"]["rotation_deg"] = 0
    config["models"] = {"vit": {**config["models"]["plain-vit"]}}
    for experiment in config["experiments"].values():
        experiment["models"] = ["vit"]
    check_configuration(config)


def test_the_paper_preset_holds_what_the_paper_states():
    """Table III, section IV and the curves of figures 4, 5 and 8 (the last two by their fitted forms)."""
    config = with_preset(ROOT / "workflow/presets/paper.yaml")
    assert config["survey"] == "cube"
    assert config["seeds"] == [42, 43, 44, 45, 46]  # the paper's, and four to judge differences by

    first, second = config["experiments"]["experiment1"], config["experiments"]["experiment2"]
    counts = {name: fraction * 659_857 for name, fraction in first["fractions"].items()}
    assert counts == pytest.approx(
        {"pretrain": 527_886, "pretrain_val": 65_986, "train": 46_190, "val": 6_599, "test": 13_197}, abs=1
    )
    pretraining = copy.deepcopy(first["pretraining"])
    assert (pretraining["epochs"], pretraining["batch_size"], pretraining["mask_ratio"]) == (2000, 2048, 0.75)
    assert pretraining["optimiser"] == {"learning_rate": 1.2e-3, "betas": [0.9, 0.95], "weight_decay": 0.05}
    assert pretraining["schedule"] == {"kind": "cosine", "warmup": 200}

    finetuning = first["finetuning"]
    assert (finetuning["epochs"], finetuning["batch_size"], finetuning["noise_sigma"]) == (700, 1024, 0.05)
    assert finetuning["optimiser"] == {"learning_rate": 1e-4, "betas": [0.9, 0.999], "weight_decay": 0.005}
    schedule = finetuning["schedule"]
    assert (schedule["kind"], schedule["decay"], schedule["restart_every"]) == ("paper_steps", 0.995, 10)

    finetuning = second["finetuning"]
    assert (finetuning["epochs"], finetuning["noise_sigma"]) == (100, 0.20)
    assert finetuning["optimiser"]["learning_rate"] == 1e-4
    assert finetuning["schedule"] == {"kind": "cosine", "warmup": 50}

    for backbone in config["backbones"].values():
        assert [backbone[key] for key in ("patch", "width", "depth", "heads")] == [8, 192, 12, 3]
    assert config["decoder"] == {"width": 192, "depth": 4, "heads": 3}
    assert config["augmentation"]["rotation_deg"] == 45
    assert len([name for name in first["models"] if not name.startswith("random-")]) == 14
    assert [name for name in second["models"] if not name.startswith("random-")] == ["henghes", "pcm-astromae"]


@pytest.mark.parametrize(
    ("section", "old", "name", "word"),
    [
        ("experiments", "experiment2", "survey", "results/values/survey.json"),
        ("experiments", "experiment2", "experiment1-scratch", "would share figures with experiments.experiment1"),
        ("models", "henghes", "hgb-magnitudes", "a classical method"),
    ],
)
def test_names_that_would_share_a_file(section, old, name, word):
    config = default()
    config[section][name] = config[section][old]
    if section == "experiments":
        del config[section][old]
    message = complaint(config)
    assert word in message and "rename it" in message


@pytest.mark.parametrize("phase", ["pretraining", "finetuning"])
def test_a_batch_has_a_stamp_for_each_process(phase):
    config = changed(f"experiments.experiment1.{phase}.batch_size", 7)
    config["training"] |= {"gpus": 4, "nodes": 2}
    assert f"{phase}.batch_size is 7; allowed: at least 8" in complaint(config)


@pytest.mark.parametrize("ratio", [0.04, 0.5, 0.95])
def test_a_mask_that_the_check_allows_hides_and_shows_patches(ratio):
    """The check and the autoencoder count alike, at both ends."""
    import torch
    from astromae.objectives.masked_autoencoder import random_masks

    check_configuration(changed("experiments.experiment1.pretraining.mask_ratio", ratio))
    visible, masked = random_masks(3, 16, ratio, torch.Generator().manual_seed(1))
    assert visible.shape[1] > 0 and masked.shape[1] > 0 and visible.shape[1] + masked.shape[1] == 16


def test_the_masks_that_the_check_refuses_hide_or_show_nothing():
    import torch
    from astromae.objectives.masked_autoencoder import random_masks

    for ratio, empty in ((0.02, 1), (0.97, 0)):
        assert random_masks(3, 16, ratio, torch.Generator().manual_seed(1))[empty].shape[1] == 0


def test_as_many_galaxies_as_a_field_may_have_do_fit():
    import numpy as np
    from astromae.survey.embedded_catalog import place_galaxies

    most = json.loads(SCHEMA_PATH.read_text())["$defs"]["EmbeddedSettings"]["properties"]["galaxies_per_field"]
    random = np.random.default_rng(1)
    for number in range(1, most["maximum"] + 1):
        place_galaxies(1, number, random)
    with pytest.raises(InputError, match="do not fit"):
        place_galaxies(1, most["maximum"] + 1, random)


@pytest.mark.parametrize("rotation_deg", [0, 10, 45, 180])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_the_largest_crop_that_the_check_allows_can_be_cut_and_turned(rotation_deg, interpolation):
    import torch
    from astromae.settings.training import Augmentation
    from astromae.training.views import random_maps, turn

    config = default()
    config["augmentation"] |= {"rotation_deg": rotation_deg, "interpolation": interpolation}
    for model in config["models"].values():
        model |= {"inception": False, "magnitude": True}
    allowed = []
    for crop in range(1, 65):
        config["scaling"]["crop"] = crop
        for backbone in config["backbones"].values():
            backbone["patch"] = max(1, crop // 4) if crop % 4 == 0 else 1
        try:
            check_configuration(config)
        except InputError:
            continue
        allowed.append(crop)
    largest, augmentation = allowed[-1], Augmentation(**config["augmentation"])
    assert allowed == list(range(2, largest + 1, 2)) and augmentation.source_size(largest) <= 64
    assert augmentation.source_size(largest + 2) > 64
    size = augmentation.source_size(largest)
    stamps = torch.ones(50, 5, size, size, dtype=torch.float16)
    maps = random_maps(50, augmentation, torch.Generator().manual_seed(1))
    assert torch.allclose(turn(stamps, maps, largest, interpolation), torch.tensor(1.0), atol=1e-3)
