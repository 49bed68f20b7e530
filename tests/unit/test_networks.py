"""What networks say of themselves agrees with the paper's numbers, and with the networks."""

from astromae.encoders.inception_network import Inception
from astromae.tasks.networks import count_parameters, describe_models, describe_networks
from published_configuration import published_configuration
from pytest import fixture


@fixture(scope="module")
def configuration():
    return published_configuration()


@fixture(scope="module")
def described(configuration):
    return describe_networks(configuration, 5)


def by_name(rows):
    return {row["name"]: row for row in rows}


def test_joined_lengths_and_parameters_are_the_published_ones(described):
    models = by_name(described["models"])
    assert models["pcm-astromae"]["joined"] == 3216 and models["henghes"]["joined"] == 2120
    assert models["pcm-vit-magnitude"]["joined"] == 2120 and models["plain-vit-inception"]["joined"] == 2192
    assert models["pcm-astromae"]["trainable"] == 10_397_505
    assert models["henghes"]["trainable"] == models["henghes"]["parameters"] == 7_823_921
    assert models["pcm-astromae"]["head"] == [1024, 1] and models["pcm-vit"]["head"] == [1]


def test_counts_are_those_of_the_list_of_models(described, configuration):
    listed = by_name(describe_models(configuration, 5))
    for name, model in by_name(described["models"]).items():
        assert (model["parameters"], model["trainable"]) == (listed[name]["parameters"], listed[name]["trainable"])
        assert sum(branch["parameters"] or 0 for branch in model["branches"]) < model["parameters"]


def test_an_autoencoder_has_the_sizes_of_table_3(described):
    plain, pcm = (by_name(described["autoencoders"])[name] for name in ("plain", "pcm"))
    for encoder in (plain, pcm):
        assert (encoder["tokens"], encoder["values"], encoder["hidden"]) == (16, 8 * 8 * 5, 4 * 192)
        assert (encoder["width"], encoder["depth"], encoder["heads"]) == (192, 12, 3)
        assert encoder["decoder"] == {"width": 192, "depth": 4, "heads": 3}
        assert encoder["encoder_parameters"] + encoder["decoder_parameters"] == encoder["parameters"]
    assert plain["pcm"] is None and pcm["pcm"]["pretrain_kernel"] == 1
    assert 0 < pcm["encoder_parameters"] - plain["encoder_parameters"] < 150_000  # 1 x 1 kernels in 48 groups


def test_inception_halves_its_images_on_the_way_to_192_features(described):
    module = described["inception"]
    assert [(block["channels"], block["side"]) for block in module["blocks"]] == [
        (64, 16),
        (64, 16),
        (32, 8),
        (32, 8),
        (12, 4),
    ]
    assert module["features"] == 192 and module["parameters"] == count_parameters(Inception(5, 32))[0]
    assert [len(block["branches"]) for block in module["blocks"]] == [4, 4, 4, 4, 3]
    for block in module["blocks"]:
        assert sum(branch[-1][1] for branch in block["branches"]) == block["channels"]


def test_no_inception_where_no_model_has_it(configuration):
    models = {name: row for name, row in configuration["models"].items() if not row["inception"]}
    assert describe_networks(configuration | {"models": models}, 5)["inception"] is None
