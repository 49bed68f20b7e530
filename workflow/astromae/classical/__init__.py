"""Classical methods: what predicts without a network, by the name that the configuration gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astromae import entries
from astromae.registry import Registry


@dataclass(frozen=True)
class Method:
    """A regression on a few numbers of each galaxy, which its magnitudes or its stamp give.

    Attributes
    ----------
    measure
        Called with magnitudes (n, bands), dereddened, or with the stamps that networks see (n, bands, side, side),
        nanomaggies a pixel, not dereddened; and with the names of the bands. Returns the inputs (n, k) of the
        regression, float64. Galaxies come in blocks: what it returns of one may not depend on the others.
    fit
        Called with inputs (n, k) and labels (n, targets) of the training galaxies, float64, and with a seed. Returns
        all that predictions need, as arrays by name.
    predict
        Called with what `fit` returned and with inputs (m, k), returns estimates (m, targets). That of one galaxy may
        not depend on the others.
    stamps
        Whether it measures stamps; else magnitudes.
    settings
        Its constants, for recipe.json.
    """

    measure: Callable[[np.ndarray, Sequence[str]], np.ndarray]
    fit: Callable[[np.ndarray, np.ndarray, int], Mapping[str, np.ndarray]]
    predict: Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]
    stamps: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


#: Classical methods by name.
METHODS: Registry[Method] = Registry("classical method", entries.METHODS)
