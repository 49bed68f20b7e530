"""One line of a study: an encoder, frozen or not, learns a task from ever more labels."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from astromae.contracts.catalog import read_catalog
from astromae.contracts.label_curves import write_label_curve
from astromae.encoders.drop_path import draw_paths, drop_paths
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.files import write_json
from astromae.settings.studies import label_counts
from astromae.tasks import task_of
from astromae.tasks.model import Model, build_model
from astromae.training.attention import choose_attention
from astromae.training.checkpoint import Checkpoint
from astromae.training.galaxies import Galaxies, predict
from astromae.training.layer_decay import rate_factors
from astromae.training.pretrained import pretrained_encoder
from astromae.training.recipes import CurveRecipe
from astromae.training.scaling import read_scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.session import Execution, Session
from astromae.training.sources import NoStamps, PartOfStamps
from astromae.training.subsets import EVALUATED, labelled_order, require_labels
from astromae.training.trainer import Training
from astromae.training.transfer import to_device
from astromae.training.views import Views


def label_curve(
    catalog: Path,
    stamps: list[Path],
    split: Path,
    scaling: Path,
    recipe: CurveRecipe,
    seed: int,
    predictions: Path,
    provenance: Path,
    encoder: Path | None = None,
    execution: Execution | None = None,
) -> None:
    """Train a model with each number of labels, all from the same start and for as many updates, and write predictions.

    Of a frozen encoder the features are computed once, of the plain stamps and of some augmented views of each stamp.

    Parameters
    ----------
    catalog, stamps, split, scaling
        Catalogue, shards, split and scaling of the study.
    recipe
        What is trained, and how.
    seed
        Seed of weights, order, augmentation, and of which galaxies have labels (`labelled_order`).
    predictions, provenance
        Files to write: a label curve (`astromae.contracts.label_curves`) and where it comes from.
    encoder
        Weights in the folder of the pretrained encoder, where the branches want one.
    execution
        How the step is run.

    Raises
    ------
    InputError
        If a galaxy has no label, or if a training goes wrong: as `astromae.training.trainer.fit`.
    Interrupted
        If the time limit is near, or after SIGTERM; the state is saved.
    """
    session = Session("label-curve", recipe, seed, read_scaling(scaling), execution)
    fabric, device, bands = session.fabric, session.device, len(session.scaling.bands)
    phase, task = recipe.finetuning, task_of(recipe.task)
    labels = list(task.targets)
    table = read_catalog(catalog, ["objid", *labels]).set_index("objid")
    subsets = {
        subset: session.subset(stamps, split, [subset], phase.batch_size, phase.noise_sigma)
        for subset in ("train", *EVALUATED)
    }
    for objid, _ in subsets.values():
        require_labels(table.loc[objid], task, catalog)
    truth = {subset: table.loc[objid, labels].to_numpy(np.float64) for subset, (objid, _) in subsets.items()}
    objid, views = subsets["train"]
    start = (
        pretrained_encoder(encoder.parent, recipe.backbone, bands, recipe.crop).state_dict()
        if recipe.branches.pretrained
        else {}
    )
    data = [part for ids, view in subsets.values() for part in (ids, view.stamps.identity())]
    session.identify(*data, *truth.values(), *(weight.numpy() for weight in start.values()))

    def initialised() -> Model:
        seed_weights(seed)
        network = build_model(recipe, bands)
        if start:
            network.encoder.load_state_dict(start)
        return network

    bank = _Features(session, initialised(), subsets) if recipe.branches.frozen else None
    evaluated = {subset: Galaxies(*subsets[subset], None) for subset in EVALUATED}
    if bank:
        # Nobody reads their pixels any more.
        evaluated = {
            subset: replace(part, views=_of(part.views, NoStamps(len(part.objid), device)))
            for subset, part in evaluated.items()
        }
    validation = torch.tensor(truth["val"], dtype=torch.float32, device=device)

    order = labelled_order(truth["train"], seed)
    name = f"{recipe.study}-{recipe.objective}-{recipe.network}-{'frozen' if bank else 'unfrozen'}"
    finished = Checkpoint(session.execution.checkpoints, f"label-curve-{name}-seed{seed}", session.fingerprint)
    state = finished.load()
    if state is None:
        state = {"predicted": {}, "stamps": 0}
    else:
        session.cost.resume(state["cost"])
    for count in label_counts(len(order), recipe.labels):
        part = f"{name}-{count}"
        if count in state["predicted"]:
            # Killed between the two, a training left its own state behind.
            session.forget(part)
            continue
        chosen = np.sort(order[:count])
        require_labels(table.loc[objid[chosen]], task, catalog)
        rows = torch.from_numpy(chosen)
        source = NoStamps(count, device) if bank else PartOfStamps(views.stamps, rows)
        galaxies = Galaxies(objid[chosen], _of(views, source), None)
        targets = torch.tensor(truth["train"][chosen], dtype=torch.float32, device=device)
        network = initialised()
        paths, factors = drop_paths(network), rate_factors(network, recipe)
        with torch.no_grad():
            network.output.bias.copy_(torch.from_numpy(task.bias(truth["train"][chosen])))

        def losses(
            model: nn.Module, epoch: int, first: int, galaxies=galaxies, targets=targets, rows=rows, paths=paths
        ) -> Iterator[tuple[Tensor, Tensor]]:
            for batch, positions, images in galaxies.views.epoch(epoch, first):
                if paths:
                    draw_paths(paths, len(positions), generator(seed, "drop path", epoch, batch, device=device))
                known = to_device(bank.views(epoch, rows[positions]), device) if bank else None
                outputs = model(images, None, known)
                yield positions, task.loss(outputs, targets[to_device(positions, device)])

        def validate(model: nn.Module) -> tuple[float, dict[str, float]]:
            known = bank.evaluated["val"] if bank else None
            return task.loss(predict(device, model, evaluated["val"], known), validation).item(), {}

        label = f"{recipe.study} {recipe.objective} {recipe.network}, {count} labels"
        training = Training(label, network, phase, galaxies.objid, losses, validate, rate_factors=factors)
        session.train(part, training, f"{count}-labels")
        model = network.eval()
        with fabric.autocast():
            outputs = predict(device, model, evaluated["test"], bank.evaluated["test"] if bank else None)
        state["predicted"][count] = outputs.cpu()
        state["stamps"] += phase.stamps(count)
        finished.save({**state, "cost": session.cost.spent()})
        session.checkpoint.remove()

    tested = evaluated["test"].objid
    known = {column: truth["test"][:, number] for number, column in enumerate(task.targets.values())}
    frames = []
    for count, outputs in state["predicted"].items():
        predicted = task.predict(outputs.numpy().astype(np.float64))
        columns = {"objid": tested, **known, **{name: list(predicted[name]) for name in task.columns}}
        frames.append(pd.DataFrame({**columns, "n_labels": count}))
    about = recipe.as_json()
    write_label_curve(predictions, pd.concat(frames), {**about, "frozen": recipe.branches.frozen}, seed)
    write_json(provenance, session.provenance(state["stamps"]))
    finished.remove()


def _of(views: Views, source: NoStamps | PartOfStamps) -> Views:
    """Return views of other stamps."""
    return replace(views, stamps=source)


class _Features:
    """Features of a model's frozen encoder, on the CPU: of augmented views, and of the evaluated plain stamps.

    Parameters
    ----------
    session
        The step.
    model
        Model with the encoder.
    subsets
        Object ids and views of each subset.

    Attributes
    ----------
    evaluated
        Features (n, width) of the plain stamps of `val` and `test`.

    Raises
    ------
    InputError
        If a feature is no finite float16.
    """

    def __init__(self, session: Session, model: Model, subsets: dict[str, tuple[np.ndarray, Views]]):
        encoder = model.encoder.to(session.device).eval()
        choose_attention(encoder, session.device)
        self._frozen, self._session = FrozenEncoder(encoder), session
        self.evaluated = {
            subset: torch.cat([self._compute(images) for _, _, images in subsets[subset][1].plain()])
            for subset in EVALUATED
        }
        objid, views = subsets["train"]
        passes = session.recipe.finetuning.augmented_views
        self._train = torch.empty(passes, len(objid), encoder.width, dtype=torch.float16)
        for number in range(passes):
            for _, positions, images in views.epoch(number):
                self._train[number, positions] = self._compute(images)

    def _compute(self, images: Tensor) -> Tensor:
        with self._session.fabric.autocast():
            computed = self._frozen.features(images).cpu()
        if not computed.isfinite().all():
            recipe = self._session.recipe
            raise InputError(
                f"{recipe.study} {recipe.objective} {recipe.network}: features that are no finite float16; "
                "pretrain with a lower learning rate"
            )
        return computed

    def views(self, epoch: int, rows: Tensor) -> Tensor:
        """Return the features of some labelled galaxies' views, (n, width); those of the passes take turns."""
        return self._train[epoch % len(self._train), rows]
