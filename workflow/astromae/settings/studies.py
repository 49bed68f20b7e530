"""Settings of a study: ways to learn without labels, compared on equal terms over numbers of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from astromae.classical import METHODS, can_predict
from astromae.objectives import OBJECTIVES
from astromae.settings.base import (
    AnyOf,
    Count,
    Name,
    PositiveFraction,
    Seed,
    SomeOf,
    Text,
    name_in,
    near,
    problem,
    setting,
    wrong,
)
from astromae.settings.entries import Backbone, Pretraining
from astromae.settings.experiments import Sample
from astromae.settings.training import Augmentation, Finetuning, HeadTraining, Scaling
from astromae.studies import RANDOM, SUPERVISED
from astromae.tasks import task_of
from astromae.typed import Typed

#: An objective may be called as in the table of objectives, where names have underscores.
ObjectiveName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]

#: Settings of a run that a study may have its own of.
OWN = ("scaling", "augmentation")


class StudyObjective(Typed):
    """A way to learn without labels, and the networks that learn by it."""

    networks: AnyOf[str] = setting("Names of the study's networks; none leaves the objective out.")
    pretraining: Pretraining = setting("Pretraining of each of them.")


class FrozenTraining(HeadTraining):
    """Training of a head on the features of a frozen encoder."""

    augmented_views: Count = setting("Augmented views of each labelled stamp that have features; they take turns.")


class StudyFinetuning(Typed):
    """Fine-tuning, the same for every number of labels."""

    frozen: FrozenTraining = setting("Of a head on the features of an encoder that stays as it is.")
    unfrozen: Finetuning = setting("Of an encoder with its head.")


@dataclass(frozen=True)
class Curve:
    """A line of a study: the error of one way to learn, over numbers of labels.

    Attributes
    ----------
    objective
        A name of the study's objectives, `SUPERVISED`, `RANDOM`, or a classical method.
    network
        A name of the study's networks.
    frozen
        Whether only a head is trained with labels.
    """

    objective: str
    network: str
    frozen: bool

    @property
    def name(self) -> str:
        """Return its name in files."""
        return f"{self.objective}-{self.network}-{'frozen' if self.frozen else 'unfrozen'}"

    @property
    def encoder(self) -> str | None:
        """Return the name of the pretrained encoder that it starts from, if it does from one."""
        return None if self.objective in (SUPERVISED, RANDOM) else encoder_name(self.objective, self.network)


def encoder_name(objective: str, network: str) -> str:
    """Return the name of an encoder of a study."""
    return f"{objective}-{network}"


class Study(Sample):
    """A study: objectives and networks, frozen and unfrozen, over numbers of labels."""

    title: Text = setting("Title in figures and in the document.")
    seeds: SomeOf[Seed] = setting("Every pretraining and fine-tuning runs once for each of these seeds.")
    labels: SomeOf[PositiveFraction] = setting("Fractions of the train subset that have labels, ascending; nested.")
    networks: Annotated[dict[Name, Backbone], Field(min_length=1)] = setting("Networks, as in section `backbones`.")
    objectives: dict[ObjectiveName, StudyObjective] = setting("Ways to learn without labels.")
    classical: AnyOf[name_in(METHODS)] = setting("Methods without a network, drawn as lines.", ())
    finetuning: StudyFinetuning = setting("Fine-tuning, the same for every number of labels.")
    scaling: Scaling | None = setting("Scaling of pixels; null for the run's own.", None)
    augmentation: Augmentation | None = setting("Augmentation; null for the run's own.", None)

    @model_validator(mode="after")
    def _check(self) -> "Study":
        if list(self.labels) != sorted(self.labels):
            raise wrong("labels", self.labels, "ascending fractions")
        for name, objective in self.objectives.items():
            if name in (SUPERVISED, RANDOM):
                raise problem(f"{{here}}objectives.{name}: a line of every study has this name; rename the objective")
            if OBJECTIVES[objective.pretraining.objective].labels:
                allowed = "an objective without labels, which the fine-tuning alone reads"
                raise wrong(f"objectives.{name}.pretraining.objective", objective.pretraining.objective, allowed)
            for network in objective.networks:
                if network not in self.networks:
                    allowed = f"names in {{here}}networks: {', '.join(self.networks)}{near(network, self.networks)}"
                    raise wrong(f"objectives.{name}.networks", network, allowed)
        if not self.used_networks():
            raise problem("{here}objectives: none has a network; give one at least one")
        called: dict[str, tuple[str, str]] = {}
        for pair in ((name, network) for name, objective in self.objectives.items() for network in objective.networks):
            (one, other), name = called.setdefault(encoder_name(*pair), pair), encoder_name(*pair)
            if (one, other) != pair:
                both = f"{one} on {other} and {pair[0]} on {pair[1]}"
                raise problem(f"{{here}}objectives: {both} would both be called {name}; rename one")
        for method in self.classical:
            if not can_predict(METHODS[method], task_of(self.task)):
                raise wrong("classical", method, f"methods that predict {self.task}, which is no regression")
        for kind in ("frozen", "unfrozen"):
            phase = getattr(self.finetuning, kind)
            if phase.updates is None:
                allowed = "null, with as many {here}finetuning." + kind + ".updates for every number of labels"
                raise wrong(f"finetuning.{kind}.epochs", phase.epochs, allowed)
        self.check_subsets()
        return self

    def used_networks(self) -> list[str]:
        """Return the networks that some objective names, in their order."""
        used = {network for objective in self.objectives.values() for network in objective.networks}
        return [name for name in self.networks if name in used]

    def encoders(self) -> dict[str, tuple[str, str]]:
        """Return objective and network of every pretrained encoder, by its name."""
        return {
            encoder_name(name, network): (name, network)
            for name, objective in self.objectives.items()
            for network in objective.networks
        }

    def curves(self) -> dict[str, Curve]:
        """Return its lines by name, but for the classical ones."""
        pairs = list(self.encoders().values())
        curves = [Curve(objective, network, frozen) for objective, network in pairs for frozen in (True, False)]
        for network in self.used_networks():
            curves += [Curve(SUPERVISED, network, False), Curve(RANDOM, network, True)]
        return {curve.name: curve for curve in curves}

    def pretraining(self, encoder: str) -> Any:
        """Return the pretraining of an encoder."""
        return self.objectives[self.encoders()[encoder][0]].pretraining

    def mask_ratios(self) -> dict[str, float]:
        """Return the fraction of the patches that each masked autoencoder hides, by its name; none where all agree."""
        ratios = {
            name: objective.pretraining.mask_ratio
            for name, objective in self.objectives.items()
            if objective.networks and objective.pretraining.objective == "mae"
        }
        return ratios if len(set(ratios.values())) > 1 else {}

    def label_counts(self, galaxies: int) -> list[int]:
        """Return the numbers of labels out of a train subset of so many galaxies, at least one each."""
        return label_counts(galaxies, self.labels)


def label_counts(galaxies: int, fractions: Sequence[float]) -> list[int]:
    """Return how many of `galaxies` each fraction is, rounded, at least one; equal numbers once."""
    return sorted({max(1, round(galaxies * fraction)) for fraction in fractions})
