"""The gradient of one batch, by one process or by several: a step without the optimiser. Run by test_parallel.py."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from astromae.tasks.model import build_model
from astromae.training.parallel import synchronise_batchnorm
from astromae.training.recipes import EncoderRecipe, ModelRecipe
from astromae.training.scaling import read_scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.session import Session
from astromae.training.sources import open_stamps

BATCH = 15


def write_gradient(folder: Path, kind: str, output: Path) -> None:
    told = json.loads((folder / f"{kind}.json").read_text())
    learns_alone = kind != "train"
    recipe = (EncoderRecipe if learns_alone else ModelRecipe).model_validate(told)
    # In float64 what is left between the two is no rounding that sixty layers have made larger.
    runtime = recipe.runtime.model_copy(update={"precision": "64-true"})
    recipe = recipe.model_copy(update={"runtime": runtime})
    session = Session("pretrain" if learns_alone else "train", recipe, 42, read_scaling(folder / "scaling.json"))
    fabric, share = session.fabric, session.share
    stamps = open_stamps([folder / "0000.h5"], np.load(folder / "objid.npy"), 48, fabric.device)
    views = session.views(stamps, BATCH, 0.05, share)
    seed_weights(42)
    bare = recipe.build(5) if learns_alone else build_model(recipe, 5)
    if share.world_size > 1:
        synchronise_batchnorm(bare)
    optimiser = torch.optim.SGD([p for p in bare.parameters() if p.requires_grad], lr=0.1)
    model, optimiser = fabric.setup(bare.train(), optimiser)
    _, positions, images = next(views.several(0, 0, recipe.objective.views if learns_alone else 1))
    own = share.of(len(positions))
    if learns_alone:
        drawn = bare.draw(len(positions), generator(42, "masks", 0, 0))
        loss = model(*images, *(values[own] for values in drawn))
    else:
        target = torch.linspace(0, 1, len(positions))[own, None]
        loss = (model(*images, torch.ones(len(positions[own]), 5)) - target).square().mean()
    loss = loss * share.weight(len(positions))
    fabric.backward(loss)
    value = fabric.all_reduce(loss.detach())
    if learns_alone:
        bare.after_step(0, 1)
    if fabric.is_global_zero:
        result = {name: p.grad.numpy() for name, p in bare.named_parameters() if p.grad is not None}
        state = {name: b.numpy() for name, b in bare.named_buffers() if "running" in name or name in ("queue", "place")}
        np.savez(output, loss=value.numpy(), **result, **state)


if __name__ == "__main__":
    for kind in sys.argv[3:]:
        write_gradient(Path(sys.argv[1]), kind, Path(sys.argv[1]) / f"{kind}-{sys.argv[2]}.npz")
