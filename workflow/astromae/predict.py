"""Predictions for galaxies that no split knows: a model or encoder of a run, applied to stamps and magnitudes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from astromae.classical import METHODS, predict_method
from astromae.classical.recipe import ClassicalRecipe
from astromae.contracts.stamp_format import PIXEL_TYPE
from astromae.encoders import build_encoder
from astromae.encoders.frozen import FrozenEncoder
from astromae.errors import InputError
from astromae.model_archive import opened
from astromae.model_limits import check_method, check_network, weight_shapes
from astromae.tasks import Task, task_of
from astromae.tasks.model import build_model
from astromae.training.attention import choose_attention
from astromae.training.folders import RECIPE, WEIGHTS, read_recipe
from astromae.training.galaxies import Galaxies, embed_and_predict
from astromae.training.inference import Inference
from astromae.training.pretrained import pretrained_encoder
from astromae.training.recipes import EncoderRecipe, ModelRecipe
from astromae.training.scaling import Scaling
from astromae.training.sources import ResidentStamps
from astromae.training.views import Views, centre
from astromae.training.weights import load_weights, read_weights


class Predictor(Protocol):
    """What `load_model` returns."""

    def predict(self, stamps: np.ndarray | None, magnitudes: np.ndarray | None = None) -> Mapping[str, np.ndarray]:
        """Return the columns of the task's predictions; of an encoder the column ``features``."""


@dataclass(frozen=True)
class TrainedModel:
    """A network of branches with its trained weights.

    Attributes
    ----------
    recipe
        What it was trained with.
    session
        Device, precision, scaling and views, as in its training.
    network
        The network, in eval mode.
    """

    recipe: ModelRecipe
    session: Inference
    network: nn.Module

    @property
    def task(self) -> Task:
        """Return what it predicts."""
        return task_of(self.recipe.task)

    def predict(self, stamps: np.ndarray, magnitudes: np.ndarray | None = None) -> Mapping[str, np.ndarray]:
        """Predict.

        Given the test galaxies of its experiment in the order of their objid, it returns the run's own predictions
        to the last bit, on the same machine and in the same precision.

        Parameters
        ----------
        stamps
            Shape (n, bands, size, size), in the bands and pixel scale of `session.scaling.stamps` (of SDSS: u, g, r,
            i, z, 0.396 arcsec), nanomaggies a pixel, the galaxy in the centre, north up and east left; as many pixels
            as the recipe's crop or more. They are rounded to float16, as shards are. Models without an image branch
            read none of them but their number.
        magnitudes
            Dereddened model magnitudes, shape (n, bands). None for models without magnitudes.

        Returns
        -------
        dict
            The columns of the task's predictions, each of shape (n,) or (n, k); of redshifts ``z_pred``, float64.

        Raises
        ------
        InputError
            If a shape is another one, a value is not finite, or magnitudes are missing.
        """
        return self.embed_and_predict(stamps, magnitudes)[1]

    def embed_and_predict(
        self, stamps: np.ndarray, magnitudes: np.ndarray | None = None
    ) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return what its last layer reads, (n, width), float32, and what `predict` returns, as that one."""
        session = self.session
        views, scaled = _views(session, stamps, self.recipe.finetuning.batch_size), None
        if self.recipe.branches.magnitude:
            if magnitudes is None:
                raise InputError(f"{self.recipe.model} reads magnitudes, and none are given")
            checked = _checked_magnitudes(magnitudes, len(views.stamps), session.scaling.bands)
            scaled = torch.from_numpy(session.scaling.magnitudes(checked)).to(session.device)
        galaxies = Galaxies(np.arange(len(views.stamps)), views, scaled)
        with session.autocast():
            embedded, outputs = embed_and_predict(session.device, self.network, galaxies, None)
        return embedded, self.task.predict(outputs)


@dataclass(frozen=True)
class TrainedEncoder:
    """A pretrained encoder.

    Attributes
    ----------
    recipe, session
        As of `TrainedModel`.
    encoder
        The encoder, in eval mode.
    """

    recipe: EncoderRecipe
    session: Inference
    encoder: nn.Module

    @torch.no_grad()
    def predict(self, stamps: np.ndarray, magnitudes: np.ndarray | None = None) -> Mapping[str, np.ndarray]:
        """Return ``features`` of stamps as `TrainedModel.predict` takes them: shape (n, width), float16."""
        session, frozen = self.session, FrozenEncoder(self.encoder)
        found: list[Tensor] = []
        for _, _, images in _views(session, stamps, self.recipe.pretraining.batch_size).plain():
            with session.autocast():
                found.append(frozen.features(images))
        return {"features": torch.cat(found).cpu().numpy()}


@dataclass(frozen=True)
class FittedMethod:
    """A classical method with what it has fitted.

    Attributes
    ----------
    recipe
        Which method, and what it predicts.
    bands
        Bands of its magnitudes or stamps.
    fitted
        What its `fit` returned.
    seen
        Ranges of what was measured of its training galaxies (`astromae.familiarity.seen`); empty where not recorded.
    """

    recipe: ClassicalRecipe
    bands: Sequence[str]
    fitted: Mapping[str, np.ndarray]
    seen: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def predict(
        self, stamps: np.ndarray | None = None, magnitudes: np.ndarray | None = None
    ) -> Mapping[str, np.ndarray]:
        """Predict as `TrainedModel.predict` does; it reads either stamps or magnitudes."""
        method = METHODS[self.recipe.model]
        wanted, given = ("stamps", stamps) if method.stamps else ("magnitudes", magnitudes)
        if given is None:
            raise InputError(f"{self.recipe.model} reads {wanted}, and none are given")
        if method.stamps:
            images = centre(_checked_stamps(stamps, len(self.bands), self.recipe.crop), self.recipe.crop)
            checked = images.astype(np.float32)
        else:
            checked = _checked_magnitudes(magnitudes, len(magnitudes), self.bands)
        inputs = method.measure(checked, self.bands)
        return predict_method(method, task_of(self.recipe.task), self.fitted, inputs)


def load_model(path: Path | str, gpus: int = 0, foreign: bool = False) -> Predictor:
    """Load a trained model, a pretrained encoder or a classical method from its folder, which holds all of it.

    Parameters
    ----------
    path
        ``results/models/{experiment}/{model}/seed{seed}`` or ``results/encoders/{encoder}/{experiment}/seed{seed}``,
        with recipe.json and weights.safetensors; it may have been copied to anywhere. Or an archive (.zip) of such a
        folder (`astromae.model_archive`), from anyone: nothing of it is run.
    gpus
        0 to predict on the CPU, 1 on a GPU.
    foreign
        Whether a folder is that of an archive that was unpacked, which may say anything (`astromae.model_limits`).

    Raises
    ------
    InputError
        If a file is missing, cannot be read, or does not fit the recipe; or if an archive holds anything else.
    """
    with opened(path) as folder:
        return _load_folder(folder, gpus, foreign or folder != Path(path))


def _load_folder(folder: Path, gpus: int, foreign: bool) -> Predictor:
    about = read_recipe(folder)
    try:
        recipe = about["recipe"]
        if "runtime" not in recipe:
            return _load_method(folder, about, foreign)
        recipe = {**recipe, "runtime": {**recipe["runtime"], "gpus": gpus}}
        kind = EncoderRecipe if "pretraining" in recipe else ModelRecipe
        recipe = kind.model_validate(recipe)
        if foreign:
            check_network(folder, about, recipe)
        session = Inference(recipe, about["seed"], Scaling.from_json(about["scaling"]), gpus)
    except (KeyError, TypeError, ValidationError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            missing = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InputError(f"{folder / RECIPE}: not the recipe of a model of this version ({missing})") from error
    bands = len(session.scaling.bands)
    if foreign:
        _require_shapes(folder, recipe, bands)
    if isinstance(recipe, EncoderRecipe):
        try:
            encoder = pretrained_encoder(folder, recipe.backbone, bands, recipe.crop)
        except RuntimeError as error:
            message = str(error).splitlines()[0]
            raise InputError(f"{folder / WEIGHTS}: not the weights of {recipe.name} ({message})") from error
        return TrainedEncoder(recipe, session, _ready(encoder, session))
    network = build_model(recipe, bands)
    load_weights(folder, network, recipe.model)
    return TrainedModel(recipe, session, _ready(network, session))


def _require_shapes(folder: Path, recipe: ModelRecipe | EncoderRecipe, bands: int) -> None:
    """Refuse a network whose weights have other shapes, or are no numbers, before it takes any memory.

    Of archives alone, whose recipes may be anyone's: torch loads its meta device for some seconds.
    """
    path, prefix = folder / WEIGHTS, "encoder." * isinstance(recipe, EncoderRecipe)
    try:
        with torch.device("meta"):
            if isinstance(recipe, EncoderRecipe):
                network = build_encoder(recipe.backbone, bands, recipe.crop, recipe.objective.phase)
            else:
                network = build_model(recipe, bands)
    except Exception as error:  # whatever a stranger's numbers lead to
        message = str(error).partition("\n")[0]
        raise InputError(
            f"{folder / RECIPE}: its network cannot be built ({message}); get the archive again"
        ) from error
    stored = weight_shapes(folder)
    for name, tensor in network.state_dict().items():
        found = stored.get(prefix + name)
        if found != tuple(tensor.shape):
            raise InputError(
                f"{path}: not the weights of its recipe: {prefix + name} has the shape {found}, and the recipe wants "
                f"{tuple(tensor.shape)}"
            )
    _require_finite(path, read_weights(folder))


def _require_finite(path: Path, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name[:80]!r} has values that are not finite; get the archive again")


def _ready(network: nn.Module, session: Inference) -> nn.Module:
    network = network.to(session.device).eval()
    choose_attention(network, session.device)
    return network


def _load_method(folder: Path, about: Mapping[str, Any], foreign: bool) -> FittedMethod:
    recipe = ClassicalRecipe(**{name: about["recipe"][name] for name in ClassicalRecipe.model_fields})
    if foreign:
        check_method(folder, about, recipe)
    # Copies: the library's arrays are views of the file, which of an archive is soon gone.
    weights = read_weights(folder)
    if foreign:
        _require_finite(folder / WEIGHTS, weights)
    fitted = {name: tensor.numpy().copy() for name, tensor in weights.items()}
    if sorted(fitted) != about["fitted"]:
        raise InputError(f"{folder / WEIGHTS}: not what {recipe.model} has fitted ({', '.join(about['fitted'][:5])})")
    method = FittedMethod(recipe, about["bands"], fitted, about.get("seen", {}))
    if foreign:
        _require_answer(folder, method)
    return method


def _require_answer(folder: Path, method: FittedMethod) -> None:
    """Refuse what a method has not fitted: it answers about two galaxies, which are as good as any."""
    bands, side = len(method.bands), method.recipe.crop or 2
    try:
        predicted = method.predict(np.zeros((2, bands, side, side)), np.full((2, bands), 20.0))
        known = all(np.isfinite(values).all() for values in predicted.values())
    except Exception as error:  # whatever a stranger's arrays lead to
        message = str(error).partition("\n")[0]
        raise InputError(f"{folder / WEIGHTS}: not what {method.recipe.model} has fitted ({message})") from error
    if not known:
        raise InputError(f"{folder / WEIGHTS}: {method.recipe.model} with these arrays predicts no finite numbers")


def _views(session: Inference, stamps: np.ndarray, batch_size: int) -> Views:
    """Return the views of checked stamps."""
    images = torch.from_numpy(_checked_stamps(stamps, len(session.scaling.bands), session.recipe.crop))
    return session.views(ResidentStamps(images.to(session.device)), batch_size)


def _checked_stamps(stamps: np.ndarray, bands: int, crop: int) -> np.ndarray:
    """Return stamps as float16."""
    stamps = np.asarray(stamps)
    if stamps.ndim != 4 or stamps.shape[1] != bands or min(stamps.shape[2:]) < crop or not len(stamps):
        raise InputError(
            f"stamps of shape {stamps.shape}: expected (n, {bands}, size, size) with {crop} pixels or more"
        )
    images = stamps.astype(PIXEL_TYPE)
    bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
    if len(bad):
        raise InputError(f"stamps with pixels that are not finite float16, the first is number {bad[0]}")
    return images


def _checked_magnitudes(magnitudes: np.ndarray, count: int, bands: Sequence[str]) -> np.ndarray:
    magnitudes = np.ascontiguousarray(magnitudes, dtype=np.float64)
    if magnitudes.shape != (count, len(bands)):
        raise InputError(f"magnitudes of shape {magnitudes.shape}: expected ({count}, {len(bands)})")
    bad = np.flatnonzero(~np.isfinite(magnitudes).all(axis=1))
    if len(bad):
        raise InputError(f"magnitudes that are not finite, the first of galaxy number {bad[0]}")
    return magnitudes
