"""Cost of exact noise, as ratios measured in one run: `python benchmarks/grid.py`.

The same job for both: labels by VOTE(N) of the same net for the same inputs, which lie on a grid.

- *floats*: `Smoothing.vote`, noise drawn in float32.
- *grid*: the same with `grid=`, noise drawn exactly, in integers, and added to integers.

Rounds are interleaved, so that a busy machine is busy for both; each ratio is printed with its spread over the rounds.
What noise costs beside the net depends on the net: a face net is most of the work, a net of two layers on a table is
hardly any, and where the float sampler needs to draw nothing but what the first layer can see (`noise.py`), exact noise
is drawn for every feature. `--smoke` is what the tests run: do both do the same job?
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rounds import measure
from torch import Tensor, nn

from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.mlp import two_layer_net
from rp_tutorial.models.small_faces import SmallFaceNet
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
    Case("SmallFaceNet, 32x32", lambda: SmallFaceNet(20), (3, 32, 32), BYTES, 0.1, 60, 100),
    Case("FaceNet64, 64x64", lambda: FaceNet64(20), (3, 64, 64), BYTES, 0.1, 4, 20),
)


def contestants(case: Case, *, inputs: int, n: int) -> dict[str, Callable[[], Tensor]]:
    """Who runs, by name; each returns the released labels."""
    net = case.net().eval()
    low = 0 if case.grid is BYTES else -128
    x = case.grid.values(torch.randint(low, low + 256, (inputs, *case.shape)), torch.float32)
    classes = net(x[:1]).shape[1]
    options = {"num_classes": classes, "sigma": case.sigma, "seed": 0}
    floats, exact = Smoothing(net, **options), Smoothing(net, grid=case.grid, **options)
    return {"floats": lambda: floats.vote(x, n=n), "grid": lambda: exact.vote(x, n=n)}


@global_stream(Purpose.BENCHMARK_NOISE)
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="few inputs, one round: do both do the same job?")
    options = parser.parse_args()
    print(f"VOTE(N), {torch.get_num_threads()} threads")
    for case in CASES:
        inputs, n, rounds = (2, 20, 1) if options.smoke else (case.inputs, case.n, options.rounds)
        jobs = contestants(case, inputs=inputs, n=n)
        labels = {name: job() for name, job in jobs.items()}
        seconds = measure(jobs, rounds)
        ratios = [slow / fast for slow, fast in zip(seconds["grid"], seconds["floats"], strict=True)]
        each = {name: 1e6 * statistics.median(taken) / (inputs * n) for name, taken in seconds.items()}
        agree = int((labels["grid"] == labels["floats"]).sum())
        print(f"{case.name}, sigma {case.sigma}, VOTE({n}), {inputs} inputs; both agree on {agree}")
        print(f"  microseconds a vote: floats {each['floats']:.2f}, grid {each['grid']:.2f}")
        print(f"  cost of exact noise: {statistics.median(ratios):.2f}x (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
