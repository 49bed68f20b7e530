"""Small galaxies, networks and recipes for the tests of training."""

import struct
from pathlib import Path

import numpy as np
import pandas as pd
from astromae.constants import BANDS
from astromae.contracts.shards import write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.encoders import build_encoder
from astromae.objectives.mae import MAESettings
from astromae.objectives.masked_autoencoder import MaskedAutoencoder
from astromae.settings.entries import Backbone
from astromae.settings.galaxy_views import EXTINCTION_PER_EBV
from astromae.settings.training import Augmentation
from astromae.settings.training import Scaling as ScalingSettings
from astromae.tasks.branches import Branches
from astromae.tasks.model import Model
from astromae.training.features import write_features
from astromae.training.fit_scaling import write_scaling
from astromae.training.pretrain import pretrain
from astromae.training.recipes import EncoderRecipe, FeaturesRecipe, ModelRecipe
from astromae.training.scaling import read_scaling
from astromae.training.session import Execution
from astromae.training.train import train
from pydantic import TypeAdapter
from tensorboardX.proto.event_pb2 import Event, SessionLog

AUGMENTATION = Augmentation()
BACKBONE = {"patch": 8, "width": 24, "depth": 2, "heads": 3, "pcm": None}
PCM = {**BACKBONE, "pcm": {"pretrain_kernel": 1, "finetune_kernel": 3, "groups": 6}}
COMMON = {
    "scaling": {"crop": 32, "softening_sigma": 3.0},
    "augmentation": AUGMENTATION,
    "runtime": {"precision": "32-true", "gpus": 0, "compile": "auto"},
}
FINETUNING = {
    "epochs": 3,
    "batch_size": 16,
    "noise_sigma": 0.05,
    "optimiser": {"learning_rate": 1e-3, "betas": [0.9, 0.999], "weight_decay": 0.005},
    "schedule": {"kind": "cosine", "warmup": 1},
}
PRETRAINING = {
    **{k: v for k, v in FINETUNING.items() if k != "noise_sigma"},
    "mask_ratio": 0.75,
    "normalise_targets": False,
}
DECODER = {"decoder": {"width": 24, "depth": 1, "heads": 3}}
#: Format of the stamps.
STAMPS = StampFormat(BANDS, 0.396, 64)
SUBSETS = {"pretrain": 48, "pretrain_val": 8, "train": 40, "val": 8, "test": 16}


def backbone_of(given):
    """Return the settings of a backbone as the configuration gives it."""
    return TypeAdapter(Backbone).validate_python(given)


def encoder_of(given, phase, side=32):
    return build_encoder(backbone_of(given), len(BANDS), side, phase)


def autoencoder_of(encoder, decoder, normalise_targets=False):
    settings = MAESettings(mask_ratio=0.75, normalise_targets=normalise_targets, decoder=decoder)
    return MaskedAutoencoder(encoder, settings, len(BANDS))


def model_of(branches, backbone=None, side=32):
    """Return the redshift model of an entry of the configuration's `models`."""
    chosen = {"pretrained": False, "linear": False, **branches}
    chosen = Branches(**{name: chosen[name] for name in Branches.model_fields})
    return Model(chosen, backbone and backbone_of(backbone), len(BANDS), side, 1)


def pretraining_recipe(backbone=PCM, own_pretraining=None, sections=DECODER, **changes):
    common = {name: changes.pop(name) for name in ("runtime", "pretrain_on") if name in changes}
    return EncoderRecipe(
        **{
            "experiment": "experiment1",
            "name": "pcm",
            "backbone": backbone,
            "pretrain_on": ["pretrain"],
            "validate_on": ["pretrain_val"],
            "pretraining": own_pretraining or {**PRETRAINING, **changes},
            **sections,
            **COMMON,
            **common,
        }
    )


def objective_recipe(objective, backbone=BACKBONE, phase=(), **own):
    """Return the recipe of an encoder that learns by another objective than mae; `phase` are keys that all have."""
    common = {name: value for name, value in FINETUNING.items() if name != "noise_sigma"}
    labels = objective == "supervised"
    return EncoderRecipe(
        experiment="experiment1",
        name="own",
        backbone=backbone,
        pretrain_on=["train" if labels else "pretrain"],
        validate_on=["val" if labels else "pretrain_val"],
        pretraining={**common, "objective": objective, **dict(phase), **own},
        task="redshift" if labels else None,
        **COMMON,
    )


def model_recipe(finetuning=FINETUNING, task="redshift", backbone=PCM, **changes):
    branches = {"encoder": "pcm", "pretrained": True, "frozen": True, "inception": True, "magnitude": True}
    return ModelRecipe(
        experiment="experiment1",
        model="pcm-astromae",
        group="pretrained",
        task=task,
        branches={**branches, **changes},
        backbone=backbone,
        finetuning=finetuning,
        **COMMON,
    )


def features_recipe(backbone=PCM):
    passes = {name: FINETUNING[name] for name in ("epochs", "batch_size", "noise_sigma")}
    return FeaturesRecipe(name="pcm", backbone=backbone, finetuning=passes, **COMMON)


def write_galaxies(folder):
    """Write galaxies whose redshift is in their size and colour: catalogue, shard, split and scaling."""
    random = np.random.default_rng(3)
    n = sum(SUBSETS.values())
    z = random.uniform(0.02, 0.3, n)
    magnitudes = 17 + 3 * z[:, None] * [2.0, 1.0, 0.5, 0.3, 0.2] + random.normal(0, 0.02, (n, 5))
    objid = random.permutation(np.arange(n)) + 10**18
    catalog = pd.DataFrame({"objid": objid, "z": z} | {f"mag_{b}": magnitudes[:, i] for i, b in enumerate(BANDS)})
    dust = random.uniform(0, 0.1, n)  # E(B-V)
    catalog = catalog.assign(**{f"extinction_{b}": EXTINCTION_PER_EBV[b] * dust for b in BANDS})
    radius = np.hypot(*np.mgrid[-31.5:32, -31.5:32])
    profile = np.exp(-radius / (4 - 8 * z[:, None, None]))
    profile /= profile.sum(axis=(1, 2), keepdims=True)
    flux = 10 ** (-0.4 * (magnitudes + catalog[[f"extinction_{b}" for b in BANDS]].to_numpy() - 22.5))
    images = flux[:, :, None, None] * profile[:, None] + random.normal(0, 0.02, (n, 5, 64, 64))
    write_shard(folder / "0000.h5", objid, images.astype(np.float32), STAMPS, "test", "none")
    catalog.to_parquet(folder / "galaxies.parquet")
    subset = np.repeat(list(SUBSETS), list(SUBSETS.values()))
    pd.DataFrame({"objid": objid, "subset": subset}).to_parquet(folder / "split.parquet")
    fit_scaling(folder)
    return folder


def fit_scaling(folder):
    files = (folder / "galaxies.parquet", folder / "split.parquet")
    settings = ScalingSettings(**COMMON["scaling"])
    write_scaling([folder / "0000.h5"], *files, ["pretrain"], settings, folder / "scaling.json")


def scaling_of(folder):
    return read_scaling(folder / "scaling.json")


def run_pretrain(folder, output, recipe, seed=42, **execution):
    pretrain(
        [folder / "0000.h5"],
        folder / "split.parquet",
        folder / "scaling.json",
        recipe,
        seed,
        output,
        folder / "galaxies.parquet" if recipe.reads_catalog else None,
        Execution(**{"checkpoints": output / "checkpoints", **execution}),
    )


def run_train(folder, output, recipe, encoder=None, features=None, seed=42, **execution):
    train(
        folder / "galaxies.parquet",
        folder / "split.parquet",
        folder / "scaling.json",
        recipe,
        seed,
        output,
        [folder / "0000.h5"],
        encoder and encoder / "weights.safetensors",
        features,
        Execution(**{"checkpoints": output / "checkpoints", **execution}),
    )


def run_features(folder, encoder, path, recipe=None):
    files = (encoder / "weights.safetensors", [folder / "0000.h5"], folder / "split.parquet", folder / "scaling.json")
    write_features(*files, recipe or features_recipe(), 42, path)


def read_events(path):
    """Return the events of a file of TensorBoard, up to a record that was not written to its end."""
    content, events, start = path.read_bytes(), [], 0
    while start + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        record = content[start + 12 : start + 12 + length]  # between the checksums of length and record
        if len(record) < length:
            break
        events.append(Event.FromString(record))
        start += 16 + length
    return events


def read_scalars(folder):
    """Return the scalars that TensorBoard shows, each a mapping of step to value: a restart takes back what follows."""
    scalars = {}
    for path in sorted(Path(folder).iterdir()):
        for event in read_events(path):
            if event.session_log.status == SessionLog.START:
                for points in scalars.values():
                    for step in [step for step in points if step >= event.step]:
                        del points[step]
            for value in event.summary.value:
                scalars.setdefault(value.tag, {})[event.step] = value.simple_value
    return scalars
