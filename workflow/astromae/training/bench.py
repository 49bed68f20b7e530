"""What training costs on this machine: views, steps, loops and inference, against plain eager torch."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from astromae.constants import BANDS
from astromae.models.inception import Inception
from astromae.models.mae import MaskedAutoencoder, random_masks
from astromae.models.redshift import RedshiftModel
from astromae.models.vit import build_encoder, choose_attention
from astromae.training.runtime import choose_precision
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator
from astromae.training.sources import ResidentStamps
from astromae.training.views import Views, source_size

#: The model whose ratios are reported: it has all three branches.
MODEL = "plain-astromae"

#: Stamps of an inference batch.
INFERENCE_BATCH = 512


class EagerInception(Inception):
    """The Inception branch as published: convolution before pooling, torch's default memory layout."""

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, 5, 32, 32) to features (n, 192)."""
        x = F.avg_pool2d(self.stem(images), 2)
        x = F.avg_pool2d(self.blocks[1](self.blocks[0](x)), 2)
        x = F.avg_pool2d(self.blocks[3](self.blocks[2](x)), 2)
        return self.blocks[4](x).flatten(1)


@dataclass(frozen=True)
class TrainingBench:
    """Rates in stamps a second, and their ratios, all from one run.

    Attributes
    ----------
    threads, precision
        CPU threads and precision of everything but the eager model, which is float32.
    pipeline_stamps_per_s
        Augmented, scaled views alone.
    pretrain_{plain,pcm}_step, pretrain_{plain,pcm}_loop
        The bare step on one batch, and the loop with its views.
    loop_over_step
        The smaller of the two loops' ratios to their steps.
    finetune_step, finetune_shared_step, finetune_eager
        A step of `MODEL`: with its frozen encoder, with features computed before, and eager.
    finetune_over_eager, finetune_shared_over_eager
        Their ratios.
    inference, inference_eager, inference_over_eager
        Predictions of `MODEL`.
    """

    threads: int
    precision: str
    pipeline_stamps_per_s: float
    pretrain_plain_step: float
    pretrain_plain_loop: float
    pretrain_pcm_step: float
    pretrain_pcm_loop: float
    loop_over_step: float
    finetune_step: float
    finetune_shared_step: float
    finetune_eager: float
    finetune_over_eager: float
    finetune_shared_over_eager: float
    inference: float
    inference_eager: float
    inference_over_eager: float


def _rates(stamps: int, seconds: float, **calls: Callable[[], object]) -> dict[str, float]:
    """Return stamps a second of each call, measured in turn, so that a busy moment hits all alike."""
    for call in calls.values():
        call()
    spent, rounds = dict.fromkeys(calls, 0.0), 0
    while rounds < 2 or sum(spent.values()) < seconds:
        rounds += 1
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            spent[name] += time.perf_counter() - started
    return {name: stamps * rounds / total for name, total in spent.items()}


def bench_training(configuration: dict[str, Any], batch_size: int, seconds: float) -> dict[str, Any]:
    """Measure the training of the configured networks on random stamps.

    Parameters
    ----------
    configuration
        The validated configuration.
    batch_size
        Stamps of a training batch.
    seconds
        About how long each of the measurements takes.

    Returns
    -------
    dict
        The fields of `TrainingBench`.
    """
    gpus = configuration["training"]["gpus"]
    precision = choose_precision(configuration["training"]["precision"], gpus)
    fabric = Fabric(accelerator="cuda" if gpus else "cpu", devices=gpus or 1, precision=precision)
    device, crop = fabric.device, configuration["scaling"]["crop"]
    random = generator(0, "bench")
    identity = torch.eye(len(BANDS)).tolist()
    scaling = Scaling([0.1] * 5, [0.5] * 5, [0.7] * 5, [18.0] * 5, identity, 0.1)
    size = source_size(crop, configuration["augmentation"])
    stamps = torch.rand(4 * batch_size, len(BANDS), size, size, generator=random).half().to(device)
    views = Views(ResidentStamps(stamps), scaling, configuration["augmentation"], crop, 0.05, batch_size, 0)
    images = next(views.epoch(0))[2]
    magnitudes = torch.randn(batch_size, len(BANDS), generator=random).to(device)
    redshifts = torch.rand(batch_size, generator=random).to(device)
    result = {"threads": torch.get_num_threads(), "precision": precision}
    pipeline = _rates(len(stamps), seconds, views=lambda: sum(len(v) for _, _, v in views.epoch(0)))
    result["pipeline_stamps_per_s"] = pipeline["views"]

    ratio = 0.75

    def trained(model: nn.Module) -> tuple[nn.Module, Any]:
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
        choose_attention(model.train(), device)
        return fabric.setup(model, optimiser)

    for name in ("plain", "pcm"):
        encoder = build_encoder(configuration["backbones"][name], crop, "pretrain")
        model, optimiser = trained(MaskedAutoencoder(encoder, configuration["decoder"], False))

        def pretrain(batch: Tensor, model: nn.Module = model, optimiser: Any = optimiser, length: int = 0) -> None:
            masks = random_masks(len(batch), length, ratio, generator(0, "masks", device=device))
            fabric.backward(model(batch, *masks))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

        length = len(encoder.positions)

        def step(pretrain: Callable = pretrain, length: int = length) -> None:
            for _ in range(len(views)):
                pretrain(images, length=length)

        def loop(pretrain: Callable = pretrain, length: int = length) -> None:
            for _, _, batch in views.epoch(0):
                pretrain(batch, length=length)

        rates = _rates(len(stamps), 2 * seconds, step=step, loop=loop)
        result |= {f"pretrain_{name}_{what}": rate for what, rate in rates.items()}
    result["loop_over_step"] = min(
        result[f"pretrain_{name}_loop"] / result[f"pretrain_{name}_step"] for name in ("plain", "pcm")
    )

    branches = configuration["models"][MODEL]
    backbone = configuration["backbones"][branches["encoder"]]
    bare = RedshiftModel(branches, backbone, crop)
    eager = RedshiftModel(branches, backbone, crop)
    eager.inception = EagerInception()
    eager.load_state_dict(bare.state_dict())
    eager = eager.to(device).train()
    eager_optimiser = torch.optim.AdamW([p for p in eager.parameters() if p.requires_grad])
    model, optimiser = trained(bare)
    features = bare.encode(images)

    def finetune(features: Tensor | None) -> None:
        fabric.backward(F.mse_loss(model(images, magnitudes, features), redshifts))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def finetune_eager() -> None:
        F.mse_loss(eager(images, magnitudes), redshifts).backward()
        eager_optimiser.step()
        eager_optimiser.zero_grad()

    rates = _rates(
        batch_size,
        3 * seconds,
        finetune_step=lambda: finetune(None),
        finetune_shared_step=lambda: finetune(features),
        finetune_eager=finetune_eager,
    )
    result |= rates
    result["finetune_over_eager"] = rates["finetune_step"] / rates["finetune_eager"]
    result["finetune_shared_over_eager"] = rates["finetune_shared_step"] / rates["finetune_eager"]

    choose_attention(bare.eval(), device)
    eager.eval()
    repeats = -(-INFERENCE_BATCH // batch_size)
    many = images.repeat(repeats, 1, 1, 1)[:INFERENCE_BATCH]
    their_magnitudes = magnitudes.repeat(repeats, 1)[:INFERENCE_BATCH]
    with torch.no_grad():
        rates = _rates(
            INFERENCE_BATCH,
            2 * seconds,
            inference=lambda: model(many, their_magnitudes),
            inference_eager=lambda: eager(many, their_magnitudes),
        )
    result |= rates
    result["inference_over_eager"] = rates["inference"] / rates["inference_eager"]
    return asdict(TrainingBench(**result))
