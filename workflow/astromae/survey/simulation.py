"""What the embedded survey simulates: the settings of its steps."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Simulation:
    """Galaxies and fields of the embedded survey; the keys of the configuration's section `embedded`.

    The section has a model of its own (`astromae.survey.embedded`): what concerns only the configuration is no
    reason to draw the frames again.
    """

    galaxies: int
    seed: int
    release: int
    runs: Sequence[int]
    camcols: Sequence[int]
    galaxies_per_field: int
    populated: bool

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Runs and camera columns: chunk k of the catalogue is the k-th of them."""
        return list(itertools.product(self.runs, self.camcols))
