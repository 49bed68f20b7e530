"""What the answers of a trained model depend on: bytes that tell it from another, and the code that it names."""

from pathlib import Path

from pydantic import ValidationError

from astromae import __version__
from astromae.classical.recipe import ClassicalRecipe
from astromae.errors import InputError
from astromae.familiarity.reference import REFERENCE
from astromae.files import sha256
from astromae.model_archive import opened
from astromae.training.folders import RECIPE, WEIGHTS, read_recipe
from astromae.training.recipes import ModelRecipe


def identity_of(model: Path) -> list[str]:
    """Return texts, other ones for another model, folder or archive, or another version of this package.

    Raises
    ------
    InputError
        If there is none.
    """
    files = [model]
    if model.is_dir():
        files = [model / RECIPE, model / WEIGHTS, *([model / REFERENCE] if (model / REFERENCE).is_file() else [])]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: no such file; a model is a folder of results/models, or an archive of one")
    return [__version__, *map(sha256, files)]


def sources_of_model(model: Path) -> list[str | Path]:
    """Return modules and plugins of the entries that a model names, as `astromae.sources.sources_of` takes them.

    Raises
    ------
    InputError
        If the folder or archive is none of a model.
    """
    with opened(model) as folder:
        recipe = read_recipe(folder).get("recipe", {})
    try:
        if "runtime" in recipe:
            return ModelRecipe.model_validate(recipe).sources()
        return ClassicalRecipe(**{name: recipe.get(name) for name in ClassicalRecipe.model_fields}).sources()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{model}: not a model of this version that predicts ({where}: {first['msg']})") from error
