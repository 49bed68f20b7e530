"""Fine-tuning: a model learns a task from labelled galaxies and predicts the others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from astromae.contracts.catalog import magnitude_columns, read_catalog
from astromae.contracts.features import FeatureBank
from astromae.contracts.history import write_history
from astromae.contracts.predictions import write_predictions, written_columns
from astromae.encoders.drop_path import draw_paths, drop_paths
from astromae.familiarity.reference import make_reference, write_reference
from astromae.tasks import task_of
from astromae.tasks.model import build_model
from astromae.training.folders import HISTORY, write_folder
from astromae.training.galaxies import Galaxies, embed_and_predict, predict
from astromae.training.layer_decay import rate_factors
from astromae.training.pretrained import pretrained_encoder
from astromae.training.recipes import ModelRecipe
from astromae.training.scaling import read_scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.session import Execution, Session, weights_of
from astromae.training.subsets import EVALUATED, labelled_galaxies, require_finite, require_labels
from astromae.training.trainer import Training
from astromae.training.transfer import to_device


def train(
    catalog: Path,
    split: Path,
    scaling: Path,
    recipe: ModelRecipe,
    seed: int,
    output: Path,
    stamps: Sequence[Path] = (),
    encoder: Path | None = None,
    features: Path | None = None,
    execution: Execution | None = None,
) -> None:
    """Train a model and write its folder and its predictions.

    Parameters
    ----------
    catalog, split, scaling
        Catalogue, split and scaling of the experiment.
    recipe
        What is trained, and how.
    seed
        Seed of weights, order and augmentation.
    output
        Folder for predictions.parquet, weights.safetensors, reference.safetensors (`astromae.familiarity.reference`),
        history.csv, recipe.json and provenance.json.
    stamps
        Shards. A model that reads features and no pixels opens none.
    encoder
        Weights in the folder of the pretrained encoder, where the branches want one.
    features
        Its features (`astromae.training.features`), where they have been computed.
    execution
        How the step is run.

    Raises
    ------
    InputError
        If a galaxy has no label, or no magnitudes where the model reads them, or if the training goes wrong: as
        `astromae.training.trainer.fit`.
    Interrupted
        If the time limit is near, or after SIGTERM; the state is saved.
    """
    session = Session("train", recipe, seed, read_scaling(scaling), execution)
    fabric, device, share = session.fabric, session.device, session.share
    branches, phase, task = recipe.branches, recipe.finetuning, task_of(recipe.task)
    labels = list(task.targets)
    magnitudes = magnitude_columns(session.scaling.bands) if branches.magnitude else []
    table = read_catalog(catalog, list(dict.fromkeys(["objid", *labels, *magnitudes]))).set_index("objid")
    bank = FeatureBank(features) if features else None
    reads_pixels = branches.inception or (branches.encoder and not bank)

    def load(subset: str) -> tuple[Galaxies, Tensor]:
        objid, views = session.subset(
            stamps if reads_pixels else None, split, [subset], phase.batch_size, phase.noise_sigma
        )
        rows = table.loc[objid]
        require_labels(rows, task, catalog)
        require_finite(rows, magnitudes, catalog)
        scaled = None
        if magnitudes:
            scaled = torch.from_numpy(session.scaling.magnitudes(rows[magnitudes].to_numpy(np.float64))).to(device)
        return Galaxies(objid, views, scaled), torch.tensor(rows[labels].to_numpy(np.float32), device=device)

    galaxies, targets = load("train")
    evaluated = {subset: load(subset) for subset in EVALUATED}

    seed_weights(seed)
    network = build_model(recipe, len(session.scaling.bands))
    if branches.pretrained:
        network.encoder.load_state_dict(
            pretrained_encoder(encoder.parent, recipe.backbone, len(session.scaling.bands), recipe.crop).state_dict()
        )
    bias = task.bias(table.loc[galaxies.objid, labels].to_numpy(np.float64))
    with torch.no_grad():
        network.output.bias.copy_(torch.from_numpy(bias))
    known = {name: bank.subset(name, part.objid) if bank else None for name, (part, _) in evaluated.items()}

    data = [galaxies.objid, targets.cpu().numpy(), evaluated["val"][1].cpu().numpy(), galaxies.views.stamps.identity()]
    data += [] if galaxies.magnitudes is None else [galaxies.magnitudes.cpu().numpy()]
    data += [p.detach().numpy() for p in network.encoder.parameters()] if branches.pretrained else []
    session.identify(*data, *([bank.identity()] if bank else []))

    paths, factors = drop_paths(network), rate_factors(network, recipe)

    def losses(model: nn.Module, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        of_epoch = bank.epoch(galaxies.objid, epoch) if bank else None
        for batch, positions, images in galaxies.views.epoch(epoch, first):
            part = share.of(len(positions))
            if paths:
                draw_paths(paths, len(positions), generator(seed, "drop path", epoch, batch, device=device), part)
            own = positions[part]
            here = to_device(own, device)
            outputs = model(images, galaxies.magnitudes_of(here), to_device(of_epoch[own], device) if bank else None)
            yield positions, task.loss(outputs, targets[here])

    def validate(model: nn.Module) -> tuple[float, dict[str, float]]:
        part, labelled = evaluated["val"]
        return task.loss(predict(device, model, part, known["val"]), labelled).item(), {}

    label = f"{recipe.experiment} {recipe.model}"
    training = Training(label, network, phase, galaxies.objid, losses, validate, rate_factors=factors)
    rows = session.train(f"{recipe.experiment}-{recipe.model}", training)
    provenance = session.provenance(phase.stamps(len(galaxies.objid)))
    if not fabric.is_global_zero:
        return
    model, count = network.eval(), labelled_galaxies(targets.cpu().numpy())
    frames, embeddings, scores = [], [], None
    for subset, (part, _) in evaluated.items():
        with fabric.autocast():
            embedded, outputs = embed_and_predict(device, model, part, known[subset])
        embeddings.append(embedded)
        predicted = task.predict(outputs)
        truth = {column: table[name].loc[part.objid].to_numpy(np.float64) for name, column in task.targets.items()}
        columns = {"objid": part.objid, **truth, **{name: list(predicted[name]) for name in written_columns(task)}}
        frames.append(pd.DataFrame({**columns, "subset": subset}))
        if subset == "val" and {"z_spec", "z_pred"} <= columns.keys() and task.density is None:
            estimates = predicted["z_pred"]
            scores = np.abs(truth["z_spec"] - estimates) / (1 + estimates)
    about = {"recipe": recipe.as_json(), "seed": seed, "train_galaxies": count, "scaling": session.scaling.as_json()}
    write_predictions(output / "predictions.parquet", pd.concat(frames), about["recipe"], seed, count)
    write_history(output / HISTORY, rows)
    write_reference(output, make_reference(np.concatenate(embeddings), scores))
    write_folder(output, weights_of(network), about, provenance)
    session.checkpoint.remove()
