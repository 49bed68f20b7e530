"""Pretraining: an encoder learns to fill in masked patches, without labels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from astromae.files import atomic_path, write_checksum, write_json
from astromae.models.mae import MaskedAutoencoder, random_masks
from astromae.models.vit import build_encoder
from astromae.sizes import source_size
from astromae.training.checkpoint import Checkpoint, fingerprint
from astromae.training.curves import Curves
from astromae.training.history import write_history
from astromae.training.liveness import require_alive
from astromae.training.parallel import share_of
from astromae.training.provenance import Cost, provenance
from astromae.training.runtime import compile_if_wanted, make_fabric
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.sources import open_stamps
from astromae.training.subsets import members
from astromae.training.trainer import Attempt, Deadline, fit
from astromae.training.views import Views


def build_autoencoder(recipe: dict[str, Any]) -> MaskedAutoencoder:
    """Build the masked autoencoder of a pretraining recipe."""
    encoder = build_encoder(recipe["backbone"], recipe["scaling"]["crop"], "pretrain")
    return MaskedAutoencoder(encoder, recipe["decoder"], recipe["pretraining"]["normalise_targets"])


def masks(model: MaskedAutoencoder, n: int, ratio: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw visible and masked patches for `n` stamps of a model's grid."""
    return random_masks(n, len(model.encoder.positions), ratio, random)


def pretrain(
    stamps: Sequence[Path],
    split: Path,
    scaling: dict[str, Any],
    recipe: dict[str, Any],
    seed: int,
    output: Path,
    checkpoints: Path,
    minutes: float | None = None,
    curves: Path | None = None,
) -> None:
    """Pretrain an encoder and write its weights, history, recipe and provenance.

    Parameters
    ----------
    stamps, split
        Shards and split of the experiment.
    scaling
        Content of its scaling file.
    recipe
        `experiment`, `name`, `backbone`, `decoder`, `scaling`, `augmentation`, `pretrain_on`, `validate_on`,
        `pretraining` and `runtime`, as in the configuration.
    seed
        Seed of weights, order, augmentation and masks.
    output
        Folder for weights.safetensors (encoder and decoder), history.csv, recipe.json and provenance.json.
    checkpoints
        Folder of states to continue from.
    minutes
        Time limit, before which the state is saved.
    curves
        Folder of event files for TensorBoard, or None.

    Raises
    ------
    InputError
        If the training goes wrong: as `astromae.training.trainer.fit`, or if the encoder dies.
    Interrupted
        If the time limit is near, or after SIGTERM; the state is saved.
    """
    deadline = Deadline(minutes)
    settings, crop = recipe["pretraining"], recipe["scaling"]["crop"]
    fabric = make_fabric(recipe["runtime"])
    cost = Cost(fabric)
    device, share = fabric.device, share_of(fabric)
    size = source_size(crop, recipe["augmentation"])

    def subset_views(names: Sequence[str]) -> tuple[Any, Views]:
        objid = members(split, names)
        source = open_stamps(stamps, objid, size, device)
        views = Views(
            source, Scaling(**scaling), recipe["augmentation"], crop, 0.0, settings["batch_size"], seed, share
        )
        return objid, views

    objid, views = subset_views(recipe["pretrain_on"])
    validation_objid, validation = subset_views(recipe["validate_on"])
    marks = fingerprint("pretrain", recipe, seed, scaling, objid, validation_objid, views.stamps.identity())
    step = f"pretrain-{recipe['experiment']}-{recipe['name']}-seed{seed}"
    checkpoint = Checkpoint(checkpoints, step, marks)

    seed_weights(seed)
    autoencoder = build_autoencoder(recipe)

    def losses(model: nn.Module, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch, positions, images in views.epoch(epoch, first):
            random = generator(seed, "masks", epoch, batch, device=device)
            own = share.of(len(positions))
            visible, masked = masks(autoencoder, len(positions), settings["mask_ratio"], random)
            yield positions, model(images, visible[own], masked[own])

    def validate(_: nn.Module) -> float:
        random = generator(seed, "validation masks", device=device)
        total = torch.zeros((), device=device)
        for rows, n, images in validation.plain(share):
            visible, masked = masks(autoencoder, n, settings["mask_ratio"], random)
            own = share.of(n)
            if not len(images):
                continue
            # Not the wrapped model: processes may have different numbers of batches.
            with fabric.autocast():
                if rows.start == 0:
                    require_alive(autoencoder.encoder.features(images), "pretraining")
                total += autoencoder(images, visible[own], masked[own]) * len(images)
        return fabric.all_reduce(total, reduce_op="sum").item() / len(validation.stamps)

    label = f"pretrain {recipe['name']}"
    attempt = Attempt(label, checkpoint, deadline, Curves(curves if fabric.is_global_zero else None), cost)
    compile_if_wanted(autoencoder, recipe["runtime"])
    with deadline:
        rows = fit(fabric, autoencoder, losses, validate, settings, attempt, objid, len(views))
    seen = len(objid) * settings["epochs"]
    record = provenance(recipe, seed, marks, seen, cost)
    if not fabric.is_global_zero:
        return
    with atomic_path(output / "weights.safetensors") as temporary:
        save_file({name: t.contiguous().cpu() for name, t in autoencoder.state_dict().items()}, temporary)
    write_checksum(output / "weights.safetensors")
    write_history(output / "history.csv", rows)
    write_json(output / "recipe.json", {"recipe": recipe, "seed": seed, "stamps": len(objid)})
    write_json(output / "provenance.json", record)
    checkpoint.remove()
