"""A model that is asked: what it wants of a galaxy, its answers, and how far it trusts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astromae.asking.answers import Answer, answer_of, cut_off
from astromae.asking.flags import RANGES_OF, stamp_flags
from astromae.classical import METHODS
from astromae.contracts.stamp_format import StampFormat
from astromae.errors import InputError
from astromae.familiarity.reference import REFERENCE, Reference, read_reference
from astromae.familiarity.seen import measure_stamps, values_of
from astromae.predict import FittedMethod, TrainedModel, load_model
from astromae.progress import log
from astromae.tasks import Task, task_of
from astromae.training.views import centre


@dataclass(frozen=True)
class Asked:
    """A model, and what it carries to judge its answers.

    Attributes
    ----------
    name
        What it is called in the answers: experiment, model and seed.
    predictor
        The model.
    reference
        Galaxies like those that it was tested on; None for classical methods.
    """

    name: str
    predictor: TrainedModel | FittedMethod
    reference: Reference | None

    @property
    def task(self) -> Task:
        """Return what it predicts."""
        return task_of(self.predictor.recipe.task)

    @property
    def reads_stamps(self) -> bool:
        """Return whether it reads stamps."""
        if isinstance(self.predictor, FittedMethod):
            return METHODS[self.predictor.recipe.model].stamps
        branches = self.predictor.recipe.branches
        return branches.encoder is not None or branches.inception

    @property
    def reads_magnitudes(self) -> bool:
        """Return whether it reads magnitudes."""
        if isinstance(self.predictor, FittedMethod):
            return not METHODS[self.predictor.recipe.model].stamps
        return self.predictor.recipe.branches.magnitude

    @property
    def bands(self) -> tuple[str, ...]:
        """Return the bands of its stamps and magnitudes, in their order."""
        return tuple(self.predictor.bands) if isinstance(self.predictor, FittedMethod) else self.format.bands

    @property
    def format(self) -> StampFormat | None:
        """Return the format of the stamps of its training; None for classical methods, which do not say."""
        return None if isinstance(self.predictor, FittedMethod) else self.predictor.session.scaling.stamps

    @property
    def crop(self) -> int:
        """Return the pixels on a side of what it sees of a stamp; 2 where it sees none."""
        return (self.predictor.recipe.crop or 2) if self.reads_stamps else 2

    @property
    def ranges(self) -> Mapping[str, Sequence[float]]:
        """Return what its training galaxies were like; empty where it does not say."""
        return self.predictor.seen if isinstance(self.predictor, FittedMethod) else self.predictor.session.scaling.seen

    @property
    def without(self) -> list[str]:
        """Return the flags that it cannot raise, since its folder does not hold what they are compared with."""
        known = {name.partition(":")[0] for name in self.ranges}
        wanted = RANGES_OF if self.reads_stamps else {flag: RANGES_OF[flag] for flag in ("magnitude", "colour")}
        missing = [flag for flag, kinds in wanted.items() if not known & set(kinds)]
        return missing + ["unfamiliar"] * (self.reference is None)

    def answer(
        self, images: np.ndarray | None, magnitudes: np.ndarray | None, symmetries: bool
    ) -> tuple[Answer, np.ndarray | None]:
        """Return the answer about some galaxies, and which of them are strange to the model.

        Parameters
        ----------
        images
            Stamps (n, bands, size, size), nanomaggies a pixel; None where it reads none.
        magnitudes
            Dereddened magnitudes (n, bands); None where it reads none.
        symmetries
            Average over the eight reflections and rotations of the stamps.

        Returns
        -------
        answer : Answer
            What it says of them.
        strange : ndarray or None
            Booleans (n,); None where it carries nothing to tell.
        """
        if isinstance(self.predictor, FittedMethod):
            return answer_of(self.task, self._averaged(images, magnitudes, symmetries)[1], ()), None
        embedded, predicted = self._averaged(images, magnitudes, symmetries)
        widths = () if self.reference is None else self.reference.widths
        strange = None if self.reference is None else self.reference.strange(embedded)
        return answer_of(self.task, predicted, widths), strange

    def embed(self, images: np.ndarray | None, magnitudes: np.ndarray | None) -> np.ndarray:
        """Return what a network's last layer reads of some galaxies, (n, width); parameters as of `answer`."""
        return self._predicted(self._given(images, magnitudes), magnitudes)[0]

    def _given(self, images: np.ndarray | None, magnitudes: np.ndarray | None) -> np.ndarray | None:
        return centre(images, self.crop) if self.reads_stamps else self._blanks(magnitudes)

    def _averaged(
        self, images: np.ndarray | None, magnitudes: np.ndarray | None, symmetries: bool
    ) -> tuple[np.ndarray | None, Mapping[str, np.ndarray]]:
        """Return embeddings and columns of predictions, averaged over the symmetries of the stamps where asked for."""
        given = self._given(images, magnitudes)
        if not symmetries or not self.reads_stamps:
            return self._predicted(given, magnitudes)
        found = [self._predicted(turned, magnitudes) for turned in symmetric(given)]
        column = self.task.density
        if column is None:
            means = {name: np.mean([columns[name] for _, columns in found], axis=0) for name in found[0][1]}
        else:
            means = self.task.of_density(np.mean([columns[column] for _, columns in found], axis=0))
        # Strangeness is that of the stamp as it is, with which the reference was made.
        return found[0][0], means

    def _predicted(
        self, images: np.ndarray, magnitudes: np.ndarray | None
    ) -> tuple[np.ndarray | None, Mapping[str, np.ndarray]]:
        if isinstance(self.predictor, FittedMethod):
            return None, self.predictor.predict(images if self.reads_stamps else None, magnitudes)
        return self.predictor.embed_and_predict(images, magnitudes)

    def _blanks(self, magnitudes: np.ndarray) -> np.ndarray | None:
        """Return stamps that a model without image branches counts, and does not read."""
        if isinstance(self.predictor, FittedMethod):
            return None
        size = self.predictor.recipe.crop
        return np.broadcast_to(np.float16(0), (len(magnitudes), len(self.bands), size, size))

    def flags(self, images: np.ndarray | None, magnitudes: np.ndarray | None, count: int) -> dict[str, np.ndarray]:
        """Return the flags of some galaxies that their stamps and magnitudes give, by name, each (count,)."""
        measures = None
        if images is not None and self.reads_stamps:
            measures = measure_stamps(centre(images, self.crop))
        return stamp_flags(measures, values_of(self.bands, measures, magnitudes, count), self.ranges)


def symmetric(images: np.ndarray) -> list[np.ndarray]:
    """Return the eight reflections and rotations of images (n, bands, size, size), as they are first."""
    return [np.rot90(mirrored, turns, axes=(2, 3)) for mirrored in (images, images[..., ::-1]) for turns in range(4)]


def open_asked(folder: Path, gpus: int = 0, foreign: bool = False) -> Asked:
    """Open a model to be asked for redshifts, or whatever it predicts; parameters as of `load_model`.

    Raises
    ------
    InputError
        If the folder is none of a model, or of an encoder, which predicts nothing; or its reference is another model's.
    """
    predictor = load_model(folder, gpus, foreign)
    if not isinstance(predictor, (TrainedModel, FittedMethod)):
        raise InputError(f"{folder}: an encoder, which predicts nothing; give a folder of results/models")
    recipe = predictor.recipe
    seed = predictor.session.seed if isinstance(predictor, TrainedModel) else None
    name = f"{recipe.experiment}/{recipe.model}" + (f"/seed{seed}" if seed is not None else "")
    reference = read_reference(folder)
    if isinstance(predictor, TrainedModel) and reference is not None:
        width, own = predictor.network.output.in_features, reference.embeddings.shape[1]
        if own != width:
            raise InputError(
                f"{folder / REFERENCE}: embeddings of {own} numbers, and the model's have {width}; copy again"
            )
    asked = Asked(name, predictor, reference)
    if asked.without:
        flags = ", ".join(asked.without)
        log(f"{name} cannot raise these flags, since its folder does not hold what they are compared with: {flags}")
    return asked


def flags_of(
    asked: Sequence[Asked],
    answer: Answer,
    strange: Sequence[np.ndarray | None],
    images: np.ndarray | None,
    magnitudes: np.ndarray | None,
    count: int,
) -> dict[str, np.ndarray]:
    """Return all flags of the galaxies of an answer, by name: one that any of several models gives."""
    found: dict[str, np.ndarray] = {}
    for model in asked:
        for name, flagged in model.flags(images, magnitudes, count).items():
            found[name] = found.get(name, np.zeros(count, dtype=bool)) | flagged
    for flagged in strange:
        if flagged is not None:
            found["unfamiliar"] = found.get("unfamiliar", np.zeros(count, dtype=bool)) | flagged
    return {**found, "range": cut_off(answer)}
