"""Random numbers that depend on what they are for, not on what was drawn before.

Every draw of a training step comes from a generator that is seeded by the run's seed, the purpose,
the epoch and the batch. A run that continues after an interruption, a model that shares another's
views, and a feature file that was computed beforehand all see the same numbers, with no generator
state to save.
"""

import numpy as np
import torch

from astromae.seeds import sequence


def generator(seed: int, purpose: str, *keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator that `seed`, `purpose` and the integers `keys` determine."""
    state = int(sequence(seed, purpose, *keys).generate_state(1, np.uint64)[0])
    return torch.Generator(device=device).manual_seed(state & (2**63 - 1))


def seed_weights(seed: int) -> None:
    """Seed torch's global generator, from which layers draw their initial weights."""
    torch.manual_seed(seed)
