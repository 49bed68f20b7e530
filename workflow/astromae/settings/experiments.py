"""Settings of models and experiments: what is trained, on which galaxies."""

import math
from typing import Any, Literal

from pydantic import model_validator

from astromae.classical import METHODS, can_predict
from astromae.settings.base import (
    AnyOf,
    Fraction,
    Name,
    PositiveFraction,
    Seed,
    SomeOf,
    Text,
    name_in,
    problem,
    setting,
    wrong,
)
from astromae.settings.entries import Pretraining
from astromae.settings.training import Finetuning, Phase
from astromae.tasks import TASKS, task_of
from astromae.typed import Typed

Subset = Literal["pretrain", "pretrain_val", "train", "val", "test"]


class Model(Typed):
    """A model: a choice of branches."""

    group: Literal["scratch", "pretrained", "random"] = setting("The model's group in the tables.")
    encoder: str | None = setting("A backbone's name or null.")
    pretrained: bool = setting("Start from the weights of a pretrained encoder.")
    frozen: bool = setting("Leave the encoder's weights as they are: pretrained, or random.")
    inception: bool = setting("Add the Inception branch.")
    magnitude: bool = setting("Add the magnitude branch.")
    linear: bool = setting("One linear layer on the encoder's features instead of the head: a linear probe.", False)

    @model_validator(mode="after")
    def _check(self) -> "Model":
        if self.encoder is None and self.pretrained:
            raise wrong("pretrained", True, "false while encoder is null: there is nothing to pretrain")
        if self.encoder is None and self.frozen:
            raise wrong("frozen", True, "false while encoder is null: there is nothing to freeze")
        if self.linear and (self.encoder is None or self.inception or self.magnitude):
            raise wrong("linear", True, "false, but for models of an encoder alone")
        if self.encoder is None and not self.inception and not self.magnitude:
            raise problem("{section} has no branch; give it an encoder, inception: true or magnitude: true")
        return self


class Fractions(Typed):
    """Fraction of the galaxies with a stamp that each subset gets."""

    pretrain: Fraction = setting("Images to pretrain on without labels.")
    pretrain_val: Fraction = setting("Images that validate the pretraining.")
    train: PositiveFraction = setting("Labels that models are trained on.")
    val: PositiveFraction = setting("Labels of the validation loss of models.")
    test: PositiveFraction = setting("Galaxies of all tables and figures.")

    @model_validator(mode="after")
    def _check(self) -> "Fractions":
        total = math.fsum(self.model_dump().values())
        if total > 1 + 1e-9:
            raise problem(f"{{section}} add up to {total:.6g}; allowed: at most 1")
        return self


class Sample(Typed):
    """Galaxies, dealt to subsets, and what is predicted of them."""

    seed: Seed = setting("Seed of the split.")
    task: name_in(TASKS) = setting("What the models predict.", "redshift")
    fractions: Fractions = setting("Fraction of the galaxies with a stamp that each subset gets.")
    pretrain_on: SomeOf[Subset] = setting("Subsets whose images encoders are pretrained on.")
    validate_on: SomeOf[Subset] = setting("Subsets whose images validate the pretraining.")

    def check_subsets(self) -> None:
        """Check that encoders are pretrained on some images, and validated on others."""
        fractions: dict[str, Any] = self.fractions.model_dump()
        for role in ("pretrain_on", "validate_on"):
            for subset in getattr(self, role):
                if fractions[subset] == 0:
                    filled = [name for name, fraction in fractions.items() if fraction > 0]
                    raise wrong(role, subset, f"subsets with a fraction above 0: {', '.join(filled)}")
        both = sorted(set(self.pretrain_on) & set(self.validate_on))
        if both:
            raise wrong("validate_on", both[0], "subsets that are not in {here}pretrain_on")


class Experiment(Sample):
    """An experiment."""

    title: Text = setting("Title in tables and figures.")
    table: Name = setting("Name of the experiment's table.")
    study: Name | None = setting(
        "Study whose target makes its table, which is all that is made of it; null: it is part of every run.", None
    )
    classical: AnyOf[name_in(METHODS)] = setting("Methods without a network.")
    models: SomeOf[str] = setting("Names of section `models`.")
    pretraining: Pretraining = setting("Pretraining of every encoder that the models want.")
    finetuning: Finetuning = setting("Fine-tuning of every model on the labels of the train subset.")

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        for method in self.classical:
            if not can_predict(METHODS[method], task_of(self.task)):
                raise wrong("classical", method, f"methods that predict {self.task}, which is no regression")
        return self

    def phase(self, name: str) -> Phase:
        """Return the phase ``pretraining`` or ``finetuning``."""
        return getattr(self, name)

    def check_labelled(self) -> None:
        """Check that encoders that learn from labels see those that models learn from, and no others."""
        for role, labelled in (("pretrain_on", "train"), ("validate_on", "val")):
            if getattr(self, role) != (labelled,):
                allowed = f"[{labelled}] while {{here}}pretraining.objective is {self.pretraining.objective}"
                raise wrong(role, list(getattr(self, role)), f"{allowed}, which learns from labels")
