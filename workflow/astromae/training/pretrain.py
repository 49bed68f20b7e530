"""Pretraining: an encoder learns by an objective, without labels."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from astromae.contracts.history import write_history
from astromae.objectives import OBJECTIVES
from astromae.training.collapse import require_no_collapse
from astromae.training.folders import HISTORY, write_folder
from astromae.training.recipes import EncoderRecipe
from astromae.training.scaling import read_scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.session import Execution, Session, weights_of
from astromae.training.trainer import Training


def pretrain(
    stamps: Sequence[Path],
    split: Path,
    scaling: Path,
    recipe: EncoderRecipe,
    seed: int,
    output: Path,
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
    execution
        How the step is run.

    Raises
    ------
    InputError
        If the training goes wrong: as `astromae.training.trainer.fit`, or if the encoder collapses.
    Interrupted
        If the time limit is near, or after SIGTERM; the state is saved.
    """
    session = Session("pretrain", recipe, seed, read_scaling(scaling), execution)
    phase, several = recipe.pretraining, OBJECTIVES[recipe.pretraining.objective].views
    device, share = session.device, session.share
    objid, views = session.subset(stamps, split, recipe.pretrain_on, phase.batch_size)
    validation_objid, validation = session.subset(stamps, split, recipe.validate_on, phase.batch_size)
    session.identify(objid, validation_objid, views.stamps.identity())

    seed_weights(seed)
    learner = recipe.build(len(session.scaling.bands))

    def losses(model: nn.Module, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch, positions, images in views.several(epoch, first, several):
            drawn = learner.draw(len(positions), generator(seed, "masks", epoch, batch, device=device))
            own = share.of(len(positions))
            yield positions, model(*images, *(values[own] for values in drawn))

    def held_out() -> Iterator[tuple[int, Sequence[Tensor]]]:
        if several == 1:
            return ((n, [images]) for _, n, images in validation.plain(share))
        return ((len(positions), images) for _, positions, images in validation.several(0, 0, several))

    def validate(_: nn.Module) -> tuple[float, dict[str, float]]:
        random = generator(seed, "validation masks", device=device)
        total = torch.zeros((), device=device)
        reported = {}
        for batch, (n, images) in enumerate(held_out()):
            drawn, own = learner.draw(n, random), share.of(n)
            if not len(images[0]):
                continue
            # Not the wrapped model: processes may have different numbers of batches.
            with session.fabric.autocast():
                if batch == own.start == 0:
                    features = learner.encoder.features(images[0])
                    require_no_collapse(features, "pretraining")
                    reported = learner.diagnose(features)
                total += learner(*images, *(values[own] for values in drawn)) * len(images[0])
        return session.fabric.all_reduce(total, reduce_op="sum").item() / len(validation.stamps), reported

    training = Training(f"pretrain {recipe.name}", learner, phase, objid, losses, validate, learner.after_step)
    rows = session.train(f"{recipe.experiment}-{recipe.name}", training)
    provenance = session.provenance(phase.stamps(len(objid)))
    if not session.fabric.is_global_zero:
        return
    about = {"recipe": recipe.as_json(), "seed": seed, "stamps": len(objid), "scaling": session.scaling.as_json()}
    write_history(output / HISTORY, rows)
    write_folder(output, weights_of(learner), about, provenance)
    session.checkpoint.remove()
