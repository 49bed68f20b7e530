"""Learning rates as functions of the epoch (figures 4, 5 and 8)."""

import math

from astromae.settings.training import Schedule


def learning_rate(base: float, schedule: Schedule, epoch: int) -> float:
    """Return the learning rate of an epoch.

    Parameters
    ----------
    base
        The optimiser's `learning_rate`.
    schedule
        ``cosine`` with warmup_epochs W and period_epochs T gives ``base * min((e + 1) / W, (1 + cos(pi e / T)) / 2)``,
        the curves of figures 4 (1.2e-3, 200, 2000) and 8 (1e-4, 50, 100). ``paper_steps`` with decay d and
        restart_every k gives `base` on every k-th epoch and ``base * d**e`` on the others, the curve of figure 5
        (1e-4, 0.995, 10).
    epoch
        Counted from 0.
    """
    if schedule.kind == "cosine":
        warmup = (epoch + 1) / max(schedule.warmup_epochs, 1)
        return base * min(warmup, (1 + math.cos(math.pi * epoch / schedule.period_epochs)) / 2)
    return base if epoch % schedule.restart_every == 0 else base * schedule.decay**epoch
