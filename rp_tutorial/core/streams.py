"""Every stream of random numbers of the package: what it is for, a key, and a generator that depends on nothing else.

Two parts of a program that call `manual_seed` with the same seed draw the same numbers; a coin that an oracle shares
with the adversary, or noise that DP-SGD shares with the data it protects, makes a measurement wrong without a sign of
it. So no other file seeds a generator: it names its purpose here, and adds the seed and whatever else tells it apart.

What is promised: for one key no two purposes share a stream, whatever the key is, and the length of a key is part of
it ((11,) and (11, 0) differ). Keys that differ give unrelated streams; a torch generator on a CPU keeps 32 bits of its
seed, so two given ones of these agree by accident once in 2^32 times.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum, unique

import numpy as np
import torch

from rp_tutorial.core.arguments import count

SPREAD = 0x9E3779B1  # odd, so that purposes of one key have different seeds, and far apart


@unique
class Purpose(IntEnum):
    """What random numbers are for. A number, once given, is not given again: stored results rest on it."""

    SMOOTHING_NOISE = 1
    LIES = 2


def torch_generator(purpose: Purpose, *key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that depends on the purpose and the whole key, whatever was drawn before."""
    return torch.Generator(device).manual_seed(torch_seed(purpose, *key))


def numpy_generator(purpose: Purpose, *key: int) -> np.random.Generator:
    """The same for NumPy, with 128 bits of state that depend on purpose and key."""
    return np.random.default_rng(np.random.SeedSequence([purpose, *_words(key)]))


def child_seed(purpose: Purpose, *key: int) -> int:
    """A seed of 63 bits for a part that takes a seed of its own."""
    return int(np.random.SeedSequence([purpose, *_words(key)]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_seed(purpose: Purpose, *key: int) -> int:
    """32 bits: all that a CPU generator of torch keeps. Another purpose has another seed for the same key."""
    common = int(np.random.SeedSequence(list(_words(key))).generate_state(1)[0])
    return (common + purpose * SPREAD) % 2**32


def _words(key: tuple[int, ...]) -> Iterator[int]:
    """The key as 32-bit words from which it can be read back, so that no two keys are the same words."""
    yield len(key)
    for part in key:
        rest, words = count("key", part, minimum=0), []
        while rest:
            rest, low = divmod(rest, 2**32)
            words.append(low)
        yield len(words)
        yield from words


def keyed_generator(*key: int) -> torch.Generator:
    """The scheme of version 0.1; its last users are about to name their purposes."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
