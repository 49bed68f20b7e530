"""Features of a frozen encoder, computed once for all the models that read them.

A frozen encoder maps a view to the same features whichever model asks, and views depend on seed,
epoch and batch alone (`astromae.training.views`). So one pass over every epoch's views serves all
models of an experiment with that encoder, which then train without running it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from astromae.contracts.features import FEATURE_TYPE, FeatureFile
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.progress import Ticker
from astromae.training.attention import choose_attention
from astromae.training.collapse import require_no_collapse
from astromae.training.pretrained import pretrained_encoder
from astromae.training.recipes import FeaturesRecipe
from astromae.training.scaling import read_scaling
from astromae.training.session import Session
from astromae.training.subsets import EVALUATED


@torch.no_grad()
def write_features(
    weights: Path,
    stamps: Sequence[Path],
    split: Path,
    scaling: Path,
    recipe: FeaturesRecipe,
    seed: int,
    features: Path,
) -> None:
    """Compute a frozen encoder's features of every training view and of the evaluated stamps.

    Parameters
    ----------
    weights
        Weights in the folder of a pretrained encoder.
    stamps, split, scaling
        Shards, split and scaling of the experiment.
    recipe
        Which encoder, and which views.
    seed
        Seed of order and augmentation, the same as the models'.
    features
        File to write (`astromae.contracts.features`).

    Raises
    ------
    InputError
        If the encoder has collapsed: its features do not differ between stamps; or if they are no finite float16.
    """
    session, passes, folder = (
        Session("features", recipe, seed, read_scaling(scaling)),
        recipe.finetuning,
        weights.parent,
    )
    model = pretrained_encoder(folder, recipe.backbone, len(session.scaling.bands), recipe.crop)
    model = model.to(session.device).eval()
    choose_attention(model, session.device)
    frozen = FrozenEncoder(model)

    def compute(images: Tensor) -> np.ndarray:
        with session.fabric.autocast():
            computed = frozen.features(images).cpu().numpy()
        if not np.isfinite(computed).all():
            raise InputError(f"{folder}: features that are no finite float16; pretrain with a lower learning rate")
        return computed

    views = {
        subset: session.subset(stamps, split, [subset], passes.batch_size, passes.noise_sigma)
        for subset in ("train", *EVALUATED)
    }
    data = [part for objid, view in views.values() for part in (objid, view.stamps.identity())]
    data += [weight.cpu().numpy() for weight in model.state_dict().values()]
    growing = FeatureFile(features, session.identify(*data))
    objid, training = views["train"]
    epochs = passes.passes(len(objid))
    if not growing.epochs:
        evaluated = {
            subset: np.concatenate([compute(images) for _, _, images in views[subset][1].plain()])
            for subset in EVALUATED
        }
        for subset, computed in evaluated.items():
            require_no_collapse(torch.from_numpy(computed), f"{folder}, subset {subset}")
        growing.lay_out(
            {f"{subset}_objid": ids for subset, (ids, _) in views.items()} | evaluated,
            (epochs, len(objid), model.width),
        )
    done = growing.epochs * len(training)
    ticker = Ticker(f"features {recipe.name}", epochs * len(training), "batches", done)
    for epoch in range(growing.epochs, epochs):
        rows = np.empty((len(objid), model.width), FEATURE_TYPE)
        for _, positions, images in training.epoch(epoch):
            rows[positions.numpy()] = compute(images)
            ticker.advance()
        growing.append(rows)
    ticker.close()
    growing.finish()
