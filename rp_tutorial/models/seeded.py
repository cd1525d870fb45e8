"""Initial weights from a seed: the one place where a net's constructor meets torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rp_tutorial.core.arguments import count


@contextmanager
def initialised_from(seed: int) -> Iterator[None]:
    """Layers made inside start from `seed`; the caller's random numbers go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(count("seed", seed, minimum=0))
        yield
