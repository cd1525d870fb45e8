"""Time and memory against the number of votes and of inputs: a process of its own, `python -m benchmarks.growing`.

The most memory a process has held never falls, so jobs run in the order of their size, and the mark is read after each
(on Linux that of the memory itself, as the mark of the process begins at what its parent held). It includes the
interpreter, torch and the net: what a machine must have. Times are the processor's, in the fastest of some rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.rounds import fastest, growth, measure
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.smoothing import Smoothing

STATUS = Path("/proc/self/status")
FEATURES, CLASSES = 57, 20


def table(inputs: int) -> tuple[Smoothing, torch.Tensor]:
    """A net that reads everything, and rows for it."""
    x = torch.randn(inputs, FEATURES, generator=torch_generator(Purpose.BENCHMARK_INPUTS))
    return Smoothing(two_layer_net(FEATURES), num_classes=2, sigma=1.0, seed=0), x


def faces(inputs: int) -> tuple[Smoothing, torch.Tensor]:
    """The small face net with random weights, and images of noise."""
    x = torch.rand(inputs, 3, 32, 32, generator=torch_generator(Purpose.BENCHMARK_INPUTS))
    return Smoothing(folded(SmallFaceNet(CLASSES)), num_classes=CLASSES, sigma=0.1, seed=0), x


def most_held() -> float:
    """MiB."""
    if STATUS.is_file():
        (mark,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(mark.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def memory(case: str, smoothing: Smoothing, x: torch.Tensor, votes: list[int]) -> dict[str, Any]:
    """MiB that the process has held at most, after more and more votes."""
    held = []
    for n in votes:
        smoothing.counts(x, n)
        held.append(most_held())
    row = {"case": case, "of": "MiB", "against": "votes", "x": votes, "y": held}
    return row | {"growth": held[-1] / held[0] - 1}


def time_of(case: str, against: str, jobs: dict[int, tuple[Smoothing, torch.Tensor, int]], rounds: int) -> dict:
    """Seconds of the processor for each job, which is named by its size."""
    calls = {str(size): lambda job=job: job[0].counts(job[1], job[2]) for size, job in jobs.items()}
    seconds = measure(calls, rounds)
    return growth("seconds", against, list(jobs), [fastest(seconds[str(size)]) for size in jobs], case=case)


def measured(*, smoke: bool) -> list[dict[str, Any]]:
    """Memory first, from the smallest job on."""
    rows = [
        memory("table", *table(8), [100, 1000, 10_000, 100_000]),
        memory("SmallFaceNet", *faces(8), [10, 40] if smoke else [100, 1000, 10_000]),
    ]
    rounds, (net, x) = 1 if smoke else 5, table(320)
    votes, inputs = [100, 200] if smoke else [20_000, 40_000, 60_000, 80_000, 100_000], [20, 40, 80, 160, 320]
    rows.append(time_of("table", "votes", {n: (net, x[:20], n) for n in votes}, rounds))
    rows.append(time_of("table", "inputs", {b: (net, x[:b], 100 if smoke else 3000) for b in inputs}, rounds))
    if not smoke:
        net, x = faces(40)
        rows.append(time_of("SmallFaceNet", "votes", {n: (net, x[:8], n) for n in range(200, 1001, 200)}, rounds))
        rows.append(time_of("SmallFaceNet", "inputs", {b: (net, x[:b], 100) for b in range(8, 41, 8)}, rounds))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    print(json.dumps(measured(smoke=parser.parse_args().smoke)))


if __name__ == "__main__":
    main()
