"""Streams of random numbers that depend on a key: what they are for, the seed, and whatever else tells them apart.

Two parts of a program that call `manual_seed` with the same seed draw the same numbers; a coin that an oracle shares
with the adversary, or noise that an attack shares with a pool, makes a measurement wrong without a sign of it. The
first number of a key says what the stream is for, and no two purposes of the package share it.
"""

from __future__ import annotations

import numpy as np
import torch


def keyed_generator(*key: int) -> torch.Generator:
    """A CPU generator that depends on the whole key, whatever was drawn before; the same draws on every device."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
