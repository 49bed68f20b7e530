"""Random generators that depend on a seed and a purpose, and on nothing that was drawn before."""

import zlib

import numpy as np


def sequence(seed: int, purpose: str, *indices: int) -> np.random.SeedSequence:
    """Return the seed of one purpose; the parameters are those of `generator`."""
    # crc32 rather than hash(): Python's string hashes change from process to process.
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *indices])


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the random generator of one purpose.

    Two purposes, or two sets of indices, get independent streams, so drawing more numbers for one
    galaxy, field or band changes nothing for another.

    Parameters
    ----------
    seed
        The user's seed, zero or more.
    purpose
        What is drawn, for example ``noise``.
    indices
        Which of many, for example run, camera column, field and band; each zero or more.
    """
    return np.random.default_rng(sequence(seed, purpose, *indices))
