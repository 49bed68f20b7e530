"""Synthetic predictions, histories and recipes in the files that training writes, to test evaluation with.

Errors are normal, of a width that is given for each model, so that tests know the truth.
"""

import json

import h5py
import numpy as np
import pandas as pd
from astromae.contracts.history import write_history
from astromae.contracts.predictions import write_predictions
from astromae.contracts.shards import write_shard
from astromae.contracts.stamp_format import StampFormat
from astromae.settings.evaluation import Evaluation
from astromae.settings.training import Schedule
from astromae.tables.published import published_table
from astromae.tasks.networks import describe_networks
from astromae.training.schedule import learning_rate
from published_configuration import published_configuration

SETTINGS = Evaluation(bootstrap_samples=200, interval=0.95, outlier_threshold=0.05, seed=42)
FIRST_OBJID = 1_237_645_879_551_066_262
SCHEDULE = {"kind": "cosine", "warmup": 2}


def redshifts(n, seed=0):
    """Spectroscopic redshifts shaped like a flux-limited sample's."""
    return np.clip(np.random.default_rng(seed).gamma(4, 0.03, n), 0.003, 0.5)


def predictions_file(folder, experiment, model, group, sigma, seed=42, n=400, n_val=50, n_train=1000):
    """Write one model's predictions; the galaxies are the same for every model."""
    z = redshifts(n + n_val)
    rng = np.random.default_rng([seed, *model.encode()])
    table = pd.DataFrame(
        {
            "objid": np.arange(n + n_val) + FIRST_OBJID,
            "z_spec": z,
            "z_pred": z + sigma * (1 + z) * rng.standard_normal(n + n_val),
            "subset": ["test"] * n + ["val"] * n_val,
        }
    )
    path = folder / experiment / model / f"seed{seed}" / "predictions.parquet"
    recipe = {"experiment": experiment, "model": model, "group": group, "task": "redshift"}
    write_predictions(path, table, recipe, seed, n_train)
    return path


def published_models(table):
    """Return model and group of each row of a published table."""
    return [(model, row["group"]) for model, row in published_table(table).items()]


def experiment_files(
    folder, experiment="experiment1", table="table4", seeds=(42,), classical=True, n=400, n_train=1000
):
    """Write predictions of a whole table, the later rows a little better, and return the paths."""
    models = published_models(table) + ([("hgb-magnitudes", "classical")] if classical else [])
    return [
        predictions_file(folder, experiment, model, group, 0.025 - 0.0007 * number, seed, n, n_train=n_train)
        for number, (model, group) in enumerate(models)
        for seed in seeds
    ]


def history_file(path, seed=0, epochs=12, base=3e-4):
    """Write a history whose losses fall as losses do."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "update": 4 * (epoch + 1),
            "epoch": epoch + 1.0,
            "learning_rate": learning_rate(base, Schedule(**SCHEDULE), epochs, epoch),
            "train_loss": 0.01 * np.exp(-epoch / 3) + 0.0006 * rng.uniform(1, 1.1),
            "val_loss": 0.009 * np.exp(-epoch / 3) + 0.0007 * rng.uniform(1, 1.3),
        }
        for epoch in range(epochs)
    ]
    write_history(path, rows)
    return path


def json_file(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def galaxy_images(n, size=64, seed=0):
    """Round exponential galaxies with sky noise, nanomaggies a pixel, shape (n, 5, size, size), redder when fainter."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - (size - 1) / 2
    radius = np.hypot(x, y)
    images = np.empty((n, 5, size, size))
    for number in range(n):
        scale = rng.uniform(1.5, 4)
        profile = np.exp(-radius / scale) / (2 * np.pi * scale**2)
        flux = rng.uniform(20, 300) * np.array([0.1, 0.4, 1.0, 1.4, 1.8])
        images[number] = flux[:, None, None] * profile + 0.02 * rng.standard_normal((5, size, size))
    return images


def catalog_file(path, n=60, survey="embedded"):
    """Write a catalogue with the columns and metadata that evaluation reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    z = redshifts(n)
    table = pd.DataFrame({"objid": np.arange(n) + FIRST_OBJID, "z": z, "mag_r": 14 + 10 * z**0.5})
    table["mag_g"] = table["mag_r"] + 0.5 + 2 * z
    table["run"], table["camcol"], table["field"] = 9001, 1, 11 + np.arange(n) // 20
    about = {
        "survey": survey,
        "release": 17,
        "selection": "a test's galaxies",
        "source": "a package",
        "real": "fluxes and redshifts",
        "simulated": "pixels",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(table).replace_schema_metadata({b"astromae": json.dumps(about).encode()}), path)
    return path


def stamps_files(folder, n=60, shards=2, missing=2):
    """Write shards for all but the last `missing` galaxies of `catalog_file`, and the tables of the missing."""
    objid = np.arange(n) + FIRST_OBJID
    images = galaxy_images(n)
    stamps, tables = [], []
    for chunk, part in enumerate(np.array_split(np.arange(n - missing), shards)):
        stamps.append(folder / f"{chunk:04d}.h5")
        write_shard(
            stamps[-1], objid[part], images[part], StampFormat(tuple("ugriz"), 0.396, 64), "embedded", "lanczos3"
        )
        tables.append(folder / f"{chunk:04d}.missing.csv")
        lost = objid[n - missing :] if chunk == 0 else []
        pd.DataFrame({"objid": lost, "reason": ["at the frame's edge"] * len(lost)}).to_csv(tables[-1], index=False)
    return stamps, tables


def reconstructions_file(path, seed=0, n=6):
    """Write reconstructions that are the galaxies without their noise."""
    rng = np.random.default_rng(3)
    images = galaxy_images(n, 32)
    masked = np.array([rng.permutation(16) < 12 for _ in range(n)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["objid"] = np.arange(n)
        file["original"] = images
        file["masked"] = masked
        file.attrs["bands"] = "ugriz"
        file["reconstructed"] = images + 0.05 * np.random.default_rng(seed).standard_normal(images.shape)
    return path


def training_record(folder, experiment, name, pretraining=False, seed=42, **took):
    """Write provenance.json of one training, as training writes it, with what it `took` if given."""
    recipe = {
        "experiment": experiment,
        "backbone": {"patch": 8, "width": 192, "depth": 12, "heads": 3, "pcm": None},
        "scaling": {"crop": 32, "softening_sigma": 3.0},
        "augmentation": {"rotation_deg": 45.0, "flips": True, "rotate_before_crop": True},
    }
    if name == "pcm":
        recipe["backbone"]["pcm"] = {"pretrain_kernel": 1, "finetune_kernel": 3, "groups": 48}
    if pretraining:
        recipe |= {"name": name, "decoder": {"width": 192, "depth": 4, "heads": 3}}
        recipe["pretraining"] = {"normalise_targets": False}
    else:
        group = "scratch" if name in ("henghes", "inception-only") or name.startswith("scratch") else "pretrained"
        encoder = next((kind for kind in ("plain", "pcm") if kind in name), None)
        branches = {"encoder": encoder, "frozen": group == "pretrained"}
        recipe |= {"model": name, "group": group, "branches": branches}
    versions = {"python": "3.11.7", "torch": "2.14.1+cpu"}
    about = {
        "recipe": recipe,
        "seed": seed,
        "versions": versions,
        "code": {"version": "0.1.0", "commit": "0123456789abcdef" * 2 + "01234567", "uncommitted": False},
        "device": "A processor",
        "devices": 1,
        "threads": 1,
        "attempts": 2,
        "stamps": 12_300,
        "wall_s": 61.5,
        "cpu_hours": 0.0171,
        "gpu_hours": 0.0,
        "peak_memory_mb": 812,
    }
    return json_file(folder / experiment / name / f"seed{seed}" / "provenance.json", about | took)


def networks_file(path):
    """Describe the networks of table III's sizes."""
    return json_file(path, describe_networks(published_configuration(), 5))


PHASE = {"updates": None, "epochs": 12, "batch_size": 256, "schedule": SCHEDULE}
EXPERIMENT = {
    "title": "Experiment 1",
    "table": "table4",
    "seed": 7,
    "pretrain_on": ["pretrain"],
    "pretraining": PHASE
    | {
        "mask_ratio": 0.75,
        "optimiser": {"learning_rate": 1e-3, "betas": [0.9, 0.95], "weight_decay": 0.05},
    },
    "finetuning": PHASE
    | {
        "noise_sigma": 0.05,
        "optimiser": {"learning_rate": 3e-4, "betas": [0.9, 0.999], "weight_decay": 0.005},
    },
}


def split_file(path, subsets, first=0):
    """Write a split with the given number of galaxies in each subset, numbered from `first`."""
    names = np.repeat(list(subsets), list(subsets.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"objid": np.arange(len(names)) + first, "subset": names}).to_parquet(path)
    return path


def models_file(path):
    """Write what `astromae models --json` says of the published models, with made-up numbers of parameters."""
    rows = []
    for number, (name, group) in enumerate(published_models("table4")):
        encoder = next((kind for kind in ("plain", "pcm") if kind in name), None)
        astromae = "astromae" in name
        rows.append(
            {
                "name": name,
                "group": group,
                "encoder": encoder,
                "pretrained": group == "pretrained",
                "frozen": group == "pretrained",
                "inception": astromae or "inception" in name or name == "henghes",
                "magnitude": astromae or "magnitude" in name or name == "henghes",
                "parameters": 15_000_000 + number,
                "trainable": 10_000_000 + number,
            }
        )
    return json_file(path, rows)
