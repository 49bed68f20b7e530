"""Settings of learning: pixels, views, phases, and how a training runs."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from astromae.settings.base import Count, Pair, missing, setting, wrong
from astromae.typed import Typed

#: Whole pixels that a resampling kernel reads beyond the two that enclose a position.
KERNEL_MARGIN = {"nearest": 0, "bilinear": 0, "bicubic": 1}


class Scaling(Typed):
    """Scaling of pixels."""

    crop: int = setting("Side of the central square that networks see.", 32, unit="px", ge=1)
    softening_sigma: float = setting("Softening of the arcsinh.", 3.0, unit="sky noise", gt=0)


class Augmentation(Typed):
    """Augmentation in both phases of training."""

    rotation_deg: float = setting("Largest rotation either way.", 45.0, unit="deg", ge=0, le=180)
    flips: bool = setting("Flip at random along both axes.", True)
    rotate_before_crop: bool = setting("Rotate the larger stamp and then crop.", True)
    interpolation: Literal["nearest", "bilinear", "bicubic"] = setting("Resampling of a rotated stamp.", "bicubic")

    def source_size(self, crop: int) -> int:
        """Return how many pixels on a side a stamp must have so that no corner of a rotated crop is empty."""
        if not self.rotate_before_crop or self.rotation_deg == 0:
            return crop
        angle = math.radians(min(self.rotation_deg, 45.0))
        # The centre of a corner pixel comes this far out, and the kernel reads pixels beyond it.
        reach = (crop - 1) / 2 * (math.cos(angle) + math.sin(angle)) + KERNEL_MARGIN[self.interpolation]
        size = math.ceil(2 * reach + 1)
        return size + (size - crop) % 2


class Optimiser(Typed):
    """The optimiser.

    Keys of the kinds that are not chosen are ignored, so that a preset can change the kind.
    """

    kind: Literal["adamw", "sgd", "lars"] = setting(
        "adamw; sgd: gradient descent with momentum; lars: the same with steps in proportion to each layer's weights.",
        "adamw",
    )
    learning_rate: float = setting("Base of the schedule.", gt=0)
    weight_decay: float = setting("Decay of the weights; decoupled from the gradient with adamw.", ge=0)
    betas: Pair[Annotated[float, Field(ge=0, lt=1)]] | None = setting(
        "Of adamw; decay of the running means of gradient and squared gradient.", None
    )
    momentum: float = setting("Of sgd and lars; what a step keeps of the step before it.", 0.9, ge=0, lt=1)
    trust: float = setting(
        "Of lars; a layer's step over the norm of its weights, for a learning rate of 1.", 1e-3, gt=0
    )
    vector_rate: float = setting(
        "Of lars; the learning rate of biases and norms over that of all else. 0.024 are Barlow Twins' 0.0048 / 0.2.",
        0.024,
        ge=0,
    )

    def own_keys(self) -> tuple[str, ...]:
        """Return the keys of the chosen kind alone."""
        return {"adamw": ("betas",), "sgd": ("momentum",), "lars": ("momentum", "trust", "vector_rate")}[self.kind]

    @model_validator(mode="after")
    def _check(self) -> "Optimiser":
        if self.kind == "adamw" and self.betas is None:
            raise missing("betas")
        return self

    @model_serializer(mode="wrap")
    def _without_other_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        kept = ("kind", "learning_rate", "weight_decay", *self.own_keys())
        return {key: value for key, value in handler(self).items() if key in kept}


class Schedule(Typed):
    """Learning rate over a phase of training.

    Keys of the kind that is not chosen are ignored, so that a preset can change the kind.
    """

    kind: Literal["cosine", "paper_steps"] = setting(
        "At step t = 0, 1, ... of a budget of T steps, epochs or updates as the budget counts, cosine is "
        "learning_rate * min((t + 1) / warmup, (1 + cos(pi t / T)) / 2); "
        "paper_steps, by epoch, is learning_rate on every restart_every-th epoch, else learning_rate * decay^t."
    )
    warmup: Count | None = setting(
        "Of cosine; epochs or updates, as the budget counts, over which the rate rises.", None
    )
    decay: float | None = setting("Of paper_steps; factor from epoch to epoch.", None, gt=0, le=1)
    restart_every: Count | None = setting("Of paper_steps; epochs between returns to the base rate.", None)

    def own_keys(self) -> tuple[str, ...]:
        """Return the keys of the chosen kind."""
        return ("warmup",) if self.kind == "cosine" else ("decay", "restart_every")

    @model_validator(mode="after")
    def _check(self) -> "Schedule":
        for key in self.own_keys():
            if getattr(self, key) is None:
                raise missing(key)
        return self

    @model_serializer(mode="wrap")
    def _without_other_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in ("kind", *self.own_keys())}


class Budget(Typed):
    """How long a phase of training is: a number of updates, or of passes over its galaxies."""

    updates: Count | None = setting("Updates of the weights; null where the budget is in epochs.", None)
    epochs: Count | None = setting("Passes over the training galaxies; null where the budget is in updates.", None)
    batch_size: Count = setting("Galaxies of an update.")

    @model_validator(mode="after")
    def _check_unit(self) -> "Budget":
        if self.updates is None and self.epochs is None:
            raise wrong("updates", None, "a number of updates while {here}epochs is null")
        if self.updates is not None and self.epochs is not None:
            raise wrong("epochs", self.epochs, f"null while {{here}}updates is {self.updates}")
        return self

    @property
    def unit(self) -> Literal["updates", "epochs"]:
        """Return what it counts."""
        return "epochs" if self.updates is None else "updates"

    @property
    def length(self) -> int:
        """Return the number of its updates or epochs, as it counts."""
        return self.epochs if self.updates is None else self.updates

    def batches(self, galaxies: int) -> int:
        """Return the number of updates of a pass over so many galaxies."""
        return max(1, -(-galaxies // self.batch_size))

    def all_updates(self, galaxies: int) -> int:
        """Return the number of updates on so many galaxies."""
        return self.updates or self.epochs * self.batches(galaxies)

    def passes(self, galaxies: int) -> int:
        """Return the number of passes over so many galaxies that are at least begun."""
        return -(-self.all_updates(galaxies) // self.batches(galaxies))

    def stamps(self, galaxies: int) -> int:
        """Return how many stamps its updates see, each as often as it is seen; batches are nearly equal."""
        return galaxies * self.all_updates(galaxies) // self.batches(galaxies)


class Phase(Budget):
    """A phase of training: so many updates or passes, in batches, at some learning rate."""

    validations: Count = setting(
        "Measurements of the validation loss, evenly spaced, of a budget in updates; one in epochs has one after each.",
        20,
    )
    optimiser: Optimiser = setting(
        "The optimiser. Keys of the kinds that are not chosen are ignored, so that a preset can change the kind."
    )
    schedule: Schedule = setting(
        "Learning rate. Keys of the kind that is not chosen are ignored, so that a preset can change the kind."
    )

    @model_validator(mode="after")
    def _check_schedule(self) -> "Phase":
        schedule = self.schedule
        if schedule.kind == "paper_steps" and self.unit == "updates":
            raise wrong("schedule.kind", schedule.kind, "cosine while {here}updates is given")
        if schedule.kind == "cosine" and schedule.warmup > self.length:
            raise wrong("schedule.warmup", schedule.warmup, f"at most {{here}}{self.unit} ({self.length})")
        return self

    def validated_after(self, galaxies: int) -> list[int]:
        """Return after how many updates on so many galaxies the validation loss is measured; the last is the end."""
        updates = self.all_updates(galaxies)
        count = self.epochs or min(self.validations, updates)
        return [updates * number // count for number in range(1, count + 1)]


class HeadTraining(Phase):
    """Training with labels, on views with noise."""

    noise_sigma: float = setting("Gaussian noise on the scaled pixels.", unit="scaled pixel", ge=0)


class Finetuning(HeadTraining):
    """Fine-tuning of every model on the labels of the train subset."""

    layer_decay: float | None = setting(
        "Learning rate of a layer over that of the next in pretrained encoders that are not frozen; null for one rate.",
        None,
        gt=0,
        le=1,
    )
    drop_path: float = setting(
        "Probability that a stamp goes without the last residual branch of an encoder that is not frozen; it rises to "
        "this from 0 at the first.",
        0.0,
        ge=0,
        lt=1,
    )


class Runtime(Typed):
    """What decides the arithmetic of a training besides its recipe."""

    gpus: int = setting("GPUs of a training job on each of its nodes; 0 trains on the CPU.", 0, ge=0)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = setting(
        "Precision of Lightning Fabric; auto chooses by processor.", "auto"
    )
    compile: Literal["auto", True, False] = setting("Compile networks before they train; auto does so on GPUs.", "auto")


class Training(Runtime):
    """How training jobs run."""

    threads: Count = setting("CPU threads of a training job.", 1)
    nodes: Count = setting("Nodes of a training job.", 1)
    share_features: bool = setting("Compute a frozen encoder's features once for all models.", True)

    @model_validator(mode="after")
    def _check_processor(self) -> "Training":
        if self.precision == "16-mixed" and self.gpus == 0:
            raise wrong("precision", "16-mixed", "auto, 32-true or bf16-mixed while {here}gpus is 0")
        if self.nodes > 1 and self.gpus == 0:
            raise wrong("nodes", self.nodes, "1 while {here}gpus is 0")
        return self

    def runtime(self) -> Runtime:
        """Return what of it a training step needs."""
        return Runtime(gpus=self.gpus, precision=self.precision, compile=self.compile)
