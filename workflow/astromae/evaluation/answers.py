"""How well the answers to a question of yes or no are predicted: accuracy, precision, recall and the ROC."""

import numpy as np


def decided_answers(fraction: np.ndarray, decided: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where votes say yes, and where they say no; both false where they are divided, or there are none.

    Parameters
    ----------
    fraction
        Fractions of votes for yes, any shape; NaN where there are none.
    decided
        Fraction of votes that decides.
    """
    # Rounding of float32 and of 1 - 0.7 may not part a galaxy from its class.
    return fraction >= decided - 1e-6, fraction <= 1 - decided + 1e-6


def answer_metrics(fraction: np.ndarray, predicted: np.ndarray, decided: float) -> dict[str, np.ndarray]:
    """Compute the metrics of one question over the last axis, of the galaxies whose votes decide it.

    Parameters
    ----------
    fraction
        Fractions of votes for yes, shape (..., n), of a shape that broadcasts with `predicted`; NaN without votes.
    predicted
        Predicted fractions, shape (..., n); at least a half is a yes.
    decided
        Fraction of votes that decides.

    Returns
    -------
    dict
        Arrays of shape (...):

        - ``accuracy``: fraction of right answers; NaN where no votes decide;
        - ``precision``: fraction of the predicted yes that are right; 0 where none is predicted, NaN where none is so;
        - ``recall``: fraction of the yes that are found; NaN where there is none;
        - ``roc_auc``: area under the receiver operating characteristic: the probability that of a yes and a no, drawn
          at random, the yes has the larger prediction, ties counted half (Hanley & McNeil 1982, Radiology 143, 29);
          NaN where one of them is missing.
    """
    # Takes a second or two to import, and every start of Snakemake imports the tasks.
    from scipy.stats import rankdata

    yes, no = decided_answers(np.asarray(fraction, np.float64), decided)
    yes, no, predicted = np.broadcast_arrays(yes, no, np.asarray(predicted, np.float64))
    said = predicted >= 0.5
    found, n_yes, n_no = (yes & said).sum(axis=-1), yes.sum(axis=-1), no.sum(axis=-1)
    claimed = found + (no & said).sum(axis=-1)
    right = found + (no & ~said).sum(axis=-1)
    # Mann and Whitney's count of the pairs in which the yes is ahead; galaxies that are neither come last.
    ranks = rankdata(np.where(yes | no, predicted, np.inf), axis=-1)
    won = (yes * ranks).sum(axis=-1) - n_yes * (n_yes + 1) / 2
    return {
        "accuracy": _ratio(right, n_yes + n_no),
        "precision": np.where(n_yes > 0, found / np.maximum(claimed, 1), np.nan),
        "recall": _ratio(found, n_yes),
        "roc_auc": _ratio(won, n_yes * n_no),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def roc_curve(fraction: np.ndarray, predicted: np.ndarray, decided: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the receiver operating characteristic of one question: of a falling threshold on the prediction.

    Parameters
    ----------
    fraction, predicted, decided
        As of `answer_metrics`, of shape (n,).

    Returns
    -------
    false_positives, true_positives
        Fractions of the no and of the yes at or above each threshold, from 0 to 1, shape (k,).
    """
    yes, no = decided_answers(np.asarray(fraction, np.float64), decided)
    thresholds = np.unique(predicted[yes | no])[::-1]
    rates = [np.searchsorted(np.sort(-predicted[of]), -thresholds, side="right") / max(of.sum(), 1) for of in (no, yes)]
    return np.r_[0.0, rates[0]], np.r_[0.0, rates[1]]
