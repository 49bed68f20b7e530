"""Whether a training's validation loss was still falling when its budget ended."""

import numpy as np
import pandas as pd

#: Part of the updates, at their end, in which a loss that still falls is a sign that the budget was short.
LAST = 0.2

#: Rows of a history in that part, below which nothing is said: no order of four is rarer than `RISK`.
FEWEST_ROWS = 5

#: Smallest fall in the last part that counts, of all the fall since the first part of the training.
TOLERANCE = 0.01

#: Probability that losses which only scatter come in an order that is taken for a fall.
RISK = 0.01


def still_falling(history: pd.DataFrame) -> bool | None:
    """Return whether the validation loss falls in the last fifth of the updates; None if it has too few rows to say.

    It does if the losses there come in falling order, more than chance would have it (Kendall's rank correlation; of
    five rows each below the one before), and if the fall of a line through them is at least 1 % of what the loss has
    fallen since its median over the first fifth. The very first losses, which may be of any size, do not matter then.

    A schedule decides how a curve looks: once the learning rate is nearly zero, nothing changes however much is left to
    learn. The rates of the last fifth of a cosine add up to little more than 1 % of all its rates, so a training that
    has learnt nothing but in proportion to them, and is far from any end, falls there by some 2 % of its fall since the
    first fifth. Hence so small a tolerance. It errs to the safe side, since the loss falls with the rate even where
    nothing more is learnt: smaller steps stray less about a minimum. What is not marked has reached what its budget
    leads to. Whether a longer one leads further only a longer one can say; workflow/presets/sweep.yaml has several.

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
    fall = -LAST * end * np.polyfit(update[late], loss[late], 1)[0]
    if not fall > max(0.0, TOLERANCE * (np.median(early) - loss[-1])):
        return False
    # Only here, since it takes as long to import as half of torch, and every training asks.
    from scipy.stats import kendalltau

    return bool(kendalltau(update[late], loss[late], alternative="less").pvalue <= RISK)
