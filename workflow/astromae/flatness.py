"""Whether a training's validation loss was still falling when its budget ended."""

import math

import numpy as np
import pandas as pd

#: Part of the updates, at their end, in which a loss that still falls is a sign that the budget was short.
LAST = 0.2

#: Rows of a history in that part, below which nothing is said.
FEWEST_ROWS = 4

#: Smallest fall in the last part that counts, of all the fall since the first part of the training.
TOLERANCE = 0.02

#: How many standard errors such a fall is to exceed: the 99th percentile of Student's t with three degrees of freedom,
#: those of a line through the five rows of twenty validations. A table has many models, and none is to be marked by
#: chance.
ERRORS = 4.54


def still_falling(history: pd.DataFrame) -> bool | None:
    """Return whether the validation loss falls in the last fifth of the updates; None if it has too few rows to say.

    A line is fitted there. Its fall counts if it exceeds its own standard error, and 2 % of what the loss has fallen
    since its median over the first fifth; the very first losses, which may be of any size, are left out by that.

    A schedule decides how a curve looks. While the learning rate falls, the loss falls with it even where nothing more
    is learnt, since smaller steps stray less about a minimum; and once the rate is nearly zero, nothing changes however
    much is left to learn. The last fifth of a cosine lies between: its rates are at most a tenth of the base, so that
    the noise of steps is mostly shed before, and they add up to a hundredth of all its rates. A training that falls
    even there has not been led to an end. One that does not has reached what its schedule and its budget lead to;
    whether a longer one leads further only a longer one can say, for which workflow/presets/sweep.yaml has budgets of
    several lengths.

    Parameters
    ----------
    history
        As `astromae.contracts.history` has it: `update` and `val_loss`.
    """
    update, loss = (history[name].to_numpy(np.float64) for name in ("update", "val_loss"))
    end = update[-1]
    late = end - update <= LAST * end * (1 + 1e-9)
    early = loss[update <= LAST * end]
    if late.sum() < FEWEST_ROWS or not len(early):
        return None
    time = (update[late] - update[late].mean()) / end
    slope = time @ loss[late] / (time @ time)
    residuals = loss[late] - loss[late].mean() - slope * time
    error = math.sqrt(residuals @ residuals / (len(time) - 2) / (time @ time))
    fall, since_start = -slope * LAST, np.median(early) - loss[late].mean()
    return bool(fall > max(ERRORS * error * LAST, TOLERANCE * since_start, 0.0))
