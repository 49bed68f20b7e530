"""The gradient of one batch, by one process or by several: a step without the optimiser. Run by test_parallel.py."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from astromae.models.redshift import RedshiftModel
from astromae.training.parallel import share_of, synchronise_batchnorm
from astromae.training.pretrain import build_autoencoder, masks
from astromae.training.runtime import make_fabric
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.sources import open_stamps
from astromae.training.views import Views

BATCH = 15


def main(folder: Path, kind: str, output: Path) -> None:
    recipe = json.loads((folder / f"{kind}.json").read_text())
    # In float64 what is left between the two is no rounding that sixty layers have made larger.
    fabric = make_fabric(recipe["runtime"] | {"precision": "64-true"})
    share = share_of(fabric)
    objid = np.load(folder / "objid.npy")
    scaling = Scaling(**json.loads((folder / "scaling.json").read_text()))
    stamps = open_stamps([folder / "0000.h5"], objid, 48, fabric.device)
    views = Views(stamps, scaling, recipe["augmentation"], 32, 0.05, BATCH, 42, share)
    seed_weights(42)
    bare = (
        build_autoencoder(recipe) if kind == "pretrain" else RedshiftModel(recipe["branches"], recipe["backbone"], 32)
    )
    if share.world_size > 1:
        synchronise_batchnorm(bare)
    optimiser = torch.optim.SGD([p for p in bare.parameters() if p.requires_grad], lr=0.1)
    model, optimiser = fabric.setup(bare.train(), optimiser)
    _, positions, images = next(views.epoch(0))
    own = share.of(len(positions))
    if kind == "pretrain":
        visible, masked = masks(bare, len(positions), 0.75, generator(42, "masks", 0, 0))
        loss = model(images, visible[own], masked[own])
    else:
        target = torch.linspace(0, 1, len(positions))[own]
        loss = (model(images, torch.ones(len(images), 5)) - target).square().mean()
    fabric.backward(loss * share.weight(len(positions)))
    if fabric.is_global_zero:
        result = {name: p.grad.numpy() for name, p in bare.named_parameters() if p.grad is not None}
        np.savez(output, **result, **{name: b.numpy() for name, b in bare.named_buffers() if "running" in name})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
