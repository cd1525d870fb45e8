"""The cost of exact noise: VOTE(N) with `grid=`, noise drawn in integers, against noise in float32.

The same net and inputs, which lie on a grid, for both. What noise costs beside the net depends on the net: a face net
is most of the work, a net of two layers on a table is hardly any; and where the float sampler needs to draw nothing but
what the first layer can see (`oracles/noise.py`), exact noise is drawn for every feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.rounds import compared, each, measure
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.grid import Grid
from rp_tutorial.oracles.smoothing import Smoothing

BYTES = Grid(step=1 / 255)
TENTHS = Grid(step=0.02)  # a column measured in tenths whose standard deviation is 5, standardised


@dataclass(frozen=True)
class Case:
    """A net of random weights on `inputs` inputs of `shape`, which lie on `grid`, and how many votes."""

    name: str
    net: Callable[[], nn.Module]
    shape: tuple[int, ...]
    grid: Grid
    sigma: float
    inputs: int
    n: int


CASES = (
    Case("table of 8 features", lambda: two_layer_net(8, seed=0), (8,), TENTHS, 1.0, 400, 1000),
    Case("table of 64 features", lambda: two_layer_net(64, seed=0), (64,), TENTHS, 1.0, 200, 1000),
    Case("SmallFaceNet", lambda: SmallFaceNet(20), (3, 32, 32), BYTES, 0.1, 60, 100),
)


def row_of(case: Case, *, inputs: int, n: int, rounds: int) -> dict[str, Any]:
    """How many times less time floats take."""
    net, low = case.net().eval(), 0 if case.grid is BYTES else -128
    bytes_or_tenths = torch.randint(
        low, low + 256, (inputs, *case.shape), generator=torch_generator(Purpose.BENCHMARK_INPUTS)
    )
    x = case.grid.values(bytes_or_tenths, torch.float32)
    options = {"num_classes": net(x[:1]).shape[1], "sigma": case.sigma, "seed": 0}
    floats, exact = Smoothing(net, **options), Smoothing(net, grid=case.grid, **options)
    jobs = {"grid": lambda: exact.vote(x, n=n), "floats": lambda: floats.vote(x, n=n)}
    agreement = float((jobs["grid"]() == jobs["floats"]()).double().mean())
    seconds = measure(jobs, rounds, warm=False)
    spent = each(seconds, inputs * n)
    about = {"case": case.name, "job": f"VOTE({n})", "agreement": agreement}
    return compared(
        seconds, "grid", "floats", **about, microseconds=spent["floats"], peer_microseconds=spent["grid"]
    )  # fmt: skip


def measured(*, smoke: bool) -> list[dict[str, Any]]:
    """A row a case."""
    few = {"inputs": 2, "n": 20, "rounds": 1}
    return [row_of(case, **(few if smoke else {"inputs": case.inputs, "n": case.n, "rounds": 5})) for case in CASES]
