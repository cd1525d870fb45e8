"""A label for every cell around a centre: an oracle in three dimensions that inversions of any kind can be run on."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle

DIM, CLASSES = 3, 6
TARGETS = torch.arange(CLASSES)
CENTRES = 1.2 * torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(3))
SHORT = replace(BREP_MI, patience=6, rejected_limit=10, max_iterations=60, radius=0.3)


def identity(z: Tensor) -> Tensor:
    return z


class CellOracle(LabelOracle):
    """The nearest centre's label; with `noise`, of the input moved at random; `far` units from any centre: ABSTAIN.

    `kill_after` queries it raises KeyboardInterrupt: a killed run.
    """

    def __init__(self, centres=CENTRES, *, noise=0.0, far=math.inf, kill_after=math.inf, seed=0):
        super().__init__(num_classes=len(centres))
        self.centres, self.noise, self.far, self.kill_after = centres, noise, far, kill_after
        self.generator = torch.Generator().manual_seed(seed)
        self.batches: list[int] = []

    def _release(self, x):
        if self.queries + len(x) > self.kill_after:
            raise KeyboardInterrupt
        self.batches.append(len(x))
        self.forward_passes += 2 * len(x)
        moved = x + self.noise * torch.randn(x.shape, generator=self.generator)
        distance = (moved[:, None] - self.centres).norm(dim=2)  # cdist rounds otherwise from 26 rows on
        return torch.where(distance.amin(dim=1) < self.far, distance.argmin(dim=1), ABSTAIN)

    def _randomness(self):
        return {"generator": self.generator.get_state()}

    def _set_randomness(self, randomness):
        self.generator.set_state(randomness["generator"])


def latents(size=512, seed=0):
    return candidate_latents(size, DIM, seed=seed)


def same(a, b):
    """Equal results, bit for bit."""
    for name, value in vars(a).items():
        other = getattr(b, name)
        if isinstance(value, Tensor):
            torch.testing.assert_close(value, other, rtol=0, atol=0, equal_nan=True)
        elif name != "trace":
            assert value == other, name
    if a.trace is not None:
        assert all(torch.equal(value, getattr(b.trace, name)) for name, value in vars(a.trace).items())
