"""Settings of metrics and their intervals."""

from typing import Literal

from astromae.settings.base import Seed, setting
from astromae.typed import Typed


class Evaluation(Typed):
    """Metrics and their intervals."""

    bootstrap_samples: int = setting("Bootstrap samples of an interval.", 1000, ge=10)
    interval: float = setting("Confidence of intervals and of statements.", 0.95, gt=0, lt=1)
    outlier_threshold: float = setting("Smallest |dz| of an outlier.", 0.05, gt=0)
    seed: Seed = setting("Seed of the bootstrap.", 42)
    subset: Literal["test", "val"] = setting(
        "Galaxies of the tables of metrics; val, to choose settings by, leaves the test galaxies unseen.", "test"
    )
