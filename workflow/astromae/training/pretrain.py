"""Pretraining: an encoder learns by an objective, most often without labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from astromae.contracts.catalog import extinction_columns, read_catalog
from astromae.contracts.history import write_history
from astromae.errors import InputError
from astromae.tasks import Task, task_of
from astromae.training.collapse import STAMPS, deviation, effective_rank, neighbours_error, require_no_collapse
from astromae.training.contrastive_views import galaxy_views
from astromae.training.extinction import excess_of
from astromae.training.folders import HISTORY, write_folder
from astromae.training.parallel import WHOLE
from astromae.training.recipes import EncoderRecipe
from astromae.training.scaling import read_scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.session import Execution, Session, weights_of
from astromae.training.subsets import require_finite, require_labels
from astromae.training.trainer import Training
from astromae.training.transfer import to_device
from astromae.training.views import Views


@dataclass(frozen=True)
class PretrainingGalaxies:
    """Galaxies to learn from or to validate on.

    Attributes
    ----------
    objid
        Object ids, shape (n,).
    views
        Their stamps, as the objective changes them.
    observed
        Their stamps as they are.
    targets
        Their labels (n, targets), on the training device; None where the objective reads none.
    """

    objid: np.ndarray
    views: Views
    observed: Views
    targets: Tensor | None

    def data(self) -> list[np.ndarray]:
        """Return what of them an encoder learns from or is judged by."""
        own = [self.objid, self.views.stamps.identity()]
        return own if self.targets is None else [*own, self.targets.cpu().numpy()]

    def targets_of(self, rows: Tensor) -> list[Tensor]:
        """Return the labels of some of them, in a list that is empty where the objective reads none."""
        return [] if self.targets is None else [self.targets[to_device(rows, self.targets.device)]]


def _load(
    session: Session,
    stamps: Sequence[Path],
    split: Path,
    subsets: Sequence[str],
    catalog: Path | None,
    purpose: str,
    part: float = 1.0,
) -> PretrainingGalaxies:
    """Return the galaxies of an experiment's subsets, or a part, with what the recipe's objective wants of them.

    Views draw from random numbers of their `purpose`.
    """
    recipe: EncoderRecipe = session.recipe
    objid, observed = session.subset(stamps, split, subsets, recipe.pretraining.batch_size, part=part)
    own, targets, labels, views = recipe.galaxy_views, None, list(recipe.targets), observed
    if labels:
        rows = _rows(catalog, objid, recipe, labels, task=task_of(recipe.task))
        targets = torch.tensor(rows.to_numpy(np.float32), device=session.device)
    if own is not None:
        excess = None
        if own.deredden:
            bands = session.scaling.bands
            advice = "leave the others out, or set pretraining.views.deredden: false"
            dust = _rows(catalog, objid, recipe, extinction_columns(bands), advice).to_numpy(np.float64)
            excess = torch.from_numpy(excess_of(dust, bands))
        views = galaxy_views(observed, recipe, purpose, excess)
    return PretrainingGalaxies(objid, views, observed, targets)


def _probed(recipe: EncoderRecipe, catalog: Path | None, objid: np.ndarray) -> np.ndarray | None:
    """Return the labels (n, targets), NaN where unknown, by which features are judged; None where they are not."""
    if recipe.probe is None:
        return None
    columns = list(task_of(recipe.probe).targets)
    if catalog is None:
        raise InputError(f"pretrain {recipe.name}: its validation reads {', '.join(columns)}; give the catalogue")
    return read_catalog(catalog, ["objid", *columns]).set_index("objid").loc[objid, columns].to_numpy(np.float64)


def _rows(
    catalog: Path | None,
    objid: np.ndarray,
    recipe: EncoderRecipe,
    columns: Sequence[str],
    advice: str | None = None,
    task: Task | None = None,
) -> pd.DataFrame:
    """Return columns of the catalogue of some galaxies: the labels of `task`, or numbers, else there is `advice`."""
    if catalog is None:
        raise InputError(
            f"pretrain {recipe.name}: {recipe.pretraining.objective} reads {', '.join(columns)}; give the catalogue"
        )
    rows = read_catalog(catalog, ["objid", *columns]).set_index("objid").loc[objid]
    if task is None:
        require_finite(rows, columns, catalog, *([advice] if advice else []))
    else:
        require_labels(rows, task, catalog)
    return rows[columns]


def pretrain(
    stamps: Sequence[Path],
    split: Path,
    scaling: Path,
    recipe: EncoderRecipe,
    seed: int,
    output: Path,
    catalog: Path | None = None,
    execution: Execution | None = None,
) -> None:
    """Pretrain an encoder and write its folder.

    Parameters
    ----------
    stamps, split, scaling
        Shards, split and scaling of the experiment.
    recipe
        What is trained, and how.
    seed
        Seed of weights, order, augmentation and of what the objective draws.
    output
        Folder for weights.safetensors (encoder and all that the objective adds), history.csv, recipe.json and
        provenance.json.
    catalog
        Catalogue of the galaxies, where `EncoderRecipe.reads_catalog`.
    execution
        How the step is run.

    Raises
    ------
    InputError
        If the catalogue lacks what the objective reads, or if the training goes wrong: as
        `astromae.training.trainer.fit`, or if the encoder collapses.
    Interrupted
        If the time limit is near, or after SIGTERM; the state is saved.
    """
    session = Session("pretrain", recipe, seed, read_scaling(scaling), execution)
    phase, several = recipe.pretraining, recipe.objective.views
    device, share = session.device, session.share
    galaxies = _load(session, stamps, split, recipe.pretrain_on, catalog, "galaxy views", phase.part)
    validation = _load(session, stamps, split, recipe.validate_on, catalog, "validation views")
    objid, views = galaxies.objid, galaxies.views
    judged = validation.objid[:STAMPS]
    labels = _probed(recipe, catalog, judged)
    read = [] if labels is None else [labels]
    session.identify(*galaxies.data(), *validation.data(), *read)

    seed_weights(seed)
    learner = recipe.build(len(session.scaling.bands))
    learner.prepare(len(objid), galaxies.targets)

    def losses(model: nn.Module, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch, positions, images in views.several(epoch, first, several):
            drawn = learner.draw(len(positions), generator(seed, "masks", epoch, batch, device=device))
            own = share.of(len(positions))
            yield positions, model(*images, *(values[own] for values in drawn), *galaxies.targets_of(positions[own]))

    def held_out() -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Yield positions and views of the batches that this process validates: whole ones, as one process has them."""
        whole = replace(validation.views, share=WHOLE)
        if several == 1:
            for rows, _, images in whole.plain(share.rank, share.world_size):
                yield torch.arange(rows.start, rows.stop), [images]
        else:
            for _, positions, images in whole.several(0, share.rank, several, share.world_size):
                yield positions, images

    def diagnose() -> dict[str, float]:
        """Return what tells a collapse, of the first validation galaxies' stamps as they are, which models will see."""
        parts, count = [], 0
        for _, n, images in replace(validation.observed, share=WHOLE).plain():
            with session.fabric.autocast():
                parts.append(learner.encoder.features(images).float())
            count += n
            if count >= len(judged):
                break
        features = torch.cat(parts)[: len(judged)]
        require_no_collapse(features, recipe.name)
        known = {} if labels is None else neighbours_error(features, labels, task_of(recipe.probe))
        return {"deviation": deviation(features), "rank": effective_rank(features), **known}

    def validate(_: nn.Module) -> tuple[float, dict[str, float]]:
        total = torch.zeros((), device=device)
        reported = diagnose() if session.fabric.is_global_zero else {}
        for number, (positions, images) in enumerate(held_out()):
            batch = share.rank + number * share.world_size
            drawn = learner.draw(len(positions), generator(seed, "validation masks", batch, device=device))
            given = [*images, *drawn, *validation.targets_of(positions)]
            # Not the wrapped model: processes may have different numbers of batches.
            with session.fabric.autocast():
                if batch == 0:
                    reported |= learner.report(*given)
                total += learner(*given) * len(images[0])
        return session.fabric.all_reduce(total, reduce_op="sum").item() / len(validation.objid), reported

    training = Training(f"pretrain {recipe.name}", learner, phase, objid, losses, validate, learner.after_step)
    rows = session.train(f"{recipe.experiment}-{recipe.name}", training)
    provenance = session.provenance(phase.stamps(len(objid)))
    if not session.fabric.is_global_zero:
        return
    about = {"recipe": recipe.as_json(), "seed": seed, "stamps": len(objid), "scaling": session.scaling.as_json()}
    write_history(output / HISTORY, rows)
    write_folder(output, weights_of(learner), about, provenance)
    session.checkpoint.remove()
