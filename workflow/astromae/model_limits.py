"""What an archive may say of its model: limits of somebody else's numbers and texts, before anything is built of them.

A model of one's own has none of these limits.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from safetensors import SafetensorError, safe_open

from astromae.classical.recipe import ClassicalRecipe
from astromae.encoders import ENCODERS
from astromae.errors import InputError
from astromae.familiarity.seen import values_of
from astromae.settings.base import HERE, Seed, show
from astromae.tasks import NamedTask, task_of
from astromae.training.folders import RECIPE, WEIGHTS
from astromae.training.recipes import EncoderRecipe, ModelRecipe
from astromae.typed import Typed

#: Letters of a text: names, which answers and messages repeat.
MOST_LETTERS = 200

#: Bands, pixels on a side of a stamp, and pixels on a side of what a model sees of it.
MOST_BANDS, MOST_SIZE, MOST_CROP = 16, 1024, 256

#: Pixels of a batch, in one band: 4096 stamps of 64 px, or 256 of `MOST_CROP`.
MOST_PIXELS = 2**24

#: Patches of a stamp: attention takes the square of it.
MOST_PATCHES = 4096

#: Layers of a network, and tensors of its weights.
MOST_DEPTH, MOST_TENSORS = 256, 8192

#: Bins of a distribution, the narrowest and the end of the last one, and normal distributions of a mixture.
MOST_BINS, LEAST_BIN, LARGEST_REDSHIFT, MOST_COMPONENTS = 2000, 5e-4, 12.0, 20

_Value = Annotated[float, Field(ge=-1e6, le=1e6)]
_Positive = Annotated[float, Field(ge=1e-9, le=1e6)]
_Magnitude = Annotated[float, Field(ge=-100, le=100)]
_Bands = Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=MOST_BANDS)]
_Range = Annotated[tuple[_Value, _Value], Field(strict=False)]


class _Stamps(Typed):
    bands: _Bands
    pixel_scale_arcsec: float = Field(ge=1e-3, le=100)
    size: int = Field(ge=2, le=MOST_SIZE, multiple_of=2)


class _Scaling(Typed):
    """`astromae.training.scaling.Scaling`, as JSON has it."""

    softening: list[_Positive]
    pixel_mean: list[_Value]
    pixel_std: list[_Positive]
    magnitude_mean: list[_Magnitude]
    magnitude_components: list[list[_Value]]
    stamps: _Stamps
    seen: dict[str, _Range] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_bands(self) -> "_Scaling":
        bands = self.stamps.bands
        each = ("softening", "pixel_mean", "pixel_std", "magnitude_mean", "magnitude_components")
        rows = {f"magnitude_components.{number}": row for number, row in enumerate(self.magnitude_components)}
        for key, values in {**{key: getattr(self, key) for key in each}, **rows}.items():
            if len(values) != len(bands):
                raise ValueError(f"{key} has {len(values)} values for {len(bands)} bands")
        _check_bands_and_ranges(bands, self.seen)
        return self


class _Classical(Typed):
    """What recipe.json has of a classical method besides its recipe."""

    bands: _Bands
    seen: dict[str, _Range] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "_Classical":
        _check_bands_and_ranges(self.bands, self.seen)
        return self


def _check_bands_and_ranges(bands: Sequence[str], seen: Mapping[str, Sequence[float]]) -> None:
    if len(set(bands)) < len(bands) or not all(bands):
        raise ValueError(f"bands are {show(list(bands))}; allowed: different names")
    known = values_of(bands, None, None, 0)
    for name, (low, high) in seen.items():
        if name not in known:
            raise ValueError(f"seen has {show(name)}, which is nothing that is measured in these bands")
        if low > high:
            raise ValueError(f"seen.{name} is from {low:g} to {high:g}; allowed: the smaller number first")


def check_network(folder: Path, about: Mapping[str, Any], recipe: ModelRecipe | EncoderRecipe) -> None:
    """Check what the recipe.json of a network says, against limits and against the shapes of its weights.

    Parameters
    ----------
    folder
        Folder of the unpacked archive.
    about
        Content of its recipe.json.
    recipe
        The recipe in it.

    Raises
    ------
    InputError
        If a number or text is beyond what any model needs, or wants more than the weights are: names file and key.
    """
    path = folder / RECIPE
    _check_common(path, about)
    _validated(path, "scaling", _Scaling, about.get("scaling"))
    shapes = weight_shapes(folder)
    stamps, crop = about["scaling"]["stamps"], recipe.crop
    phase = recipe.pretraining if isinstance(recipe, EncoderRecipe) else recipe.finetuning
    most = min(MOST_CROP, stamps["size"])
    _require(path, "recipe.scaling.crop", crop, crop <= most, f"at most {most}")
    # Predictions come in batches of 256 stamps or more, whatever is trained in.
    most = max(256, MOST_PIXELS // crop**2)
    _require(path, "batch_size", phase.batch_size, phase.batch_size <= most, f"at most {most:,} stamps of {crop} px")
    task = recipe.task if isinstance(recipe, ModelRecipe) else None
    if task is not None:
        _check_task(path, task)
    backbone = recipe.backbone
    if isinstance(recipe, ModelRecipe) and recipe.branches.encoder is None:
        return
    _require(path, "backbone", backbone, backbone is not None, "the encoder that branches.encoder names")
    sides = [side for shape in shapes.values() for side in shape]
    for key, value in _whole_numbers("backbone", backbone.model_dump(mode="json")):
        most = min(MOST_DEPTH, len(shapes)) if key == "backbone.depth" else max(sides, default=0)
        _require(path, key, value, value <= most, f"at most {most}, by the shapes of its {WEIGHTS}")
    patches = (crop // getattr(backbone, "patch", crop)) ** 2
    _require(path, "backbone.patch", patches, patches <= MOST_PATCHES, f"at most {MOST_PATCHES:,} patches of a stamp")
    for key, allowed in ENCODERS[backbone.network].problems(backbone, crop):
        raise InputError(f"{path}: backbone.{key} does not fit; allowed: {allowed.replace(HERE, 'backbone.')}")


def check_method(folder: Path, about: Mapping[str, Any], recipe: ClassicalRecipe) -> None:
    """Check what the recipe.json of a classical method says; parameters and errors as of `check_network`."""
    path = folder / RECIPE
    _check_common(path, about)
    _validated(path, "", _Classical, {key: about[key] for key in _Classical.model_fields if key in about})
    crop = recipe.crop or 2
    _require(path, "crop", crop, crop <= MOST_CROP, f"at most {MOST_CROP}")
    _check_task(path, recipe.task)
    weight_shapes(folder)


def _check_common(path: Path, about: Mapping[str, Any]) -> None:
    pending: list[tuple[str, Any]] = [("", about)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, dict):
            pending += [(name, inner) for name, content in value.items() for inner in (name, content)]
        elif isinstance(value, list):
            pending += [(key, inner) for inner in value]
        elif isinstance(value, str):
            fits = len(value) <= MOST_LETTERS and value.isprintable()
            allowed = f"at most {MOST_LETTERS} letters on one line"
            _require(path, ascii(key[:MOST_LETTERS]), ascii(value), fits, allowed)
    _validated(path, "seed", TypeAdapter(Annotated[Seed, Field(strict=True)]), about.get("seed"))


def _validated(path: Path, section: str, model: type[Typed] | TypeAdapter, given: Any) -> None:
    try:
        (model.validate_python if isinstance(model, TypeAdapter) else model.model_validate)(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(filter(None, [section, *map(str, first["loc"])]))
        raise InputError(f"{path}: {key or 'it'}: {first['msg']}") from None


def _check_task(path: Path, named: NamedTask) -> None:
    """Check the numbers of a task before it is made of them: its edges are an array."""
    own = named if isinstance(named, dict) else {"task": named}
    limits = {"bins": MOST_BINS, "components": MOST_COMPONENTS, "z_max": LARGEST_REDSHIFT}
    for key, value in own.items():
        most = limits.get(key, MOST_BINS)
        if isinstance(value, int | float):
            _require(path, f"task.{key}", value, abs(value) <= most, f"at most {most:g}")
    _require(path, "task", own, isinstance(own.get("task"), str), "the name of a task")
    try:
        task = task_of(named)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if task.edges is not None:
        narrowest = min(high - low for low, high in pairwise(task.edges.tolist()))
        _require(path, "task.bins", narrowest, narrowest >= LEAST_BIN, f"bins at least {LEAST_BIN:g} wide")


def _whole_numbers(key: str, value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _whole_numbers(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _whole_numbers(key, inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value


def _require(path: Path, key: str, value: Any, fits: bool, allowed: str) -> None:
    if not fits:
        raise InputError(f"{path}: {key} is {show(value)}; allowed: {allowed}")


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a folder's weights by name, without reading the weights.

    Raises
    ------
    InputError
        If the file cannot be read, or has too many tensors.
    """
    path = folder / WEIGHTS
    try:
        with safe_open(path, "np") as file:
            names = list(file.keys())
            _require(path, "number of tensors", len(names), len(names) <= MOST_TENSORS, f"at most {MOST_TENSORS:,}")
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: no readable weights ({str(error).splitlines()[0]})") from error
