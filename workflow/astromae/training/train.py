"""Fine-tuning: a redshift model learns redshifts from labelled galaxies and predicts the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor, nn

from astromae.files import atomic_path, write_json
from astromae.models.redshift import RedshiftModel
from astromae.training.checkpoint import Checkpoint, fingerprint
from astromae.training.curves import Curves
from astromae.training.features import FeatureBank, finetuning_views, pretrained_encoder
from astromae.training.history import write_history
from astromae.training.parallel import share_of
from astromae.training.predictions import write_predictions
from astromae.training.provenance import Cost, provenance
from astromae.training.runtime import compile_if_wanted, make_fabric
from astromae.training.scaling import Scaling
from astromae.training.seeding import seed_weights
from astromae.training.subsets import EVALUATED, MAGNITUDES, require_finite
from astromae.training.trainer import Attempt, Deadline, fit
from astromae.training.views import Views


@dataclass
class Galaxies:
    """One subset's galaxies, ready for a redshift model.

    Attributes
    ----------
    objid
        Object ids, shape (n,).
    views
        Their stamps.
    magnitudes
        Scaled magnitudes, shape (n, 5), on the training device.
    redshifts
        Spectroscopic redshifts, shape (n,), on the training device.
    """

    objid: np.ndarray
    views: Views
    magnitudes: Tensor
    redshifts: Tensor


@torch.no_grad()
def predict(fabric: Fabric, model: nn.Module, galaxies: Galaxies, features: Tensor | None) -> Tensor:
    """Predict the redshifts (n,) of galaxies from their plain stamps; features (n, width) where known."""
    predicted = []
    for rows, _, images in galaxies.views.plain():
        known = None if features is None else features[rows].to(fabric.device)
        predicted.append(model(images, galaxies.magnitudes[rows], known))
    return torch.cat(predicted)


def train_redshifts(
    catalog: Path,
    stamps: Sequence[Path],
    split: Path,
    scaling: dict[str, Any],
    recipe: dict[str, Any],
    seed: int,
    encoder: Path | None,
    features: Path | None,
    output: Path,
    checkpoints: Path,
    minutes: float | None = None,
    curves: Path | None = None,
) -> None:
    """Train one redshift model and write its predictions, weights, history, recipe and provenance.

    Parameters
    ----------
    catalog, stamps, split
        Catalogue, shards and split of the experiment. A model that reads features and no pixels opens no shard.
    scaling
        Content of its scaling file.
    recipe
        `experiment`, `model`, `group`, `branches`, `backbone`, `augmentation`, `scaling`, `finetuning` and
        `runtime`, as in the configuration.
    seed
        Seed of weights, order and augmentation.
    encoder
        Folder of the pretrained encoder, where the branches want one.
    features
        Its features (`astromae.training.features`), where they have been computed.
    output
        Folder for predictions.parquet, weights.safetensors (trainable weights and buffers), history.csv,
        recipe.json and provenance.json.
    checkpoints
        Folder of states to continue from.
    minutes
        Time limit, before which the state is saved.
    curves
        Folder of event files for TensorBoard, or None.

    Raises
    ------
    InputError
        If a galaxy has no redshift, or no magnitudes where the model reads them, or if the training goes wrong: as
        `astromae.training.trainer.fit`.
    Interrupted
        If the time limit is near, or after SIGTERM; the state is saved.
    """
    deadline = Deadline(minutes)
    settings, branches = recipe["finetuning"], recipe["branches"]
    crop = recipe["scaling"]["crop"]
    fabric = make_fabric(recipe["runtime"])
    cost = Cost(fabric)
    device, share = fabric.device, share_of(fabric)
    table = pd.read_parquet(catalog).set_index("objid")
    bank = FeatureBank(features) if features else None
    reads_pixels = branches["inception"] or (branches["encoder"] and not bank)

    def load(subset: str) -> Galaxies:
        objid, views = finetuning_views(
            stamps if reads_pixels else None, split, subset, scaling, recipe, seed, device, share
        )
        rows = table.loc[objid]
        require_finite(rows, ["z", *(MAGNITUDES if branches["magnitude"] else [])], catalog)
        magnitudes = Scaling(**scaling).magnitudes(rows[MAGNITUDES].to_numpy(np.float64))
        redshifts = torch.tensor(rows.z.to_numpy(np.float32), device=device)
        return Galaxies(objid, views, torch.from_numpy(magnitudes).to(device), redshifts)

    train = load("train")
    evaluated = {subset: load(subset) for subset in EVALUATED}

    seed_weights(seed)
    network = RedshiftModel(branches, recipe["backbone"], crop)
    if branches["pretrained"]:
        network.encoder.load_state_dict(pretrained_encoder(encoder, recipe["backbone"], crop).state_dict())
    # Redshifts are positive and small; starting at their mean saves the epochs that would find it.
    nn.init.constant_(network.output.bias, scaling["redshift_mean"])
    known = {s: bank.subset(s, g.objid) if bank else None for s, g in evaluated.items()}

    encoder_weights = [p.detach().numpy() for p in network.encoder.parameters()] if branches["pretrained"] else []
    labels = [g.redshifts.cpu().numpy() for g in (train, evaluated["val"])]
    data = (train.objid, train.magnitudes.cpu().numpy(), *labels, train.views.stamps.identity(), *encoder_weights)
    marks = fingerprint("redshift", recipe, seed, scaling, *data, *([bank.identity()] if bank else []))
    step = f"redshift-{recipe['experiment']}-{recipe['model']}-seed{seed}"
    checkpoint = Checkpoint(checkpoints, step, marks)

    def losses(model: nn.Module, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        of_epoch = bank.epoch(train.objid, epoch) if bank else None
        for _, positions, images in train.views.epoch(epoch, first):
            own = positions[share.of(len(positions))]
            here = own.to(device)
            features = of_epoch[own].to(device) if bank else None
            predicted = model(images, train.magnitudes[here], features)
            yield positions, nn.functional.mse_loss(predicted, train.redshifts[here])

    def validate(model: nn.Module) -> float:
        predicted = predict(fabric, model, evaluated["val"], known["val"])
        return nn.functional.mse_loss(predicted, evaluated["val"].redshifts).item()

    label = f"{recipe['experiment']} {recipe['model']}"
    attempt = Attempt(label, checkpoint, deadline, Curves(curves if fabric.is_global_zero else None), cost)
    compile_if_wanted(network, recipe["runtime"])
    with deadline:
        rows = fit(fabric, network, losses, validate, settings, attempt, train.objid, len(train.views))

    seen = len(train.objid) * settings["epochs"]
    record = provenance(recipe, seed, marks, seen, cost)
    if not fabric.is_global_zero:
        return
    model = network.eval()
    frames = []
    for subset, galaxies in evaluated.items():
        with fabric.autocast():
            predicted = predict(fabric, model, galaxies, known[subset])
        frames.append(
            pd.DataFrame(
                {
                    "objid": galaxies.objid,
                    "z_spec": table.z.loc[galaxies.objid].to_numpy(np.float64),
                    "z_pred": predicted.cpu().numpy().astype(np.float64),
                    "subset": subset,
                }
            )
        )
    write_predictions(output / "predictions.parquet", pd.concat(frames), recipe, seed, len(train.objid))
    with atomic_path(output / "weights.safetensors") as temporary:
        state = network.state_dict()
        if network.frozen:
            # A frozen encoder is the pretrained one, which stands in its own folder.
            state = {name: t for name, t in state.items() if not name.startswith("encoder.")}
        save_file({name: t.contiguous().cpu() for name, t in state.items()}, temporary)
    write_history(output / "history.csv", rows)
    write_json(
        output / "recipe.json",
        {"recipe": recipe, "seed": seed, "train_galaxies": len(train.objid)},
    )
    write_json(output / "provenance.json", record)
    checkpoint.remove()
