"""What training costs on this machine: views, steps, loops and inference, against plain torch and a peer's loop."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from astromae.constants import BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE
from astromae.contracts.stamp_format import StampFormat
from astromae.settings.configuration import Configuration
from astromae.settings.training import Phase
from astromae.tasks import TASKS
from astromae.tasks.branches import Branches
from astromae.tasks.model import Model, build_model
from astromae.training.attention import choose_attention
from astromae.training.bench_eager import eager_works
from astromae.training.bench_peer import peer_works
from astromae.training.bench_process import Elsewhere, Timed, timed
from astromae.training.configured_recipes import encoder_recipe, model_recipe
from astromae.training.optimiser import make_optimiser
from astromae.training.provenance import device_name
from astromae.training.recipes import EncoderRecipe
from astromae.training.runtime import choose_precision
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator
from astromae.training.session import Session
from astromae.training.sources import ResidentStamps
from astromae.training.views import Views

#: The model whose ratios are reported: it has all three branches.
MODEL = "plain-astromae"

#: Branches of `MODEL` alone.
BRANCHES = {
    "encoder": Branches(encoder="plain", pretrained=True, frozen=True, inception=False, magnitude=False),
    "inception": Branches(encoder=None, pretrained=False, frozen=False, inception=True, magnitude=False),
    "magnitude": Branches(encoder=None, pretrained=False, frozen=False, inception=False, magnitude=True),
}

#: Format of the random stamps: that of SDSS.
STAMPS = StampFormat(BANDS, PIXEL_SCALE_ARCSEC, STAMP_SIZE)


@dataclass(frozen=True)
class TrainingBench:
    """Rates in stamps a second, and their ratios, all from one run.

    Attributes
    ----------
    device, threads, precision
        Where and how everything but the eager model runs, which is float32.
    pipeline_stamps_per_s
        Augmented, scaled and noisy views alone.
    pretrain_{plain,pcm}_step, pretrain_{plain,pcm}_loop
        The bare step on one batch, and the loop with its views.
    pretrain_{plain,pcm}_mflop
        Floating-point operations of a stamp in such a step, millions: what a GPU's rate can be reckoned from.
    loop_over_step
        The smaller of the two loops' ratios to their steps.
    pretrain_peer
        The loop of `pretrain_plain_loop` with the habits of He et al.'s released one (`bench_peer`), in the same
        precision and with the same threads, and two processes for its views.
    pretrain_over_peer
        Ours, measured in turn with it.
    finetune_{encoder,inception,magnitude}_step
        A step of one branch of `MODEL` and its head; the encoder is frozen and runs in every step.
    finetune_step, finetune_shared_step, finetune_eager
        A step of `MODEL`: with its frozen encoder, with features computed before, and eager.
    finetune_over_eager, finetune_shared_over_eager
        Their ratios.
    finetune_pdf_step, pdf_over_regression
        A step of `MODEL` that predicts distributions, and the ratio of the times of a step: more than 1 is slower.
    inference, inference_eager, inference_over_eager
        Predictions of `MODEL`.
    """

    device: str
    threads: int
    precision: str
    pipeline_stamps_per_s: float
    pretrain_plain_step: float
    pretrain_plain_loop: float
    pretrain_plain_mflop: float
    pretrain_pcm_step: float
    pretrain_pcm_loop: float
    pretrain_pcm_mflop: float
    loop_over_step: float
    pretrain_peer: float
    pretrain_over_peer: float
    finetune_encoder_step: float
    finetune_inception_step: float
    finetune_magnitude_step: float
    finetune_step: float
    finetune_shared_step: float
    finetune_eager: float
    finetune_over_eager: float
    finetune_shared_over_eager: float
    finetune_pdf_step: float
    pdf_over_regression: float
    inference: float
    inference_eager: float
    inference_over_eager: float


def _rates(stamps: int, seconds: float, **works: Timed) -> dict[str, float]:
    """Return stamps a second of each work, measured in turn, so that a busy moment hits all alike."""
    for work in works.values():
        work()
    spent, rounds = dict.fromkeys(works, 0.0), 0
    while rounds < 2 or sum(spent.values()) < seconds:
        rounds += 1
        for name, work in works.items():
            spent[name] += work()
    return {name: stamps * rounds / total for name, total in spent.items()}


def _trained(fabric: Fabric, model: nn.Module, phase: Phase) -> tuple[nn.Module, Any]:
    """Return a model and its optimiser as training has them."""
    optimiser = make_optimiser(model, phase.optimiser)
    choose_attention(model.train(), fabric.device)
    return fabric.setup(model, optimiser)


def _pretraining(fabric: Fabric, recipe: EncoderRecipe, views: Views) -> tuple[Timed, Timed, float]:
    """Return an epoch of bare steps on one batch, one of the loop with its views, and the MFLOP of a stamp."""
    learner = recipe.build(len(views.scaling.bands))
    model, optimiser = _trained(fabric, learner, recipe.pretraining)
    random = generator(0, "masks", device=fabric.device)

    def train(batches: Iterator[Tensor]) -> None:
        for images in batches:
            fabric.backward(model(images, *learner.draw(len(images), random)))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    fixed = next(views.epoch(0))[2]
    with FlopCounterMode(display=False) as operations:
        train(iter([fixed]))
    return (
        timed(lambda: train(fixed for _ in range(len(views))), fabric.device),
        timed(lambda: train(images for _, _, images in views.epoch(0)), fabric.device),
        operations.get_total_flops() / len(fixed) / 1e6,
    )


def _finetuning(
    fabric: Fabric,
    model: Model,
    phase: Phase,
    batch: tuple[Tensor, Tensor, Tensor],
    features: Tensor | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
) -> Timed:
    """Return a step of a model."""
    wrapped, optimiser = _trained(fabric, model, phase)
    images, magnitudes, targets = batch

    def step() -> None:
        fabric.backward(loss(wrapped(images, magnitudes, features), targets))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return timed(step, fabric.device)


def _inference(fabric: Fabric, model: Model, batch: tuple[Tensor, Tensor, Tensor]) -> Timed:
    """Return the prediction of a batch by a model, which is put into eval mode."""
    choose_attention(model.eval(), fabric.device)

    @torch.no_grad()
    def infer() -> None:
        with fabric.autocast():
            model(*batch[:2])

    return timed(infer, fabric.device)


def bench_training(configuration: Configuration, batch_size: int, seconds: float) -> dict[str, Any]:
    """Measure the training of the configured networks on random stamps.

    Parameters
    ----------
    configuration
        The validated configuration.
    batch_size
        Stamps of a batch.
    seconds
        About how long each of the measurements takes.

    Returns
    -------
    dict
        The fields of `TrainingBench`.
    """
    experiment = next(iter(configuration.experiments))
    recipe = model_recipe(configuration, experiment, MODEL)
    runtime = recipe.runtime.model_copy(update={"gpus": min(recipe.runtime.gpus, 1)})
    recipe = recipe.model_copy(update={"runtime": runtime})
    random = generator(0, "bench")
    bands, phase = len(STAMPS.bands), recipe.finetuning
    scaling = Scaling([0.1] * bands, [0.5] * bands, [0.7] * bands, [18.0] * bands, torch.eye(bands).tolist(), STAMPS)
    session = Session("bench", recipe, 0, scaling)
    fabric, device = session.fabric, session.device
    shape = (4 * batch_size, bands, recipe.source_size, recipe.source_size)
    stamps = torch.rand(shape, generator=random).half().to(device)

    noisy = session.views(ResidentStamps(stamps), batch_size, phase.noise_sigma)
    pipeline = timed(lambda: sum(len(images) for _, _, images in noisy.epoch(0)), device)
    result = {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "precision": choose_precision(runtime.precision, runtime.gpus),
        "pipeline_stamps_per_s": _rates(len(stamps), seconds, views=pipeline)["views"],
    }
    loops = {}
    for name in ("plain", "pcm"):
        step, loops[name], result[f"pretrain_{name}_mflop"] = _pretraining(
            fabric, encoder_recipe(configuration, experiment, name), replace(noisy, noise_sigma=0.0)
        )
        rates = _rates(len(stamps), 2 * seconds, step=step, loop=loops[name])
        result |= {f"pretrain_{name}_{what}": rate for what, rate in rates.items()}
    result["loop_over_step"] = min(
        result[f"pretrain_{name}_loop"] / result[f"pretrain_{name}_step"] for name in ("plain", "pcm")
    )
    mixed = result["precision"] == "bf16-mixed"
    plain = encoder_recipe(configuration, experiment, "plain")
    with Elsewhere(peer_works, plain.as_json(), stamps.cpu(), scaling, batch_size, mixed, device) as peer:
        rates = _rates(len(stamps), 2 * seconds, loop=loops["plain"], peer=peer.work("pretrain"))
    result |= {"pretrain_peer": rates["peer"], "pretrain_over_peer": rates["loop"] / rates["peer"]}

    batch = (
        next(noisy.epoch(0))[2],
        torch.randn(batch_size, bands, generator=random).to(device),
        torch.rand(batch_size, 1, generator=random).to(device),
    )
    alone = {name: recipe.model_copy(update={"branches": branches}) for name, branches in BRANCHES.items()}
    works = {
        f"finetune_{name}_step": _finetuning(fabric, build_model(part, bands), phase, batch)
        for name, part in alone.items()
    }
    model, shared = build_model(recipe, bands), build_model(recipe, bands)
    features = shared.to(device).encode(batch[0])
    densities = build_model(recipe.model_copy(update={"task": "redshift_pdf"}), bands)
    with Elsewhere(eager_works, recipe.as_json(), tuple(part.cpu() for part in batch), device) as eager:
        result |= _rates(
            batch_size,
            3 * seconds,
            **works,
            finetune_step=_finetuning(fabric, model, phase, batch),
            finetune_shared_step=_finetuning(fabric, shared, phase, batch, features),
            finetune_pdf_step=_finetuning(fabric, densities, phase, batch, loss=TASKS["redshift_pdf"].loss),
            finetune_eager=eager.work("finetune"),
        )
        result |= _rates(
            batch_size,
            2 * seconds,
            inference=_inference(fabric, model, batch),
            inference_eager=eager.work("infer"),
        )
    for name in ("finetune", "finetune_shared"):
        result[f"{name}_over_eager"] = result[f"{name}_step"] / result["finetune_eager"]
    result["pdf_over_regression"] = result["finetune_step"] / result["finetune_pdf_step"]
    result["inference_over_eager"] = result["inference"] / result["inference_eager"]
    return asdict(TrainingBench(**result))
