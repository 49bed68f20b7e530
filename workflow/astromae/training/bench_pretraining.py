"""What the pretraining of one encoder costs on this machine: its step, its loop, and how much of the chip they use."""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from astromae.errors import InputError
from astromae.objectives.learner import Learner
from astromae.settings.configuration import Configuration
from astromae.tasks import task_of
from astromae.training.attention import choose_attention
from astromae.training.bench_process import timed, wait_for
from astromae.training.configured_recipes import encoder_recipe
from astromae.training.contrastive_views import galaxy_views
from astromae.training.optimiser import make_optimiser
from astromae.training.provenance import device_name
from astromae.training.recipes import EncoderRecipe
from astromae.training.runtime import choose_precision, compile_if_wanted
from astromae.training.scaling import Scaling
from astromae.training.seeding import generator, seed_weights
from astromae.training.session import Execution, Session
from astromae.training.sources import ResidentStamps
from astromae.training.trainer import Training
from astromae.training.transfer import to_device

#: Updates before the clock starts: compilation, the choice of kernels, the first allocations.
WARM_UP = 12

#: Updates of a measurement, at least.
LEAST = 8

#: Batches of stamps that are held.
BATCHES = 4

#: More stamps, or updates, than any setting is held against.
MANY = 10**9

#: Rows and columns of the product whose rate stands for the chip's, on a GPU and on a processor.
PRODUCT = {"cuda": 8192, "cpu": 2048}


@dataclass(frozen=True)
class PretrainingBench:
    """Rates of one encoder's pretraining, all from one run.

    Attributes
    ----------
    device, threads, precision
        Where and how it runs.
    encoder, objective, batch_size
        What runs.
    step
        Stamps a second of bare steps on one batch: forward, backward, optimiser, and what follows a step.
    loop
        Stamps a second of the training loop itself, with its views, its checks and its schedule.
    loop_over_step
        Their ratio.
    mflop
        Floating-point operations of a stamp in a step, millions.
    product_tflops
        Rate of one large product of matrices here, in the step's precision, TFLOP/s.
    share_of_product
        Rate of the loop's operations over it.
    waits
        How often the host waits for the device in an update of the loop; 0 on a processor.
    device_memory_gb
        Most memory of the device in use; 0 on a processor.
    """

    device: str
    threads: int
    precision: str
    encoder: str
    objective: str
    batch_size: int
    step: float
    loop: float
    loop_over_step: float
    mflop: float
    product_tflops: float
    share_of_product: float
    waits: float
    device_memory_gb: float


def _seconds(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return the time of a call, seconds, over as many of them as take about so long."""
    # Calls return before a GPU has done their work; ten of them, and then it is waited for.
    together = 10 if device.type == "cuda" else 1
    several = timed(lambda: [call() for _ in range(together)], device)
    for _ in range(WARM_UP):
        call()
    spent, calls = 0.0, 0
    while calls < LEAST or spent < seconds:
        spent += several()
        calls += together
    return spent / calls


def _product_tflops(precision: str, device: torch.device, seconds: float) -> float:
    """Return the rate of a large product of random matrices, TFLOP/s."""
    side = PRODUCT[device.type]
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    factors = [torch.randn(side, side, device=device).to(kind) for _ in range(2)]
    return 2 * side**3 / _seconds(lambda: factors[0] @ factors[1], device, seconds) / 1e12


class _Clock:
    """Called after each update of a training: when the `WARM_UP` first are over, and when all are."""

    def __init__(self, device: torch.device, follow: Callable[[int, int], None]):
        self.device, self.follow, self.marks = device, follow, []

    def __call__(self, update: int, updates: int) -> None:
        self.follow(update, updates)
        if update + 1 in (WARM_UP, updates):
            wait_for(self.device)
            self.marks.append(time.perf_counter())
            if self.device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default" if update + 1 == updates else "warn")

    @property
    def seconds(self) -> float:
        """Time between the two marks, seconds."""
        start, end = self.marks
        return end - start


def bench_pretraining(
    configuration: Configuration, sample: str, encoder: str, batch_size: int | None, seconds: float
) -> dict[str, Any]:
    """Measure the pretraining of an encoder, by the training loop itself, on random stamps.

    Parameters
    ----------
    configuration
        The validated configuration; of several GPUs one is used.
    sample, encoder
        Experiment or study, and the encoder of it.
    batch_size
        Stamps of a batch; None for the configured number.
    seconds
        About how long each measurement takes.

    Returns
    -------
    dict
        The fields of `PretrainingBench`.

    Raises
    ------
    InputError
        If the configuration has no such experiment, study or encoder.
    """
    own = configuration.of_sample(sample) if sample in {*configuration.experiments, *configuration.studies} else None
    if own is None or encoder not in own.backbones:
        what, name = ("experiment or study", sample) if own is None else (f"encoder of {sample}", encoder)
        names = [*configuration.experiments, *configuration.studies] if own is None else own.backbones
        raise InputError(f"bench pretrain: no {what} is called {name}; there are {', '.join(names)}")
    recipe = encoder_recipe(configuration, sample, encoder)
    batch_size = batch_size or recipe.pretraining.batch_size
    runtime = recipe.runtime.model_copy(update={"gpus": min(recipe.runtime.gpus, 1)})
    phase = recipe.pretraining.model_copy(update={"batch_size": batch_size})
    recipe = recipe.model_copy(update={"runtime": runtime, "pretraining": phase})
    stamps = own.stamp_format()
    n = len(stamps.bands)
    scaling = Scaling([0.1] * n, [0.5] * n, [0.7] * n, [18.0] * n, torch.eye(n).tolist(), stamps)
    with tempfile.TemporaryDirectory() as folder:
        session = Session("bench", recipe, 0, scaling, Execution(checkpoints=Path(folder)))
        return asdict(_measured(session, recipe, seconds))


class _Pretraining:
    """Random stamps, and learners that are trained on them.

    Parameters
    ----------
    session
        Device and precision.
    recipe
        What is trained.
    """

    def __init__(self, session: Session, recipe: EncoderRecipe):
        self.session, self.recipe, self.device = session, recipe, session.device
        self.bands, random = len(session.scaling.bands), generator(0, "bench")
        self.count = BATCHES * recipe.pretraining.batch_size
        shape = (self.count, self.bands, recipe.source_size, recipe.source_size)
        source = ResidentStamps(torch.rand(shape, generator=random).half().to(self.device))
        self.views = session.views(source, recipe.pretraining.batch_size)
        if recipe.galaxy_views is not None:
            dust = torch.full((self.count,), 0.05, dtype=torch.float64)
            self.views = galaxy_views(self.views, recipe, "galaxy views", dust)
        self.targets = None
        if recipe.task is not None:
            targets = torch.rand(self.count, len(task_of(recipe.task).targets), generator=random)
            self.targets = targets.to(self.device)

    def learner(self) -> Learner:
        """Return a learner as training has it before its first step."""
        seed_weights(0)
        learner = self.recipe.build(self.bands)
        learner.prepare(MANY, self.targets)
        return learner

    def batches(self, learner: Learner, epoch: int, first: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Yield positions and all that the learner is given of every batch of an epoch from `first` on."""
        for batch, positions, images in self.views.several(epoch, first, self.recipe.objective.views):
            masks = generator(0, "masks", epoch, batch, device=self.device)
            labels = [] if self.targets is None else [self.targets[to_device(positions, self.device)]]
            yield positions, [*images, *learner.draw(len(positions), masks), *labels]

    def step(self, compiled: bool) -> Callable[[], None]:
        """Return a step on one batch."""
        learner = self.learner()
        if compiled:
            compile_if_wanted(learner, self.recipe.runtime)
        fabric, optimiser = self.session.fabric, make_optimiser(learner, self.recipe.pretraining.optimiser)
        choose_attention(learner.train(), self.device)
        model, optimiser = fabric.setup(learner, optimiser)
        _, given = next(self.batches(learner, 0, 0))

        def step() -> None:
            fabric.backward(model(*given))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            learner.after_step(0, MANY)

        return step

    def loop(self, updates: int) -> tuple[float, float]:
        """Train for so many updates; return the time of an update, seconds, and the waits in it."""
        learner = self.learner()

        def losses(model: nn.Module, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
            for positions, given in self.batches(learner, epoch, first):
                yield positions, model(*given)

        budget = self.recipe.pretraining.model_copy(update={"updates": updates, "epochs": None, "validations": 1})
        clock = _Clock(self.device, learner.after_step)
        objid = np.arange(self.count)
        training = Training("bench", learner, budget, objid, losses, lambda _: (0.0, {}), clock)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.session.train("bench", training)
        waits, timed = sum("synchroniz" in str(warning.message) for warning in caught), updates - WARM_UP
        return clock.seconds / timed, waits / timed


def _measured(session: Session, recipe: EncoderRecipe, seconds: float) -> PretrainingBench:
    device, batch_size = session.device, recipe.pretraining.batch_size
    pretraining = _Pretraining(session, recipe)
    with FlopCounterMode(display=False) as operations:
        pretraining.step(compiled=False)()
    mflop = operations.get_total_flops() / batch_size / 1e6
    of_step = _seconds(pretraining.step(compiled=True), device, seconds)
    of_loop, waits = pretraining.loop(WARM_UP + max(LEAST, round(seconds / of_step)))
    precision = choose_precision(recipe.runtime.precision, recipe.runtime.gpus)
    tflops = _product_tflops(precision, device, seconds)
    return PretrainingBench(
        device=device_name(device),
        threads=torch.get_num_threads(),
        precision=precision,
        encoder=recipe.name,
        objective=recipe.pretraining.objective,
        batch_size=batch_size,
        step=batch_size / of_step,
        loop=batch_size / of_loop,
        loop_over_step=of_step / of_loop,
        mflop=mflop,
        product_tflops=tflops,
        share_of_product=batch_size / of_loop * mflop / 1e6 / tflops,
        waits=waits,
        device_memory_gb=torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0,
    )
