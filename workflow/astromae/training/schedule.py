"""Learning rates over a phase of training (figures 4, 5 and 8)."""

import math

from astromae.settings.training import Phase, Schedule


def learning_rate(base: float, schedule: Schedule, length: int, step: int) -> float:
    """Return the learning rate of a step of a schedule: of an epoch or of an update.

    Parameters
    ----------
    base
        The optimiser's `learning_rate`.
    schedule
        ``cosine`` with warmup W over T steps gives ``base * min((t + 1) / W, (1 + cos(pi t / T)) / 2)`` at step t, the
        curves of figures 4 (1.2e-3, 200, 2000 epochs) and 8 (1e-4, 50, 100). ``paper_steps`` with decay d and
        restart_every k gives `base` on every k-th step and ``base * d**t`` on the others, the curve of figure 5
        (1e-4, 0.995, 10).
    length
        Number of all steps.
    step
        Counted from 0.
    """
    if schedule.kind == "cosine":
        return base * min((step + 1) / schedule.warmup, (1 + math.cos(math.pi * step / length)) / 2)
    return base if step % schedule.restart_every == 0 else base * schedule.decay**step


def rate_of_update(phase: Phase, update: int, batches: int) -> float:
    """Return the learning rate of an update, counted from 0, of a phase.

    A budget in updates has a rate for each. One in epochs has the same throughout an epoch of so many `batches`, as
    the paper's figures draw it.
    """
    step = update if phase.unit == "updates" else update // batches
    return learning_rate(phase.optimiser.learning_rate, phase.schedule, phase.length, step)
