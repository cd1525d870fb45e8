"""Exact attribute smoothing against Monte Carlo, as ratios measured in one run: `python benchmarks/attribute.py`.

The job: labels for the test rows of the insurance task under smoothing of the BMI alone, at sigma = 1, 2 and 3.
Exact smoothing does it for all rows in every round, enumerating each row's pieces once for the three sigma. The others
are timed on fewer rows, which are stated, and compared by the row. Four of them:

- *loop, attribute*: PREDICT(1000, .01) of the same smoothing, the ordinary way: one row at a time, noise on its BMI.
- *batched, attribute*: the same as one vectorised job, the hardest peer. It computes the first layer once a row and
  moves it by the noise times one weight a unit, in chunks that fit a cache, one thread a core.
- *loop, all features*: the reference implementation's loop with noise on every feature, as the paper releases.
- *Smoothing, all features*: `Smoothing.predict` of this package, the same law as the last, batched.

The last two smooth another classifier (noise everywhere) unless the net reads BMI alone; they are what the paper
releases. Rounds are interleaved, exact smoothing ten times in each; ratios are medians over rounds with smallest and
largest. Accuracy and abstention stand beside the time, an abstention counting against accuracy. Two nets: the paper's
(l1 penalty, one feature left) and the same without it. The first is enumerated once for all rows, since no other
feature enters it.
`--smoke` is what the tests run: few rows, one round, the same job?
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import side_by_side
from rp_tutorial.data.tables.tasks import ThresholdTask
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.tables import threshold as insurance
from rp_tutorial.oracles.attribute import AttributeSmoothing
from rp_tutorial.oracles.smoothing import Smoothing, significant_plurality

SIGMAS, N, ALPHA = (1.0, 2.0, 3.0), 1000, 0.01
Release = Callable[[Tensor], list[np.ndarray]]  # rows -> labels at every sigma


@dataclass(frozen=True)
class Contestant:
    """Who runs, on how many rows, and how often in a round: a job of a hundredth of a second is not timed once."""

    name: str
    release: Release
    rows: int
    repeats: int


def loop(net: nn.Module, noisy: slice | int) -> Release:
    """One row at a time, in the way of the reference implementation, with noise on the given columns."""

    def release_at(sigma: float, x: Tensor) -> np.ndarray:
        labels = []
        with torch.no_grad():
            for row in x:
                batch = row.repeat((N, 1))
                batch[:, noisy] += torch.randn_like(batch[:, noisy]) * sigma
                counts = np.zeros(2, dtype=int)
                for label in net(batch).argmax(1).numpy():
                    counts[label] += 1
                top, runner_up = counts.argsort()[::-1]
                p = binomtest(int(counts[top]), int(counts[top] + counts[runner_up]), 0.5).pvalue
                labels.append(top if p <= ALPHA else ABSTAIN)
        return np.array(labels)

    return lambda x: [release_at(sigma, x) for sigma in SIGMAS]


def batched(net: nn.Module, attribute: int) -> Release:
    """The same votes for all rows: W x + b once, then noise times the attribute's column of W, ReLU, one product."""
    first, last = net[0], net[2]
    column, contrast = first.weight[:, attribute], last.weight[1] - last.weight[0]
    offset = last.bias[1] - last.bias[0]

    def count_ones(part: Tensor, seed: int, sigma: float) -> Tensor:
        generator = torch_generator(Purpose.BENCHMARK_NOISE, seed)
        hidden = first(part)[:, None, :] + 0.0
        u = torch.randn(len(part), N, 1, generator=generator) * sigma
        return (torch.addcmul(hidden, u, column).relu_() @ contrast + offset > 0).sum(dim=1)

    @torch.inference_mode()
    def release_at(sigma: float, x: Tensor) -> np.ndarray:
        parts = x.split(8)
        ones = torch.cat(side_by_side(lambda i: count_ones(parts[i], i, sigma), range(len(parts)), device=x.device))
        return significant_plurality(torch.stack([N - ones, ones], dim=1), alpha=ALPHA).numpy()

    return lambda x: [release_at(sigma, x) for sigma in SIGMAS]


def contestants(net: nn.Module, task: ThresholdTask, rows: dict[str, int]) -> list[Contestant]:
    """Exact smoothing first, then its peers."""
    attribute = task.attribute_column
    everywhere = [Smoothing(net, num_classes=2, sigma=sigma) for sigma in SIGMAS]
    one_column = [AttributeSmoothing(net, attribute=attribute, sigma=sigma) for sigma in SIGMAS]

    def exact(x: Tensor) -> list[np.ndarray]:
        base = one_column[0].base_intervals(x)
        return [oracle.class_probabilities(x, base=base).argmax(dim=1).numpy() for oracle in one_column]

    releases = {
        "exact": exact,
        "loop, attribute": loop(net, attribute),
        "batched, attribute": batched(net, attribute),
        "loop, all features": loop(net, slice(None)),
        "Smoothing, all features": lambda x: [s.predict(x, n=N, alpha=ALPHA).numpy() for s in everywhere],
    }
    return [
        Contestant(name, release, rows[name.split(",")[0]], 10 if name == "exact" else 1)
        for name, release in releases.items()
    ]


def nets(settings: insurance.ThresholdSettings) -> tuple[dict[str, nn.Module], ThresholdTask]:
    """The paper's net, the same without its penalty, and their task."""
    found = {}
    for name, l1 in (("one feature (l1, as the paper)", 3.0), ("all features (no l1)", 0.0)):
        chosen = replace(settings, l1=l1)
        lab = insurance.ThresholdLab(chosen, data="synthetic", seed=0, stages=Stages("insurance-threshold"))
        found[name] = lab.net
    return found, lab.task


def measure(entries: list[Contestant], x: Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds by row and sigma of everybody in every round, interleaved, after one round that does not count."""
    seconds: dict[str, list[float]] = {entry.name: [] for entry in entries}
    for round_number in range(rounds + 1):
        for entry in entries:
            part, started = x[: entry.rows], time.perf_counter()
            for _ in range(entry.repeats):
                entry.release(part)
            if round_number:
                jobs = entry.repeats * len(part) * len(SIGMAS)
                seconds[entry.name].append((time.perf_counter() - started) / jobs)
    return seconds


def report(title: str, entries: list[Contestant], task: ThresholdTask, rounds: int) -> None:
    """Accuracy and abstention at every sigma, time, and the ratios."""
    seconds = measure(entries, task.x_test, rounds)
    print(title)
    for entry in entries:
        x, y = task.x_test[: entry.rows], task.y_test[: entry.rows].numpy()
        per_row = [1e6 * s for s in seconds[entry.name]]
        print(f"  {entry.name}: {statistics.median(per_row):.2f} microseconds a row and sigma "
              f"(from {min(per_row):.2f} to {max(per_row):.2f}), {len(x)} rows")  # fmt: skip
        for sigma, released in zip(SIGMAS, entry.release(x), strict=True):
            print(f"    sigma {sigma:g}: accuracy {(released == y).mean():.4f}, "
                  f"abstention {(released == ABSTAIN).mean():.4f}")  # fmt: skip
    ours, rows = seconds["exact"], len(task.x_test)
    print(f"  exact, {rows} rows x {len(SIGMAS)} sigma: {statistics.median(ours) * rows * len(SIGMAS):.2f} s "
          f"(from {min(ours) * rows * len(SIGMAS):.2f} to {max(ours) * rows * len(SIGMAS):.2f})")  # fmt: skip
    for entry in entries[1:]:
        ratios = [peer / own for peer, own in zip(seconds[entry.name], ours, strict=True)]
        print(f"  exact against {entry.name}: {statistics.median(ratios):.0f}x "
              f"(from {min(ratios):.0f} to {max(ratios):.0f})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="few rows, one round: does everybody do the same job?")
    options = parser.parse_args()
    found, task = nets(insurance.PROFILES["smoke" if options.smoke else "cpu"])
    everything, rounds = len(task.x_test), 1 if options.smoke else options.rounds
    few = {"loop": 15, "batched": 400, "Smoothing": 400} if options.smoke else {"loop": 100, "batched": 4000,
                                                                               "Smoothing": 4000}  # fmt: skip
    print(f"N = {N}, alpha = {ALPHA}, {everything} test rows of {task.x_test.shape[1]} features, {rounds} rounds, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    for title, net in found.items():
        report(title, contestants(net, task, {"exact": everything, **few}), task, rounds)


if __name__ == "__main__":
    main()
