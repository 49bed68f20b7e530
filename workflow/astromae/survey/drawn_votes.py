"""Answers to the questions on shapes that follow from how the embedded survey draws its galaxies: no person voted."""

import numpy as np
import pandas as pd

from astromae.contracts.votes import vote_column

#: Hubble type from which a galaxy has arms to see; earlier ones count as smooth.
FIRST_SPIRAL = 0.0
#: A disc whose axes have at most this ratio is edge-on; a smooth galaxy at least as round as the other is round.
EDGE_ON, ROUND = 0.3, 0.85
#: Least share of the light in r of a prominent bulge.
PROMINENT = 0.25


def drawn_votes(morphology: pd.DataFrame) -> pd.DataFrame:
    """Return the answers, each 0 or 1; as in Galaxy Zoo 2, NaN where the question before rules this one out.

    Bars and mergers are not drawn, so nothing is answered of them. The limits are our choice.

    Parameters
    ----------
    morphology
        Columns hubble_type, disc_axis_ratio, bulge_axis_ratio and bulge_fraction_r
        (`astromae.survey.morphology.draw_morphology`).

    Returns
    -------
    DataFrame
        A column of each question (`astromae.contracts.votes`), in the index of `morphology`:

        - features: whether the type is a spiral's;
        - edgeon: of spirals, whether the disc is seen edge-on;
        - bulge: of spirals that are not, whether the bulge is prominent;
        - round: of the others, whether they are round, by bulge and disc weighted by their light.
    """
    features = morphology["hubble_type"] >= FIRST_SPIRAL
    edge_on = morphology["disc_axis_ratio"] <= EDGE_ON
    bulge = morphology["bulge_fraction_r"]
    ratio = bulge * morphology["bulge_axis_ratio"] + (1 - bulge) * morphology["disc_axis_ratio"]
    answers = {
        "features": (features, np.ones(len(morphology), dtype=bool)),
        "edgeon": (edge_on, features),
        "bulge": (bulge >= PROMINENT, features & ~edge_on),
        "round": (ratio >= ROUND, ~features),
    }
    return pd.DataFrame(
        {vote_column(name): yes.astype(np.float64).where(asked) for name, (yes, asked) in answers.items()},
        index=morphology.index,
    )


#: Questions that `drawn_votes` answers.
ANSWERED = ("features", "edgeon", "bulge", "round")
