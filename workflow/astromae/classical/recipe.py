"""What the step of a classical method is given besides files and a seed."""

from pathlib import Path
from typing import Any

from astromae.classical import METHODS
from astromae.settings.base import Count, name_in
from astromae.tasks import NamedTask, task_source
from astromae.typed import Typed


class ClassicalRecipe(Typed):
    """Recipe of a classical method; `crop` is the side of the stamps that it measures, pixels, or None."""

    experiment: str
    model: name_in(METHODS)
    group: str
    task: NamedTask
    crop: Count | None = None

    def sources(self) -> list[str | Path]:
        """Return the sources of its method and its task."""
        return [METHODS.source(self.model), task_source(self.task)]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return self.model_dump(mode="json")
